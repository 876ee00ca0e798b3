package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Scope implements driver.Store: the name of the schema that holds the tables. A schema that is copied under another name is another
// store, and programs that came by its old name know a renamed one by its jobs.
func (s *Store) Scope(ctx context.Context, tx pgx.Tx) (string, error) {
	if s.schema != "" {
		return s.schema, nil
	}
	var schema string
	err := tx.QueryRow(ctx, s.sql("Scope")).Scan(&schema)
	return schema, err
}
