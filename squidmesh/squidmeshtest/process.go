package squidmeshtest

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

// ErrCrashed is what a process hears of its database after the kit has let it crash. Nothing that it does has an effect any more.
var ErrCrashed = errors.New("the process has crashed, as the test wants it")

// process is a store as one process sees it, for as long as it lives. It notes what each transaction does.
type process[TTx any] struct {
	driver.Store[TTx]

	// committed is told what each commit brought, before its caller is.
	committed func(*notes)
	// crashes is asked at each commit that changes something, before and after it, whether the process dies there. Nil is no.
	crashes func(boundary string, after bool) bool

	dead    atomic.Bool
	halt    func() // ends what the dead process's runtime would go on trying; nil for nothing
	halting sync.WaitGroup
	told    atomic.Pointer[notes] // of the commit after which the process died; nil if it died otherwise
}

// notes are what one transaction does.
type notes struct {
	News
	cron bool // writes about triggers or fires
	own  bool // is a transaction of the test's own
}

type notesKey struct{}

func notesOf(ctx context.Context) *notes {
	n, _ := ctx.Value(notesKey{}).(*notes)
	return n
}

// boundary names the commit by what it brings; empty if that is nothing of a run.
func (n *notes) boundary() string {
	var parts []string
	for _, t := range n.Transitions {
		for _, e := range t.Audit {
			part := string(e.Kind)
			if e.Name != "" {
				part += " " + printKey(e.StepKey)
			}
			parts = append(parts, part)
		}
	}
	if n.cron {
		parts = append(parts, "cron")
	}
	if n.own {
		parts = append(parts, "the test's transaction")
	}
	return strings.Join(slices.Compact(parts), ", ")
}

// InTx implements driver.Store, on a process that may die at its end.
func (p *process[TTx]) InTx(ctx context.Context, fn func(context.Context, TTx) error) error {
	if p.dead.Load() {
		return ErrCrashed
	}
	n := &notes{}
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
	p.committed(n)
	if p.dies(n, true) {
		p.told.Store(n)
		return ErrCrashed
	}
	return nil
}

// dies reports whether the process dies before or after a commit.
func (p *process[TTx]) dies(n *notes, after bool) bool {
	boundary := n.boundary()
	if boundary == "" || p.crashes == nil || !p.crashes(boundary, after) {
		return false
	}
	p.die()
	return true
}

// die ends the process. Its runtime would try for ever to record what it has done, so that is told to give up, beside its own commit.
func (p *process[TTx]) die() {
	if p.dead.CompareAndSwap(false, true) && p.halt != nil {
		p.halting.Go(p.halt)
	}
}

// View implements driver.Store.
func (p *process[TTx]) View(ctx context.Context, fn func(context.Context, TTx) error) error {
	if p.dead.Load() {
		return ErrCrashed
	}
	return p.Store.View(ctx, fn)
}

// Nested implements driver.Store. What is taken back was not done.
func (p *process[TTx]) Nested(ctx context.Context, tx TTx, fn func(context.Context, TTx) error) error {
	n := notesOf(ctx)
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
func (p *process[TTx]) Apply(ctx context.Context, tx TTx, ts []flow.Transition) error {
	if n := notesOf(ctx); n != nil {
		n.Transitions = append(n.Transitions, ts...)
	}
	return p.Store.Apply(ctx, tx, ts)
}

// SaveCron implements driver.Store.
func (p *process[TTx]) SaveCron(ctx context.Context, tx TTx, change driver.CronChange) ([]flow.Fire, error) {
	if n := notesOf(ctx); n != nil {
		n.cron = true
	}
	return p.Store.SaveCron(ctx, tx, change)
}
