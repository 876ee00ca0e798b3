package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// grace is how long the end of a transaction may take after the caller has lost interest.
const grace = 5 * time.Second

const begin = "begin isolation level read committed read write"

// InTx implements driver.Store. If fn panics or calls runtime.Goexit, InTx rolls back, and the panic goes on.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	t := &transaction{conn: conn, beside: &s.beside}
	defer t.giveBack(ctx)
	if t.Tx, err = conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin + "; " + s.limit}); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(ctx, t); err != nil {
		return err
	}
	switch {
	case t.conn == nil:
		return fmt.Errorf("commit: %w", flow.ErrTxUnusable)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return commit(ctx, t.Tx)
	}
}

// transaction is one of InTx, with its connection of the pool.
type transaction struct {
	pgx.Tx
	conn   *pgxpool.Conn // nil once it was hung up
	beside *beside       // of the store

	// spoiled says that the session is not as it was, so that nobody else may have the connection.
	spoiled bool
}

// giveBack ends the transaction, if it has not ended, and gives the connection back to the pool.
func (t *transaction) giveBack(ctx context.Context) {
	if t.conn == nil {
		return
	}
	defer t.conn.Release()
	if t.Tx != nil {
		_ = rollback(ctx, t.Tx) // of a transaction that has ended, it does nothing
	}
	if t.spoiled {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		_ = t.conn.Conn().Close(ctx)
	}
}

// spoil has the connection closed instead of given back.
func (t *transaction) spoil() {
	if t != nil {
		t.spoiled = true
	}
}

// abandon takes the connection from the pool and closes its socket without a word over it: somebody else may be talking there, and finds it
// dead. The server is asked to end what it executes, whose locks would else stay until then. What this uses of the connection never
// changes, so others may be in the middle of using the rest.
func (t *transaction) abandon() {
	if t == nil || t.conn == nil {
		return
	}
	conn := t.conn.Hijack().PgConn()
	t.conn = nil
	t.beside.do(func(hurry <-chan struct{}) {
		_ = conn.Conn().Close()
		hurried := false
		for _, wait := range []time.Duration{0, 100 * time.Millisecond, time.Second, grace} { // what was just being sent begins later
			if hurried {
				return
			}
			select {
			case <-time.After(wait):
			case <-hurry:
				hurried = true // asks a last time
			}
			ctx, cancel := context.WithTimeout(context.Background(), grace)
			_ = conn.CancelRequest(ctx)
			cancel()
		}
	})
}

// View implements driver.Store.
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
		return fmt.Errorf("commit: %w", flow.ErrTransactionEnded)
	case gone, errors.Is(err, pgx.ErrTxCommitRollback):
		return fmt.Errorf("commit: %w", err) // nothing was sent. SafeToRetry does not tell: it is true of a COMMIT that was cut, too
	case errors.As(err, &said) && said.SeverityUnlocalized == "ERROR":
		return fmt.Errorf("commit: %w", err) // the server refused; FATAL may come after it has committed
	default:
		return fmt.Errorf("%w: %w", flow.ErrCommitUnknown, err)
	}
}
