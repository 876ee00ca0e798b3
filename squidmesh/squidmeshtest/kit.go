package squidmeshtest

import (
	"cmp"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// ErrCrashed is the database's answer to a process that the kit has let crash. Nothing that this process does has an effect any
// more.
var ErrCrashed = byhand.ErrCrashed

// Kit runs workflows for a test. It uses the real [squidmesh.Runtime], on a clock that stands still until the kit moves it, with a
// queue that the kit works by hand. Everything happens within the kit's calls: one delivery after the other, in the order in which
// they are due. So the same test does the same each time, and a Wait of a month takes no time.
//
// Only the test's own goroutine uses a Kit. The kit's methods fail the test instead of returning errors. Call [Kit.Runtime] for
// what should be refused.
type Kit[TTx any] struct {
	t       testing.TB
	ctx     context.Context // of what must go on after the test's own context has ended
	options Options[TTx]
	store   driver.Store[TTx]
	clock   *byhand.Clock
	queue   *byhand.Queue[TTx]
	faults  faults

	process  *byhand.Process[TTx]
	runtime  *squidmesh.Runtime[TTx]
	commits  int                                    // so far, of those that changed something
	crashes  func(boundary string, after bool) bool // where processes die
	unstable map[string]bool                        // steps whose outputs differ from run to run
}

// Options say what a kit is made of.
type Options[TTx any] struct {
	// Config is the runtime's configuration. Only Workflows are required. The kit sets Store, Executor, TimeSlice and ManualTick.
	// Logger defaults to silence. With DisableContinuation siblings take turns, and there are more commits to crash at.
	Config squidmesh.Config[TTx]

	// Open makes a store on an empty, migrated database. The store must go by the given clock: pass it as the option Clock. The kit
	// calls Open once. Open closes the store too, by testing.TB.Cleanup for instance. Required.
	Open func(clock func(system time.Time) time.Time) driver.Store[TTx]

	// Start is the time at which the clock begins. It defaults to 9:00 UTC on Monday, 2 March 2026.
	Start time.Time
}

// New makes a kit on a store in memory. It lends FuncTx steps a [memstore.Tx]. A workflow with such steps is generic over the
// transaction, or has them stubbed ([Stub]), or runs on its database ([NewOn]). The kit stops at the test's end.
func New(t testing.TB, workflows ...squidmesh.Workflow) *Kit[*memstore.Tx] {
	t.Helper()
	return NewOn(t, Options[*memstore.Tx]{
		Config: squidmesh.Config[*memstore.Tx]{Workflows: workflows},
		Open: func(clock func(time.Time) time.Time) driver.Store[*memstore.Tx] {
			return memstore.New(&memstore.Options{Clock: clock})
		},
	})
}

// NewOn makes a kit on a store of the test's choice, such as the program's own database. The kit stops at the test's end.
func NewOn[TTx any](t testing.TB, options Options[TTx]) *Kit[TTx] {
	t.Helper()
	if options.Config.Logger == nil {
		options.Config.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Start.IsZero() {
		options.Start = byhand.Start
	}
	k := &Kit[TTx]{
		t: t, ctx: context.WithoutCancel(t.Context()), options: options, clock: byhand.NewClock(options.Start), queue: &byhand.Queue[TTx]{},
		faults: faults{}, unstable: map[string]bool{},
	}
	k.store = options.Open(k.clock.Read)
	k.begin()
	t.Cleanup(k.close)
	return k
}

// begin starts a process, as the one that takes over from those before it.
func (k *Kit[TTx]) begin() {
	k.t.Helper()
	k.process = &byhand.Process[TTx]{Store: k.store, Committed: func(n *byhand.Notes) {
		k.queue.Add(n.Jobs...)
		if n.Boundary() != "" {
			k.commits++
		}
	}}
	config := k.options.Config
	config.Store, config.Executor, config.TimeSlice, config.ManualTick = k.process, k.queue, 24*time.Hour, true
	var err error
	k.runtime, err = squidmesh.New(&config)
	if err != nil {
		k.t.Fatalf("squidmeshtest: %v", err)
	}
	if err := k.runtime.Start(k.ctx); err != nil {
		k.t.Fatalf("squidmeshtest: %v", err)
	}
	runtime := k.runtime
	k.process.Halt = func() {
		ended, end := context.WithCancel(k.ctx)
		end()
		_ = runtime.Stop(ended) // it says that steps are still running
	}
	k.process.Crashes = k.crashes
}

// end lets go of a process, be it dead or alive.
func (k *Kit[TTx]) end() {
	if err := k.runtime.Stop(k.ctx); err != nil && !k.process.Dead() {
		k.t.Errorf("squidmeshtest: %v", err)
	}
	k.process.Await()
}

// close stops the kit; a second time it does nothing.
func (k *Kit[TTx]) close() {
	if k.runtime != nil {
		k.end()
	}
	k.runtime = nil
}

// Runtime returns the runtime under test, of the process that lives now; after a crash it is another one. The test may call it as
// the program would. Only the kit delivers what is due. In a process that crashes, calls fail with [ErrCrashed].
func (k *Kit[TTx]) Runtime() *squidmesh.Runtime[TTx] {
	k.revive()
	return k.runtime
}

// Now returns the time of the clock.
func (k *Kit[TTx]) Now() time.Time { return k.clock.Time() }

// InTx runs fn in a transaction of the program's own and commits it, as the program would around StartRunTx and its kind. If a
// crash rolls it back, fn runs again.
func (k *Kit[TTx]) InTx(fn func(ctx context.Context, tx TTx) error) {
	k.t.Helper()
	k.call("transaction", func() error {
		return k.process.InTx(k.ctx, func(ctx context.Context, tx TTx) error {
			byhand.NotesOf(ctx).Own = true
			return fn(ctx, tx)
		})
	})
}

// View runs fn in a read-only transaction.
func (k *Kit[TTx]) View(fn func(ctx context.Context, tx TTx) error) {
	k.t.Helper()
	if err := k.store.View(k.ctx, fn); err != nil {
		k.t.Fatalf("squidmeshtest: view: %v", err)
	}
}

// RefuseJobs makes the queue refuse all jobs, as a misconfigured or unreachable one does, until it is called with false.
func (k *Kit[TTx]) RefuseJobs(refuse bool) { k.queue.Refuse(refuse) }

// Crash lets the process die between two deliveries; it tells nobody anything. The next process begins at once. It takes over what
// the dead one left once the dead one's lease has ended.
func (k *Kit[TTx]) Crash() {
	k.process.Die()
	k.revive()
}

// revive begins a new process if the last one is dead.
func (k *Kit[TTx]) revive() {
	if k.process.Dead() {
		k.end()
		k.begin()
	}
}

// call makes a call on behalf of the program. If the process dies in it before its commit, the next process makes it again; if after it,
// the caller is taken to look at what it led to, which call returns.
func (k *Kit[TTx]) call(name string, fn func() error) *byhand.Notes {
	k.t.Helper()
	for {
		k.revive()
		err := fn()
		if k.process.Dead() {
			if told := k.process.Told(); told != nil {
				return told
			}
			continue
		}
		if err != nil {
			k.t.Fatalf("squidmeshtest: %s: %v", name, err)
		}
		return nil
	}
}

// functions lists the steps that a workflow has functions for.
func (k *Kit[TTx]) functions(workflow string) []string {
	var names []string
	for _, spec := range k.runtime.Workflows() {
		if spec.Workflow() != cmp.Or(workflow, spec.Workflow()) {
			continue
		}
		for _, st := range spec.Steps() {
			if callable(st.Kind) {
				names = append(names, spec.Workflow()+"/"+st.Name)
			}
		}
	}
	return names
}
