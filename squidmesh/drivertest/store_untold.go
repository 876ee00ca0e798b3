package drivertest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func untoldTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Untold_IsTakenOnce":               untoldIsTakenOnce[TTx],
		"Untold_IsNotedOfWhatGoesOnToo":    untoldOfWhatGoesOn[TTx],
		"Untold_ComesBackIfNobodyWasTold":  untoldComesBack[TTx],
		"Untold_IsSharedBetweenTheTellers": untoldIsShared[TTx],
	}
}

func (b *storeBench[TTx]) takeUntold(before time.Time, limit int) (keys []driver.EntryKey) {
	b.Helper()
	b.write(func(ctx context.Context, tx TTx) {
		var err error
		keys, err = b.store.TakeUntold(ctx, tx, before, limit)
		require.NoError(b, err)
	})
	return keys
}

// joined writes a transition as a caller's transaction does.
func (b *storeBench[TTx]) joined(t flow.Transition) driver.EntryKey {
	b.Helper()
	t.Untold = true
	b.apply(t)
	return driver.EntryKey{Run: t.Run.ID, Seq: t.Run.Seq}
}

func untoldIsTakenOnce[TTx any](b *storeBench[TTx]) {
	worker := b.register(time.Minute)
	require.False(b, b.beat(worker).Untold)
	var keys []driver.EntryKey
	for range 3 {
		run := newRun("a")
		b.insert(run)
		first := next(run)
		second := next(first.Run)
		keys = append(keys, b.joined(first), b.joined(second))
	}
	told := next(newRun("a"))
	b.insert(told.Run)
	told.Run.Version++
	b.apply(next(told.Run))

	require.True(b, b.beat(worker).Untold)
	late := sampleTime.Add(time.Hour)
	require.Empty(b, b.takeUntold(sampleTime, 10), "all are later than that")
	require.ElementsMatch(b, keys[:4], b.takeUntold(late, 4))
	require.ElementsMatch(b, keys[4:], b.takeUntold(late, 4))
	require.Empty(b, b.takeUntold(late, 4))
	require.False(b, b.beat(worker).Untold)
}

func untoldOfWhatGoesOn[TTx any](b *storeBench[TTx]) {
	r := rand.New(rand.NewPCG(3, 4))
	run := newRun("model")
	stored := randomStep(r, run.ID, "step_1")
	stored.Phase = flow.PhaseDo
	b.insert(run)
	first := next(run)
	first.Steps = []flow.StepChange{{StepState: stored, New: true}}
	b.apply(first)
	key := b.joined(goesOn(first.Run, stored)[0])
	require.Equal(b, []driver.EntryKey{key}, b.takeUntold(sampleTime.Add(time.Hour), 2))
}

func untoldComesBack[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.insert(run)
	key := b.joined(next(run))
	err := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
		keys, err := b.store.TakeUntold(ctx, tx, sampleTime.Add(time.Hour), 2)
		require.NoError(b, err)
		require.Len(b, keys, 1)
		return context.Canceled
	})
	require.ErrorIs(b, err, context.Canceled)
	require.Equal(b, []driver.EntryKey{key}, b.takeUntold(sampleTime.Add(time.Hour), 2))
}

func untoldIsShared[TTx any](b *storeBench[TTx]) {
	if !b.postgres() {
		b.Skip("one transaction writes at a time")
	}
	var keys []driver.EntryKey
	for range 2 {
		run := newRun("a")
		b.insert(run)
		keys = append(keys, b.joined(next(run)))
	}
	late := sampleTime.Add(time.Hour)
	b.write(func(ctx context.Context, tx TTx) {
		mine, err := b.store.TakeUntold(ctx, tx, late, 1)
		require.NoError(b, err)
		require.Equal(b, keys[:1], mine)
		require.Equal(b, keys[1:], b.takeUntold(late, 2), "the other one, without waiting")
	})
}
