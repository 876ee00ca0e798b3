package shop

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
)

// SQL runs statements in a transaction of one database driver. It is all that differs between the databases: PostgreSQL and SQLite
// both understand the statements of this shop, numbered parameters included.
type SQL[TTx any] interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, tx TTx, query string, args ...any) (int64, error)

	// Query runs a statement and calls row for each row, in order.
	Query(ctx context.Context, tx TTx, query string, args []any, row func(scan Scan) error) error
}

// Scan copies the columns of the current row.
type Scan func(dest ...any) error

// Pgx is [SQL] on pgx.
type Pgx struct{}

// Exec implements [SQL].
func (Pgx) Exec(ctx context.Context, tx pgx.Tx, query string, args ...any) (int64, error) {
	tag, err := tx.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

// Query implements [SQL].
func (Pgx) Query(ctx context.Context, tx pgx.Tx, query string, args []any, row func(Scan) error) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Std is [SQL] on database/sql.
type Std struct{}

// Exec implements [SQL].
func (Std) Exec(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query implements [SQL].
func (Std) Query(ctx context.Context, tx *sql.Tx, query string, args []any, row func(Scan) error) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
