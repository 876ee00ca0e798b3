package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

const (
	savepoint = "savepoint squidmesh"
	release   = "release savepoint squidmesh"
	// Releasing it too keeps an outer savepoint of the same name within reach.
	rollbackTo = "rollback to savepoint squidmesh; release savepoint squidmesh"

	// A body may be silent for as long as the program's own settings allow. A rollback to the savepoint takes that back.
	unlimited = "set local idle_in_transaction_session_timeout to default"
)

// Nested implements squidmesh.Store. Commit on the handle publishes nothing; it only ends the handle. After a Rollback on it a nil
// from fn is ErrTransactionEnded, for there is nothing left to commit. A panic or runtime.Goexit in fn rolls back to the savepoint
// and goes on.
func (s *Store) Nested(ctx context.Context, tx pgx.Tx, fn func(ctx context.Context, tx pgx.Tx) error) (err error) {
	conn := tx.Conn().PgConn()
	if _, err := tx.Exec(ctx, savepoint+"; "+unlimited); err != nil {
		return fmt.Errorf("%w: set savepoint: %w", squidmesh.ErrTxUnusable, err)
	}
	released := false
	defer func() {
		if released {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if _, failed := tx.Exec(ctx, rollbackTo); failed != nil {
			err = errors.Join(err, fmt.Errorf("%w: roll back to savepoint: %w", squidmesh.ErrTxUnusable, failed))
		}
	}()

	handle := &lent{Tx: tx}
	err = fn(ctx, handle)
	switch {
	case endedAsSQL(conn):
		return errors.Join(err, squidmesh.ErrTransactionEnded)
	case err != nil:
		return err
	case handle.rolledBack:
		return squidmesh.ErrTransactionEnded
	}
	if _, err := tx.Exec(ctx, release+"; "+s.limit); err != nil {
		var said *pgconn.PgError
		if errors.As(err, &said) && said.Code == "3B001" { // it is gone: fn ended the transaction as SQL and began another
			return fmt.Errorf("%w: %w", squidmesh.ErrTransactionEnded, err)
		}
		return fmt.Errorf("release savepoint: %w", err) // most often fn went over the failure of a statement
	}
	released = true
	return nil
}

// endedAsSQL finds out that a body has executed COMMIT or ROLLBACK as text. Whatever came next would be outside any
// transaction.
func endedAsSQL(conn *pgconn.PgConn) bool {
	return !conn.IsClosed() && conn.TxStatus() == 'I'
}

// lent is the handle of a savepoint for user code. It behaves as a transaction does, except that Commit leaves the savepoint
// to Nested, which must still be able to roll back when the body fails after it.
type lent struct {
	pgx.Tx
	ended, rolledBack bool
}

func (l *lent) Commit(context.Context) error {
	if l.ended {
		return pgx.ErrTxClosed
	}
	l.ended = true
	return nil
}

func (l *lent) Rollback(ctx context.Context) error {
	if l.ended {
		return pgx.ErrTxClosed
	}
	l.ended, l.rolledBack = true, true
	_, err := l.Tx.Exec(ctx, "rollback to "+savepoint+"; "+unlimited)
	return err
}

func (l *lent) Begin(ctx context.Context) (pgx.Tx, error) {
	if l.ended {
		return nil, pgx.ErrTxClosed
	}
	return l.Tx.Begin(ctx)
}

func (l *lent) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if l.ended {
		return pgconn.CommandTag{}, pgx.ErrTxClosed
	}
	return l.Tx.Exec(ctx, sql, args...)
}

func (l *lent) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if l.ended {
		return nil, pgx.ErrTxClosed
	}
	return l.Tx.Query(ctx, sql, args...)
}

func (l *lent) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if l.ended {
		return failedRow{pgx.ErrTxClosed}
	}
	return l.Tx.QueryRow(ctx, sql, args...)
}

func (l *lent) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if l.ended {
		return pgx.FailedBatchResults(b, pgx.ErrTxClosed)
	}
	return l.Tx.SendBatch(ctx, b)
}

func (l *lent) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if l.ended {
		return 0, pgx.ErrTxClosed
	}
	return l.Tx.CopyFrom(ctx, table, columns, rows)
}
