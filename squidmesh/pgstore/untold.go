package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// TakeUntold implements driver.Store.
func (s *Store) TakeUntold(ctx context.Context, tx pgx.Tx, before time.Time, limit int) ([]driver.EntryKey, error) {
	rows, err := tx.Query(ctx, s.sql("TakeUntold"), before, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (key driver.EntryKey, err error) {
		err = row.Scan((*[16]byte)(&key.Run), &key.Seq)
		return key, err
	})
}
