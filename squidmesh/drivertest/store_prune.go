package drivertest

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func pruneTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Prune_TakesWhatIsTooOldAndNothingElse": pruneTakesWhatIsTooOld[TTx],
		"Prune_TakesAllThatBelongsToARun":       pruneTakesAllOfARun[TTx],
		"Prune_RemembersTheWindows":             pruneRemembersTheWindows[TTx],
		"Prune_LeavesOutWhatSomebodyElseHolds":  pruneLeavesOutWhatIsHeld[TTx],
		"Prune_TakesShapesThatNoRunHas":         pruneTakesUnusedShapes[TTx],
	}
}

func (b *storeBench[TTx]) prune(q driver.PruneQuery) (pruned driver.Pruned) {
	b.Helper()
	in := b.write
	if q.Count {
		in = b.view
	}
	in(func(ctx context.Context, tx TTx) {
		var err error
		pruned, err = b.store.Prune(ctx, tx, q)
		require.NoError(b, err)
	})
	return pruned
}

// ended inserts a run that has ended so long after sampleTime.
func (b *storeBench[TTx]) ended(status flow.RunStatus, after time.Duration) flow.Run {
	b.Helper()
	run := newRun("digest")
	run.Status, run.Open, run.FinishedAt = status, 0, sampleTime.Add(after)
	b.insert(run)
	return run
}

func pruneTakesWhatIsTooOld[TTx any](b *storeBench[TTx]) {
	completed, failed, cancelled := flow.RunCompleted, flow.RunFailed, flow.RunCancelled
	var old []flow.RunID
	for _, status := range []flow.RunStatus{completed, failed, cancelled} {
		for i := range 2 {
			old = append(old, b.ended(status, time.Duration(i)*time.Minute).ID)
		}
	}
	active := newRun("digest") // as old as the others
	b.insert(active)
	exactly := b.ended(completed, time.Hour)
	left := func() (ids []flow.RunID) {
		for _, run := range b.find(driver.RunQuery{}) {
			ids = append(ids, run.ID)
		}
		return ids
	}
	hour := sampleTime.Add(time.Hour)
	require.Zero(b, b.prune(driver.PruneQuery{Limit: 10}), "a zero time keeps for ever")
	require.Equal(b, driver.Pruned{Failed: 2}, b.prune(driver.PruneQuery{Failed: hour, Limit: 10, Count: true}))
	require.Len(b, left(), 8, "counted only")

	require.Equal(b, driver.Pruned{Completed: 1}, b.prune(driver.PruneQuery{Completed: hour, Limit: 1}))
	require.NotContains(b, left(), old[0], "the oldest first")
	require.Contains(b, left(), old[1])
	require.Equal(b, driver.Pruned{Completed: 1, Failed: 1},
		b.prune(driver.PruneQuery{Completed: hour, Failed: hour, Cancelled: hour, Limit: 2}), "the limit is for all together")
	rest := driver.PruneQuery{Completed: hour, Failed: hour, Cancelled: hour, Limit: 10}
	require.Equal(b, driver.Pruned{Failed: 1, Cancelled: 2}, b.prune(rest))
	require.Zero(b, b.prune(rest))
	require.ElementsMatch(b, []flow.RunID{active.ID, exactly.ID}, left(), "never an unfinished one, nor one of just that age")
}

func pruneTakesAllOfARun[TTx any](b *storeBench[TTx]) {
	gone, kept := b.ended(flow.RunCompleted, 0), b.ended(flow.RunCompleted, time.Hour)
	worker := b.register(long)
	for _, run := range []flow.Run{gone, kept} {
		t := next(run)
		t.Run.Status, t.Run.FinishedAt = run.Status, run.FinishedAt
		t.Steps = []flow.StepChange{{New: true, StepState: flow.StepState{
			Run: run.ID, StepKey: do("a"), Status: flow.StepCompleted, Attempt: 1,
		}}}
		t.Attempts = []flow.AttemptRecord{{
			Run: run.ID, StepKey: do("a"), Attempt: 1, Outcome: flow.AttemptFailed, StartedAt: sampleTime, EndedAt: sampleTime,
		}}
		t.Held = []flow.Hold{{Worker: worker, Run: run.ID, StepKey: do("a")}}
		b.apply(t)
	}
	require.Equal(b, driver.Pruned{Completed: 1}, b.prune(driver.PruneQuery{Completed: sampleTime.Add(time.Minute), Limit: 10}))
	for id, rows := range map[flow.RunID]int{gone.ID: 0, kept.ID: 1} {
		require.Len(b, b.find(driver.RunQuery{IDs: []flow.RunID{id}}), rows)
		require.Len(b, b.load(id, flow.Reads{All: true}).Steps, rows)
		require.Len(b, b.history(id).Attempts, rows)
		require.Len(b, b.history(id).Audit, rows)
	}
	orphans := b.tick(driver.WorkerTick{Resign: worker, Lease: long, Limit: 10}).Orphans
	orphans = append(orphans, b.tick(driver.WorkerTick{Lease: long, Limit: 10}).Orphans...)
	require.NotEmpty(b, orphans)
	for _, h := range orphans {
		require.Equal(b, kept.ID, h.Run)
	}
}

func pruneRemembersTheWindows[TTx any](b *storeBench[TTx]) {
	b.saveCron(driver.CronChange{Register: []flow.TriggerState{trigger(nightly, sampleTime), trigger(weekly, sampleTime)}})
	run := newRun(nightly.Workflow)
	run.Trigger, run.WindowAt, run.SignalID = nightly.Trigger, sampleTime.Add(time.Hour), "signal a"
	run.Status, run.Open, run.FinishedAt = flow.RunCompleted, 0, sampleTime
	b.insert(run)
	far := run
	far.ID, far.WindowAt, far.SignalID = newRunID(), time.Date(9998, 1, 1, 0, 0, 0, 0, time.UTC), "signal far"
	b.insert(far)
	replay := run
	replay.ID, replay.ReplayedFrom, replay.FinishedAt = newRunID(), run.ID, sampleTime.Add(5*time.Hour)
	b.insert(replay)
	final := func(key flow.TriggerKey, name string, state flow.FireState, window time.Time) flow.Fire {
		f := pending(key, name, window, time.Time{})
		f.State, f.Reason = state, "reason"
		return f
	}
	started := pending(nightly, "a", run.WindowAt, time.Time{})
	started.State, started.RunID = flow.FireStarted, run.ID
	ahead := final(weekly, "f", flow.FireSkipped, time.Date(9998, 1, 1, 0, 0, 0, 0, time.UTC))
	skipped := final(weekly, "b", flow.FireSkipped, sampleTime.Add(3*time.Hour))
	refused := final(weekly, "c", flow.FireRefused, sampleTime.Add(2*time.Hour))
	young := final(weekly, "d", flow.FireRefused, sampleTime)
	young.FiredAt = sampleTime.Add(time.Hour)
	open := pending(weekly, "e", sampleTime, sampleTime)
	b.saveCron(driver.CronChange{NewFires: []flow.Fire{started, skipped, refused, young, open, ahead}})

	prunedTo := func() map[string]time.Time {
		to := map[string]time.Time{}
		for _, t := range b.triggers(driver.TriggerQuery{}) {
			to[t.Trigger] = t.PrunedTo
		}
		return to
	}
	keys := []flow.TriggerKey{nightly, weekly}
	second, now := sampleTime.Add(time.Second), sampleTime.Add(9*time.Hour)
	require.Equal(b, driver.Pruned{Fires: 1}, b.prune(driver.PruneQuery{Now: now, Fires: second, Limit: 1}), "one of three")
	require.Equal(b, driver.Pruned{Fires: 2}, b.prune(driver.PruneQuery{Now: now, Fires: second, Limit: 10}))
	require.Equal(b, map[string]time.Time{"nightly": {}, "weekly": skipped.WindowAt}, prunedTo())
	require.Equal(b, driver.Pruned{Completed: 2}, b.prune(driver.PruneQuery{Now: now, Completed: second, Limit: 10}))
	require.Equal(b, map[string]time.Time{"nightly": run.WindowAt, "weekly": skipped.WindowAt}, prunedTo())
	var left []string
	for _, f := range b.fires(driver.FireQuery{Keys: keys, Newest: 10}) {
		left = append(left, f.Key)
	}
	require.ElementsMatch(b, []string{"d", "e"}, left, "an open fire is kept, however old")

	require.Equal(b, driver.Pruned{Fires: 1, Completed: 1},
		b.prune(driver.PruneQuery{Now: now, Fires: sampleTime.Add(2 * time.Hour), Completed: sampleTime.Add(9 * time.Hour), Limit: 10}))
	require.Equal(b, map[string]time.Time{"nightly": run.WindowAt, "weekly": skipped.WindowAt}, prunedTo(), "it never goes back")
	b.saveCron(driver.CronChange{Register: []flow.TriggerState{trigger(nightly, sampleTime)}})
	require.Equal(b, run.WindowAt, prunedTo()["nightly"], "nor is it forgotten at a process's start")
}

// pruneLeavesOutWhatIsHeld: two that prune at once share the work.
func pruneLeavesOutWhatIsHeld[TTx any](b *storeBench[TTx]) {
	if !b.postgres() {
		b.Skip("one transaction writes at a time")
	}
	held, free := b.ended(flow.RunCompleted, 0), b.ended(flow.RunCompleted, time.Minute)
	q := driver.PruneQuery{Completed: sampleTime.Add(time.Hour), Limit: 1}
	b.write(func(ctx context.Context, tx TTx) {
		pruned, err := b.store.Prune(ctx, tx, q)
		require.NoError(b, err)
		require.Equal(b, driver.Pruned{Completed: 1}, pruned)
		require.Equal(b, driver.Pruned{Completed: 1}, b.prune(q), "the other one")
		require.Zero(b, b.prune(q))
		left := b.find(driver.RunQuery{IDs: []flow.RunID{held.ID, free.ID}})
		require.Len(b, left, 1)
		require.Equal(b, held.ID, left[0].ID, "not committed yet")
	})
	require.Empty(b, b.find(driver.RunQuery{}))
}

func pruneTakesUnusedShapes[TTx any](b *storeBench[TTx]) {
	used, unused := newSpec(b, "used", ""), newSpec(b, "unused", "")
	save := func(specs ...*flow.Spec) {
		b.write(func(ctx context.Context, tx TTx) {
			_, err := b.store.SaveSpecs(ctx, tx, specs, true)
			require.NoError(b, err)
		})
	}
	save(used, unused)
	run := newRun("checkout")
	run.Shape, run.Status, run.Open, run.FinishedAt = used.Shape(), flow.RunFailed, 0, sampleTime
	b.insert(run)
	past, future := sampleTime.AddDate(-10, 0, 0), time.Now().Add(1000*time.Hour)
	require.Zero(b, b.prune(driver.PruneQuery{Shapes: past, Limit: 1}), "it was in use a moment ago")
	require.Equal(b, driver.Pruned{Shapes: 1}, b.prune(driver.PruneQuery{Shapes: future, Limit: 1, Count: true}))
	require.Equal(b, driver.Pruned{Failed: 1, Shapes: 2},
		b.prune(driver.PruneQuery{Failed: sampleTime.Add(time.Hour), Shapes: future, Limit: 1, Count: true}), "with the last run goes its shape")
	require.Equal(b, driver.Pruned{Shapes: 1}, b.prune(driver.PruneQuery{Shapes: future, Limit: 1}))
	require.Equal(b, driver.Pruned{Failed: 1, Shapes: 1}, b.prune(driver.PruneQuery{Failed: sampleTime.Add(time.Hour), Shapes: future, Limit: 1}))
	save(used)
	b.view(func(ctx context.Context, tx TTx) {
		found, err := b.store.Specs(ctx, tx, []string{used.Shape(), unused.Shape()})
		require.NoError(b, err)
		require.Len(b, found, 1, "saved anew")
	})
}
