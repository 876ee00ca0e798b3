package drivertest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ExerciseStore holds a store to the contract of driver.Store. open returns a store on an empty, migrated database; it is called
// once per test. The tests run in parallel.
func ExerciseStore[TTx any](t *testing.T, open func(t *testing.T) driver.Store[TTx]) {
	t.Helper()
	for _, group := range []map[string]func(*storeBench[TTx]){
		runTests[TTx](), applyTests[TTx](), transactionTests[TTx](), findTests[TTx](), leaseTests[TTx](), workerTests[TTx](), specTests[TTx](),
		cronTests[TTx](), pruneTests[TTx](), untoldTests[TTx](), sealTests[TTx](),
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(&storeBench[TTx]{T: t, store: open(t)})
			})
		}
	}
}

// storeBench is a store under test. Its methods fail the test rather than return errors.
type storeBench[TTx any] struct {
	*testing.T
	store driver.Store[TTx]
}

// write runs fn in a transaction that must commit.
func (b *storeBench[TTx]) write(fn func(ctx context.Context, tx TTx)) {
	b.Helper()
	require.NoError(b, b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
		fn(ctx, tx)
		return nil
	}))
}

// view runs fn in a read-only transaction.
func (b *storeBench[TTx]) view(fn func(ctx context.Context, tx TTx)) {
	b.Helper()
	require.NoError(b, b.store.View(b.Context(), func(ctx context.Context, tx TTx) error {
		fn(ctx, tx)
		return nil
	}))
}

// postgres reports whether several transactions can write at once.
func (b *storeBench[TTx]) postgres() bool { return b.store.Traits().Dialect == "postgres" }

// insert writes a new run.
func (b *storeBench[TTx]) insert(run flow.Run) {
	b.Helper()
	b.write(func(ctx context.Context, tx TTx) {
		taken, err := b.store.InsertRun(ctx, tx, run)
		require.NoError(b, err)
		require.Nil(b, taken)
	})
}

// apply writes transitions.
func (b *storeBench[TTx]) apply(ts ...flow.Transition) {
	b.Helper()
	b.write(func(ctx context.Context, tx TTx) { require.NoError(b, b.store.Apply(ctx, tx, ts)) })
}

// tryApply writes transitions and returns what the store says.
func (b *storeBench[TTx]) tryApply(ts ...flow.Transition) error {
	return b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error { return b.store.Apply(ctx, tx, ts) })
}

// run reads a run with its payload.
func (b *storeBench[TTx]) run(id flow.RunID) flow.Run {
	b.Helper()
	found := b.find(driver.RunQuery{IDs: []flow.RunID{id}, Payload: true})
	require.Len(b, found, 1)
	return found[0]
}

func (b *storeBench[TTx]) find(q driver.RunQuery) (found []flow.Run) {
	b.Helper()
	b.view(func(ctx context.Context, tx TTx) {
		var err error
		found, err = b.store.Find(ctx, tx, q)
		require.NoError(b, err)
	})
	return found
}

func (b *storeBench[TTx]) load(id flow.RunID, reads flow.Reads) (loaded driver.Loaded) {
	b.Helper()
	b.view(func(ctx context.Context, tx TTx) {
		all, err := b.store.Load(ctx, tx, map[flow.RunID]flow.Reads{id: reads})
		require.NoError(b, err)
		loaded = all[id]
	})
	return loaded
}

func (b *storeBench[TTx]) history(id flow.RunID) (history driver.History) {
	b.Helper()
	b.view(func(ctx context.Context, tx TTx) {
		var err error
		history, err = b.store.History(ctx, tx, id)
		require.NoError(b, err)
	})
	return history
}

func (b *storeBench[TTx]) tick(tick driver.WorkerTick) (report driver.WorkerReport) {
	b.Helper()
	b.write(func(ctx context.Context, tx TTx) {
		var err error
		report, err = b.store.Workers(ctx, tx, tick)
		require.NoError(b, err)
	})
	return report
}

// ids lists the ids of runs in their order.
func ids(runs []flow.Run) []flow.RunID {
	list := make([]flow.RunID, len(runs))
	for i, r := range runs {
		list[i] = r.ID
	}
	return list
}
