// Package memstore keeps runs in the memory of the process, for tests without a database or a file. Nothing survives the process.
// Package squidmeshtest runs workflows on it.
//
// It has one writer at a time, as SQLite has: a FuncTx step holds it for as long as it runs.
package memstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// lease is that of a store on a server: workers that die on a store in memory are those of a test, which wants to see it.
const lease = 4 * time.Second

// Options change how a Store works. The zero Options are the defaults.
type Options struct {
	// Clock turns the system's time into the time that the store goes by, for leases too. Nil leaves it as it is. It must be safe
	// for concurrent use.
	Clock func(system time.Time) time.Time
}

// Store is a driver.Store in memory. It is safe for concurrent use.
type Store struct {
	clock     func(time.Time) time.Time
	writer    chan struct{} // holds a token while somebody writes
	committed atomic.Pointer[state]
}

var _ driver.Store[*Tx] = (*Store)(nil)

// New makes an empty store. Options may be nil.
func New(options *Options) *Store {
	s := &Store{writer: make(chan struct{}, 1)}
	if options != nil {
		s.clock = options.Clock
	}
	s.committed.Store(&state{})
	return s
}

// Tx is a transaction of a Store. It also keeps rows of the program's own: values under keys, which commit and roll back with
// everything else. It is used by one goroutine at a time, and not after its end.
type Tx struct {
	state    *state
	readOnly bool
	ended    bool
}

// Get returns the value of a row of the program's own, as the transaction sees it; nil if there is none.
func (tx *Tx) Get(key string) any { return tx.state.rows[key] }

// Set writes a row of the program's own; nil deletes it. The value is kept as it is, so it must not be changed afterwards. It panics in
// a transaction that cannot write or has ended.
func (tx *Tx) Set(key string, value any) {
	if err := tx.writable(context.Background()); err != nil {
		panic(err)
	}
	if value == nil {
		delete(tx.state.rows, key)
		return
	}
	tx.state.rows[key] = value
}

// Get returns the committed value of a row of the program's own. It is nil if there is no such row.
func (s *Store) Get(key string) any { return s.committed.Load().rows[key] }

// Rows returns the committed rows of the program's own. The map belongs to the caller.
func (s *Store) Rows() map[string]any {
	rows := maps.Clone(s.committed.Load().rows)
	if rows == nil {
		rows = map[string]any{}
	}
	return rows
}

// InTx implements driver.Store. It waits for whoever writes. A panic or runtime.Goexit in fn rolls back and goes on; the end of
// ctx rolls back too. There is no ErrCommitUnknown here.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case s.writer <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.writer }()
	tx := &Tx{state: s.committed.Load().clone()}
	defer func() { tx.ended = true }()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.committed.Store(tx.state)
	return nil
}

// View implements driver.Store.
func (s *Store) View(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	tx := &Tx{state: s.committed.Load(), readOnly: true}
	defer func() { tx.ended = true }()
	return fn(ctx, tx)
}

// Nested implements driver.Store. A panic or runtime.Goexit in fn rolls back to the savepoint and goes on.
func (s *Store) Nested(ctx context.Context, tx *Tx, fn func(ctx context.Context, tx *Tx) error) error {
	if err := tx.writable(ctx); err != nil {
		return fmt.Errorf("%w: set savepoint: %w", flow.ErrTxUnusable, err)
	}
	inner := &Tx{state: tx.state.clone()} // of its own, which fn may go on using if it was abandoned
	if err := fn(ctx, inner); err != nil {
		if !errors.Is(err, driver.ErrAbandoned) {
			inner.ended = true
		}
		return err
	}
	inner.ended, tx.state = true, inner.state
	return nil
}

var errEnded = errors.New("transaction has ended")

func txEnded(err error) bool { return errors.Is(err, errEnded) }

// usable reports why a transaction cannot be used any more.
func (tx *Tx) usable(ctx context.Context) error {
	switch {
	case tx.ended:
		return errEnded
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return nil
	}
}

// writable reports why a transaction cannot write.
func (tx *Tx) writable(ctx context.Context) error {
	if tx.readOnly {
		return errors.New("transaction is read-only")
	}
	return tx.usable(ctx)
}

// Traits implements driver.Store.
func (s *Store) Traits() driver.StoreTraits {
	return driver.StoreTraits{Dialect: "memory", Lease: lease, Transient: func(error) bool { return false }, TxEnded: txEnded}
}

// Scope implements driver.Store.
func (s *Store) Scope(context.Context, *Tx) (string, error) { return "memory", nil }

// Notify implements driver.Store: nobody listens.
func (s *Store) Notify(context.Context, string, string) error { return nil }

// now is the store's time.
func (s *Store) now() time.Time {
	now := time.Now()
	if s.clock != nil {
		now = s.clock(now)
	}
	return micros(now)
}

// micros is a time as a database keeps it.
func micros(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
