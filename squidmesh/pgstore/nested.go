package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (
	savepoint = "savepoint squidmesh"
	release   = "release savepoint squidmesh"
	// Releasing it too keeps an outer savepoint of the same name within reach.
	rollbackTo = "rollback to savepoint squidmesh; release savepoint squidmesh"

	// A body may be silent for as long as the program's own settings allow. A rollback to the savepoint takes that back.
	unlimited = "set local idle_in_transaction_session_timeout to default"
)

// Nested implements driver.Store. Ending the handle publishes nothing, and is ErrTransactionEnded if fn returns nil. The settings that
// fn made end with it, except those that our writes do not depend on, which end with the transaction if they were made by SET LOCAL. A
// panic or runtime.Goexit in fn rolls back to the savepoint and goes on.
func (s *Store) Nested(ctx context.Context, tx pgx.Tx, fn func(ctx context.Context, tx pgx.Tx) error) (err error) {
	conn, owner := tx.Conn().PgConn(), ownerOf(tx)
	before, err := begunWith(ctx, tx)
	if err != nil {
		return fmt.Errorf("%w: set savepoint: %w", flow.ErrTxUnusable, err)
	}
	handle := newLent(tx)
	over := false // nothing is to be taken back, or nobody may talk over the connection any more
	defer func() {
		busy, _ := handle.gate.close() // if fn did not return
		if over || busy {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if _, failed := tx.Exec(ctx, rollbackTo); failed != nil {
			err = errors.Join(err, fmt.Errorf("%w: roll back to savepoint: %w", flow.ErrTxUnusable, failed))
		}
	}()

	err = fn(ctx, handle)
	busy, open := handle.gate.close()
	switch {
	case busy, errors.Is(err, driver.ErrAbandoned):
		over = true
		owner.abandon()
		return errors.Join(err, fmt.Errorf("%w: it was still in use when its function was over", flow.ErrTxUnusable))
	case open, conn.IsBusy():
		over = true // the server is in the middle of an answer; whoever ends the transaction has to close the connection
		return errors.Join(err, fmt.Errorf("%w: %w", flow.ErrTxUnusable, errOpenRows))
	case endedAsSQL(conn):
		owner.spoil()
		return errors.Join(err, flow.ErrTransactionEnded)
	case err != nil:
		return err
	case handle.ended:
		return flow.ErrTransactionEnded
	}
	if err := s.releaseTo(ctx, tx, before); err != nil {
		var said *pgconn.PgError
		if errors.As(err, &said) && said.Code == "3B001" { // it is gone: fn ended the transaction as SQL and began another
			owner.spoil()
			return fmt.Errorf("%w: %w", flow.ErrTransactionEnded, err)
		}
		return fmt.Errorf("release savepoint: %w", err) // most often fn went over the failure of a statement
	}
	over = true
	return nil
}

// begunWith sets the savepoint and reads the settings that fn is given.
func begunWith(ctx context.Context, tx pgx.Tx) (settings, error) {
	var before settings
	batch := &pgx.Batch{}
	batch.Queue(savepoint)
	batch.Queue(unlimited)
	before.read(batch)
	err := tx.SendBatch(ctx, batch).Close()
	return before, err
}

// releaseTo releases the savepoint and restores the settings.
func (s *Store) releaseTo(ctx context.Context, tx pgx.Tx, before settings) error {
	batch := &pgx.Batch{}
	batch.Queue(release)
	before.restore(batch)
	batch.Queue(s.limit)
	return tx.SendBatch(ctx, batch).Close()
}

// ownerOf is the transaction of InTx that a handle is of; nil for one that somebody else began.
func ownerOf(tx pgx.Tx) *transaction {
	switch tx := tx.(type) {
	case *transaction:
		return tx
	case *lent:
		return ownerOf(tx.Tx)
	case gated:
		return ownerOf(tx.Tx)
	default:
		return nil
	}
}

// endedAsSQL finds out that a body has executed COMMIT or ROLLBACK as text. Whatever came next would be outside any
// transaction.
func endedAsSQL(conn *pgconn.PgConn) bool {
	return !conn.IsClosed() && conn.TxStatus() == 'I'
}

// lent is the handle of a savepoint for user code. It behaves as a transaction does, except that its end leaves the savepoint to Nested,
// which must still be able to roll back when fn fails after it.
type lent struct {
	gated
	ended bool
}

func newLent(tx pgx.Tx) *lent { return &lent{gated: gated{tx, &gate{}}} }

func (l *lent) Commit(context.Context) error { return l.end() }

func (l *lent) Rollback(context.Context) error { return l.end() }

func (l *lent) end() error {
	if err := l.gate.begin(); err != nil {
		return err
	}
	l.ended = true
	l.gate.leave(0)
	l.gate.close()
	return nil
}
