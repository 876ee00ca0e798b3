package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// grace is how long the end of a transaction may take after the caller has lost interest.
const grace = 5 * time.Second

const begin = "begin isolation level read committed read write"

// InTx implements squidmesh.Store. A panic or runtime.Goexit in fn rolls back and goes on.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin + "; " + s.limit})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer rollback(ctx, tx) // of a transaction that has ended, it does nothing
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return commit(ctx, tx)
}

// View implements squidmesh.Store.
func (s *Store) View(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer rollback(ctx, tx)
	return fn(ctx, tx)
}

// rollback ends a transaction whatever became of the caller's context. If that fails, pgx closes the connection, and the server
// rolls back.
func rollback(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return tx.Rollback(ctx)
}

// commit says of an error whether its outcome is known. The COMMIT outlives the caller's context by a grace, since one that is
// cut off leaves everybody in doubt.
func commit(ctx context.Context, tx pgx.Tx) error {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(late, func() { timer.Stop() })
	})()
	gone := tx.Conn().IsClosed()
	err := tx.Commit(late)
	var said *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrTxClosed):
		return fmt.Errorf("commit: %w", squidmesh.ErrTransactionEnded)
	case gone, errors.Is(err, pgx.ErrTxCommitRollback):
		return fmt.Errorf("commit: %w", err) // nothing was sent. SafeToRetry does not tell: it is true of a COMMIT that was cut, too
	case errors.As(err, &said) && said.SeverityUnlocalized == "ERROR":
		return fmt.Errorf("commit: %w", err) // the server refused; FATAL may come after it has committed
	default:
		return fmt.Errorf("%w: %w", squidmesh.ErrCommitUnknown, err)
	}
}
