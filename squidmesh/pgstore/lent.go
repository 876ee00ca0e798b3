package pgstore

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// errOpenRows says what pgx calls "conn busy": a connection has one result at a time.
var errOpenRows = errors.New("rows of a query are still open: close its rows first (of a QueryRow, call Scan; of a batch, Close)")

// gate is what everything passes that a body does with the transaction that it was lent, whatever handle, rows or goroutine it does it
// with. Once it is shut nothing passes any more, so that two never talk over one connection.
type gate struct {
	mu   sync.Mutex
	shut bool
	busy int // calls that have not returned
	open int // results that nobody has closed
}

// enter begins a call on a result.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return pgx.ErrTxClosed
	}
	g.busy++
	return nil
}

// begin begins a call that sends a statement.
func (g *gate) begin() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.shut:
		return pgx.ErrTxClosed
	case g.open > 0:
		return errOpenRows
	}
	g.busy++
	return nil
}

// leave ends a call; results is by how many the open ones change.
func (g *gate) leave(results int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	g.open += results
}

// close lets nothing pass any more. It reports whether a call is still on its way, and whether a result was left open.
func (g *gate) close() (busy, open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	return g.busy > 0, g.open > 0
}

// gated is a transaction behind a gate. Conn and LargeObjects go past it.
type gated struct {
	pgx.Tx
	gate *gate
}

func (t gated) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := t.gate.begin(); err != nil {
		return nil, err
	}
	defer t.gate.leave(0)
	tx, err := t.Tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return gated{tx, t.gate}, nil
}

func (t gated) Commit(ctx context.Context) error {
	if err := t.gate.begin(); err != nil {
		return err
	}
	defer t.gate.leave(0)
	return t.Tx.Commit(ctx)
}

func (t gated) Rollback(ctx context.Context) error {
	if err := t.gate.begin(); err != nil {
		return err
	}
	defer t.gate.leave(0)
	return t.Tx.Rollback(ctx)
}

func (t gated) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.gate.begin(); err != nil {
		return pgconn.CommandTag{}, err
	}
	defer t.gate.leave(0)
	return t.Tx.Exec(ctx, sql, args...)
}

func (t gated) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := t.gate.begin(); err != nil {
		return nil, err
	}
	defer t.gate.leave(0)
	return t.Tx.Prepare(ctx, name, sql)
}

func (t gated) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := t.gate.begin(); err != nil {
		return 0, err
	}
	defer t.gate.leave(0)
	return t.Tx.CopyFrom(ctx, table, columns, rows)
}

func (t gated) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.gate.begin(); err != nil {
		return failedRows{err}, err
	}
	results := 0
	defer func() { t.gate.leave(results) }()
	rows, err := t.Tx.Query(ctx, sql, args...)
	if err != nil {
		return rows, err
	}
	results = 1
	return &gatedRows{Rows: rows, gate: t.gate, counts: true}, nil
}

func (t gated) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := t.gate.begin(); err != nil {
		return failedRow{err}
	}
	defer t.gate.leave(1)
	return &gatedRow{row: t.Tx.QueryRow(ctx, sql, args...), gate: t.gate, counts: true}
}

func (t gated) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := t.gate.begin(); err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	defer t.gate.leave(1)
	return &gatedBatch{BatchResults: t.Tx.SendBatch(ctx, b), gate: t.gate}
}

// gatedRows are rows behind a gate. Those of a batch are not counted: the batch is.
type gatedRows struct {
	pgx.Rows
	gate           *gate
	counts, closed bool
	refused        error
}

// leave ends a call, which may have closed the rows.
func (r *gatedRows) leave(closed bool) {
	results := 0
	if closed && !r.closed {
		r.closed = true
		if r.counts {
			results = -1
		}
	}
	r.gate.leave(results)
}

func (r *gatedRows) Next() bool {
	if r.refused = r.gate.enter(); r.refused != nil {
		return false
	}
	more := false
	defer func() { r.leave(!more) }()
	more = r.Rows.Next()
	return more
}

func (r *gatedRows) Scan(dest ...any) error {
	if err := r.gate.enter(); err != nil {
		return err
	}
	closed := true // a panic of a Scanner of the program's own leaves it to Close, which does no harm twice
	defer func() { r.leave(closed) }()
	err := r.Rows.Scan(dest...)
	if closed = err != nil; closed {
		r.Rows.Close()
	}
	return err
}

func (r *gatedRows) Values() ([]any, error) {
	if err := r.gate.enter(); err != nil {
		return nil, err
	}
	closed := true
	defer func() { r.leave(closed) }()
	values, err := r.Rows.Values()
	if closed = err != nil; closed {
		r.Rows.Close()
	}
	return values, err
}

func (r *gatedRows) Close() {
	if r.gate.enter() != nil {
		return
	}
	defer r.leave(true)
	r.Rows.Close()
}

func (r *gatedRows) Err() error {
	if r.refused != nil {
		return r.refused
	}
	return r.Rows.Err()
}

// gatedRow is a row behind a gate.
type gatedRow struct {
	row    pgx.Row
	gate   *gate
	counts bool
}

func (r *gatedRow) Scan(dest ...any) error {
	if err := r.gate.enter(); err != nil {
		return err
	}
	results := 0
	if r.counts {
		r.counts, results = false, -1
	}
	defer r.gate.leave(results)
	return r.row.Scan(dest...)
}

// gatedBatch are the results of a batch behind a gate.
type gatedBatch struct {
	pgx.BatchResults
	gate   *gate
	closed bool
}

func (b *gatedBatch) Exec() (pgconn.CommandTag, error) {
	if err := b.gate.enter(); err != nil {
		return pgconn.CommandTag{}, err
	}
	defer b.gate.leave(0)
	return b.BatchResults.Exec()
}

func (b *gatedBatch) Query() (pgx.Rows, error) {
	if err := b.gate.enter(); err != nil {
		return failedRows{err}, err
	}
	defer b.gate.leave(0)
	rows, err := b.BatchResults.Query()
	if err != nil {
		return rows, err
	}
	return &gatedRows{Rows: rows, gate: b.gate}, nil
}

func (b *gatedBatch) QueryRow() pgx.Row {
	if err := b.gate.enter(); err != nil {
		return failedRow{err}
	}
	defer b.gate.leave(0)
	return &gatedRow{row: b.BatchResults.QueryRow(), gate: b.gate}
}

func (b *gatedBatch) Close() error {
	if err := b.gate.enter(); err != nil {
		return err
	}
	results := 0
	if !b.closed {
		b.closed, results = true, -1
	}
	defer func() { b.gate.leave(results) }()
	return b.BatchResults.Close()
}

// failedRows are rows that there are none of, as pgx returns them beside an error, so that its callers may leave that to the rows.
type failedRows struct{ err error }

func (failedRows) Close()                                       {}
func (r failedRows) Err() error                                 { return r.err }
func (failedRows) CommandTag() pgconn.CommandTag                { return pgconn.CommandTag{} }
func (failedRows) FieldDescriptions() []pgconn.FieldDescription { return nil }
func (failedRows) Next() bool                                   { return false }
func (r failedRows) Scan(...any) error                          { return r.err }
func (r failedRows) Values() ([]any, error)                     { return nil, r.err }
func (failedRows) RawValues() [][]byte                          { return nil }
func (failedRows) Conn() *pgx.Conn                              { return nil }
func (failedRows) TypeMap() *pgtype.Map                         { return nil }
