package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// InTx implements driver.Store. The transaction has the write lock from its beginning. If fn panics or calls runtime.Goexit, InTx
// rolls back, and the panic goes on. The end of ctx rolls back too.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // of a transaction that has ended, it does nothing
	if err := fn(ctx, tx); err != nil {
		return err
	}
	err = tx.Commit()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, sql.ErrTxDone)):
		return context.Cause(ctx) // database/sql has rolled back
	case errors.Is(err, sql.ErrTxDone), noTransaction(err):
		return fmt.Errorf("commit: %w", flow.ErrTransactionEnded)
	case isCode(err, sqlite3.SQLITE_BUSY), isCode(err, sqlite3.SQLITE_FULL), isCode(err, sqlite3.SQLITE_CONSTRAINT):
		return fmt.Errorf("commit: %w", err)
	default:
		return fmt.Errorf("%w: %w", flow.ErrCommitUnknown, err)
	}
}

// View implements driver.Store, on a connection that cannot write and that no writer delays.
func (s *Store) View(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	return fn(ctx, tx)
}

// Nested implements driver.Store. SQLite cannot lend a transaction without its Commit and Rollback: if fn ends it, by either, the
// error is ErrTransactionEnded, and what fn had written until a Commit is published. A panic or runtime.Goexit in fn rolls
// back to the savepoint and goes on.
func (s *Store) Nested(ctx context.Context, tx *sql.Tx, fn func(ctx context.Context, tx *sql.Tx) error) (err error) {
	if _, err := tx.ExecContext(ctx, "savepoint squidmesh"); err != nil {
		return fmt.Errorf("%w: set savepoint: %w", flow.ErrTxUnusable, err)
	}
	released := false
	defer func() {
		if released {
			return
		}
		if failed := rollbackTo(context.WithoutCancel(ctx), tx); failed != nil {
			err = errors.Join(err, ended(ctx, failed), fmt.Errorf("%w: roll back to savepoint: %w", flow.ErrTxUnusable, failed))
		}
	}()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "release squidmesh"); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	released = true
	return nil
}

// rollbackTo undoes everything since the savepoint and removes it, so that an outer one of the same name is within reach.
func rollbackTo(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, "rollback to squidmesh"); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "release squidmesh")
	return err
}

// ended tells an end by the body from one by SQLite itself or by the end of the context.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, sql.ErrTxDone) || strings.Contains(err.Error(), "no such savepoint")) {
		return flow.ErrTransactionEnded
	}
	return nil
}

// noTransaction recognises the answer to a COMMIT where there is none to commit.
func noTransaction(err error) bool {
	return isCode(err, sqlite3.SQLITE_ERROR) && strings.Contains(err.Error(), "no transaction is active")
}
