package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Pipeline implements driver.Pipeliner: BEGIN travels with the first statements, what Apply writes with COMMIT.
func (s *Store) Pipeline(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	// All of it is planned without sequential scans; see indexed.
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire a connection: %w", err)
	}
	defer conn.Release()
	return pipeline(ctx, &pipelined{conn: conn.Conn(), settings: s.settings}, fn)
}

func pipeline(ctx context.Context, tx *pipelined, fn func(ctx context.Context, tx pgx.Tx) error) error {
	defer rollback(ctx, tx) // of a transaction that has ended, it does nothing
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return commit(ctx, tx)
}

// pipelined is a transaction that talks to the server as seldom as it can. What is held back is sent before anything else that the
// transaction is asked to do.
type pipelined struct {
	conn         *pgx.Conn
	settings     string // with which it begins
	begun, ended bool
	held         []*pgx.QueuedQuery
}

// send sends what is held back and the queries in one round trip, and runs their callbacks.
func (p *pipelined) send(ctx context.Context, queries ...*pgx.QueuedQuery) error {
	if p.ended {
		return pgx.ErrTxClosed
	}
	batch := &pgx.Batch{}
	if !p.begun {
		batch.Queue(begin)
		batch.Queue(p.settings)
	}
	batch.QueuedQueries = append(append(batch.QueuedQueries, p.held...), queries...)
	p.begun, p.held = true, nil
	if batch.Len() == 0 {
		return nil
	}
	return p.conn.SendBatch(ctx, batch).Close()
}

// Commit sends what is held back together with the COMMIT.
func (p *pipelined) Commit(ctx context.Context) error {
	if !p.begun && len(p.held) == 0 {
		p.ended = true
		return nil
	}
	var tag pgconn.CommandTag
	last := &pgx.QueuedQuery{SQL: "commit"}
	last.Exec(func(t pgconn.CommandTag) error {
		tag = t
		return nil
	})
	if err := p.send(ctx, last); err != nil {
		return err
	}
	p.ended = true
	if tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	return nil
}

func (p *pipelined) Rollback(ctx context.Context) error {
	if p.ended || !p.begun {
		return pgx.ErrTxClosed
	}
	p.ended = true
	if _, err := p.conn.Exec(ctx, "rollback"); err != nil {
		return errors.Join(err, p.conn.Close(ctx))
	}
	return nil
}

// Begin sets a savepoint.
func (p *pipelined) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := p.send(ctx, &pgx.QueuedQuery{SQL: savepoint}); err != nil {
		return nil, err
	}
	return &pipelinedSavepoint{pipelined: p}, nil
}

func (p *pipelined) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := p.send(ctx); err != nil {
		return pgconn.CommandTag{}, err
	}
	return p.conn.Exec(ctx, sql, args...)
}

func (p *pipelined) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := p.send(ctx); err != nil {
		return failedRows{err}, err
	}
	return p.conn.Query(ctx, sql, args...)
}

func (p *pipelined) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := p.send(ctx); err != nil {
		return failedRow{err}
	}
	return p.conn.QueryRow(ctx, sql, args...)
}

func (p *pipelined) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := p.send(ctx); err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	return p.conn.SendBatch(ctx, b)
}

func (p *pipelined) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := p.send(ctx); err != nil {
		return 0, err
	}
	return p.conn.CopyFrom(ctx, table, columns, rows)
}

func (p *pipelined) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := p.send(ctx); err != nil {
		return nil, err
	}
	return p.conn.Prepare(ctx, name, sql)
}

// LargeObjects is not to be had: of what users write, only executors and their middleware see this transaction.
func (p *pipelined) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }

func (p *pipelined) Conn() *pgx.Conn { return p.conn }

// pipelinedSavepoint is a nested transaction within a pipelined one.
type pipelinedSavepoint struct {
	*pipelined
	done bool
}

func (p *pipelinedSavepoint) Commit(ctx context.Context) error { return p.finish(ctx, release) }

func (p *pipelinedSavepoint) Rollback(ctx context.Context) error { return p.finish(ctx, rollbackTo) }

func (p *pipelinedSavepoint) finish(ctx context.Context, sql string) error {
	if p.done {
		return pgx.ErrTxClosed
	}
	p.done = true
	_, err := p.Exec(ctx, sql)
	return err
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }
