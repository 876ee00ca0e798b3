package byhand

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ErrCrashed is what a process hears of its database after it was made to crash. Nothing that it does has an effect any more.
var ErrCrashed = errors.New("the process has crashed, as the test wants it")

// Process is a store as one process sees it, for as long as it lives. It notes what each transaction does.
type Process[TTx any] struct {
	driver.Store[TTx]

	// Committed is told what each commit brought, before its caller is.
	Committed func(*Notes)
	// Crashes is asked at each commit that changes something, before and after it, whether the process dies there. Nil is no.
	Crashes func(boundary string, after bool) bool

	// Halt ends what the dead process's runtime would go on trying. Nil is for nothing.
	Halt func()

	dead    atomic.Bool
	halting sync.WaitGroup
	told    atomic.Pointer[Notes] // of the commit after which the process died; nil if it died otherwise
}

// News is what was committed.
type News struct {
	Transitions []flow.Transition
	// Jobs is what the queue took.
	Jobs []QueuedJob
}

// Notes are what one transaction does.
type Notes struct {
	News
	cron bool // writes about triggers or fires
	Own  bool // is a transaction of the test's own
}

type notesKey struct{}

// NotesOf are the notes of the transaction that a context belongs to; nil if it is of none.
func NotesOf(ctx context.Context) *Notes {
	n, _ := ctx.Value(notesKey{}).(*Notes)
	return n
}

// Boundary names the commit by what it brings; empty if that is nothing of a run.
func (n *Notes) Boundary() string {
	var parts []string
	for _, t := range n.Transitions {
		for _, e := range t.Audit {
			part := string(e.Kind)
			if e.Name != "" {
				part += " " + PrintKey(e.StepKey)
			}
			parts = append(parts, part)
		}
	}
	if n.cron {
		parts = append(parts, "cron")
	}
	if n.Own {
		parts = append(parts, "the test's transaction")
	}
	return strings.Join(slices.Compact(parts), ", ")
}

// InTx implements driver.Store, on a process that may die at its end.
func (p *Process[TTx]) InTx(ctx context.Context, fn func(context.Context, TTx) error) error {
	if p.dead.Load() {
		return ErrCrashed
	}
	n := &Notes{}
	err := p.Store.InTx(context.WithValue(ctx, notesKey{}, n), func(ctx context.Context, tx TTx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		if p.dead.Load() || p.dies(n, false) {
			return ErrCrashed
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.Committed(n)
	if p.dies(n, true) {
		p.told.Store(n)
		return ErrCrashed
	}
	return nil
}

// dies reports whether the process dies before or after a commit.
func (p *Process[TTx]) dies(n *Notes, after bool) bool {
	boundary := n.Boundary()
	if boundary == "" || p.Crashes == nil || !p.Crashes(boundary, after) {
		return false
	}
	p.Die()
	return true
}

// Die ends the process. Its runtime would try for ever to record what it has done, so that is told to give up, beside its own commit.
func (p *Process[TTx]) Die() {
	if p.dead.CompareAndSwap(false, true) && p.Halt != nil {
		p.halting.Go(p.Halt)
	}
}

// Dead reports whether the process has died.
func (p *Process[TTx]) Dead() bool { return p.dead.Load() }

// Told is what the commit brought after which the process died; nil if it lives, or died otherwise.
func (p *Process[TTx]) Told() *Notes { return p.told.Load() }

// Await returns when nothing of a dead process goes on any more.
func (p *Process[TTx]) Await() { p.halting.Wait() }

// View implements driver.Store.
func (p *Process[TTx]) View(ctx context.Context, fn func(context.Context, TTx) error) error {
	if p.dead.Load() {
		return ErrCrashed
	}
	return p.Store.View(ctx, fn)
}

// Nested implements driver.Store. What is taken back was not done.
func (p *Process[TTx]) Nested(ctx context.Context, tx TTx, fn func(context.Context, TTx) error) error {
	n := NotesOf(ctx)
	if n == nil {
		return p.Store.Nested(ctx, tx, fn)
	}
	before := *n
	err := p.Store.Nested(ctx, tx, fn)
	if err != nil {
		*n = before
	}
	return err
}

// Apply implements driver.Store.
func (p *Process[TTx]) Apply(ctx context.Context, tx TTx, ts []flow.Transition) error {
	if n := NotesOf(ctx); n != nil {
		n.Transitions = append(n.Transitions, ts...)
	}
	return p.Store.Apply(ctx, tx, ts)
}

// SaveCron implements driver.Store.
func (p *Process[TTx]) SaveCron(ctx context.Context, tx TTx, change driver.CronChange) ([]flow.Fire, error) {
	if n := NotesOf(ctx); n != nil {
		n.cron = true
	}
	return p.Store.SaveCron(ctx, tx, change)
}
