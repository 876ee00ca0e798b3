package squidmesh_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func TestRetention(t *testing.T) {
	t.Parallel()
	onBothStores(t, retentionTests[pgx.Tx](), retentionTests[*sql.Tx]())
}

func retentionTests[TTx any]() map[string]func(*cronBench[TTx]) {
	return map[string]func(*cronBench[TTx]){
		"WhatHasEndedGoesByItsAge":          prunesByAge[TTx],
		"APrunedWindowStartsNothing":        prunedWindowStartsNothing[TTx],
		"AnOpenFireIsDecidedHoweverOld":     openFireOutlivesPruning[TTx],
		"ACrashLeavesWholeBatches":          crashLeavesWholeBatches[TTx],
		"ManyShareTheWork":                  manyPruners[TTx],
		"AShapeGoesWithItsLastRun":          shapeGoesWithItsLastRun[TTx],
		"AnInspectionSeesWhatItBeganToRead": inspectionIsASnapshot[TTx],
		"AStartedRuntimePrunesByItself":     prunesInTheBackground[TTx],
		"NonsenseIsRefused":                 badRetention[TTx],
	}
}

var byHand = squidmesh.Manual("by_hand", squidmesh.Contract{})

// cancelled starts runs and cancels them.
func (b *cronBench[TTx]) cancelled(rt *squidmesh.Runtime[TTx], n int) (ids []squidmesh.RunID) {
	b.Helper()
	for range n {
		run, err := rt.StartRun(b.Context(), squidmesh.StartParams{Workflow: "digest"})
		require.NoError(b, err)
		_, err = rt.CancelRun(b.Context(), run.ID, squidmesh.CancelParams{})
		require.NoError(b, err)
		ids = append(ids, run.ID)
	}
	return ids
}

func (b *cronBench[TTx]) prune(rt *squidmesh.Runtime[TTx], r squidmesh.Retention) driver.Pruned {
	b.Helper()
	preview, err := rt.PreviewPrune(b.Context(), r)
	require.NoError(b, err)
	pruned, err := rt.PruneRuns(b.Context(), r)
	require.NoError(b, err)
	require.Equal(b, preview, pruned)
	return pruned
}

func prunesByAge[TTx any](b *cronBench[TTx]) {
	ctx, day := b.Context(), 24*time.Hour
	rt := b.process(b.queue, digest(byHand))
	active, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "digest"})
	require.NoError(b, err)
	old, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "digest", Key: "order 7"})
	require.NoError(b, err)
	_, err = rt.CancelRun(ctx, old.ID, squidmesh.CancelParams{})
	require.NoError(b, err)
	replay, err := rt.ReplayRun(ctx, old.ID, squidmesh.ReplayParams{})
	require.NoError(b, err)

	b.advance(day)
	require.Zero(b, b.prune(rt, squidmesh.Retention{Cancelled: day}), "it is not older than a day")
	b.advance(time.Microsecond)
	require.Zero(b, b.prune(rt, squidmesh.Retention{}), "nothing says that anything goes")
	require.Zero(b, b.prune(rt, squidmesh.Retention{Completed: day, Failed: day, Fires: day}))
	require.Equal(b, driver.Pruned{Cancelled: 1}, b.prune(rt, squidmesh.Retention{Completed: day, Failed: day, Cancelled: day}))

	_, err = rt.InspectRun(ctx, old.ID, nil)
	require.ErrorIs(b, err, squidmesh.ErrNotFound)
	for _, id := range []squidmesh.RunID{active.ID, replay.ID} {
		_, err := rt.InspectRun(ctx, id, &squidmesh.InspectOptions{History: true})
		require.NoError(b, err)
	}
	in, err := rt.InspectRun(ctx, replay.ID, nil)
	require.NoError(b, err)
	require.Equal(b, old.ID, in.Run.ReplayedFrom)
	again, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "digest", Key: "order 7"})
	require.NoError(b, err)
	require.False(b, again.Existing)
	outcome := b.deliver(rt, driver.Delivery{
		Version: 1, Kind: driver.DeliverStep, RunID: old.ID.String(), Step: old.Workflow, Attempt: 1,
	})
	require.Equal(b, flow.OutcomeDrop, outcome.Kind, "a job that was left behind")
}

// prunedWindowStartsNothing: a delivery that comes once more after its run and its fire are gone.
func prunedWindowStartsNothing[TTx any](b *cronBench[TTx]) {
	ctx := b.Context()
	rt := b.process(b.queue, digest(squidmesh.Trigger{Name: "nightly", Cron: "0 7 * * *", Overlap: squidmesh.OverlapSkip}))
	b.at("2026-03-02T07:00:00Z")
	scheduled := b.tick(rt)[0]
	require.Equal(b, "fire_started", b.deliver(rt, scheduled).Reason)
	b.advance(time.Hour)
	_, err := rt.FireTrigger(ctx, "digest", "nightly", squidmesh.TriggerParams{})
	require.NoError(b, err)
	skipped := b.queue.take()[0]
	require.Equal(b, "fire_skipped", b.deliver(rt, skipped).Reason)
	b.end(rt)
	_, err = rt.FireTrigger(ctx, "digest", "nightly", squidmesh.TriggerParams{})
	require.NoError(b, err)
	manual := b.queue.take()[0]
	require.Equal(b, "fire_started", b.deliver(rt, manual).Reason)
	b.end(rt)
	foreign := scheduled
	foreign.SignalID = "another name"
	half := scheduled
	half.SignalID, half.IntendedWindow = "", &driver.Window{StartAt: scheduled.IntendedWindow.StartAt}

	b.advance(time.Hour)
	require.Equal(b, driver.Pruned{Cancelled: 2, Fires: 1}, b.prune(rt, squidmesh.Retention{Cancelled: time.Minute, Fires: time.Minute}))
	require.Empty(b, b.states(rt, "nightly"))
	for _, late := range []driver.Delivery{scheduled, skipped, manual, foreign, half} {
		outcome := b.deliver(rt, late)
		require.Equal(b, flow.OutcomeDrop, outcome.Kind)
		require.Equal(b, "window_pruned", outcome.Reason)
	}
	require.Empty(b, b.runs(rt))

	b.at("2026-03-03T07:00:00Z")
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason, "the next window is another one")
}

func openFireOutlivesPruning[TTx any](b *cronBench[TTx]) {
	rt := b.process(probedQueue[TTx]{b.queue}, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	b.at("2026-03-02T07:00:00Z")
	first := b.tick(rt)[0]
	b.at("2026-03-03T07:00:00Z")
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason)
	b.end(rt)
	b.at("2026-03-04T06:00:00Z")
	require.Equal(b, driver.Pruned{Cancelled: 1}, b.prune(rt, squidmesh.Retention{Cancelled: time.Minute, Fires: time.Minute}))
	require.Equal(b, "fire_started", b.deliver(rt, first).Reason)
	require.Len(b, b.runs(rt), 1)
}

// brokenStore fails at the end of the transaction of one prune.
type brokenStore[TTx any] struct {
	driver.Store[TTx]
	calls, broken int
}

var errBroken = errors.New("the process dies")

func (s *brokenStore[TTx]) Prune(ctx context.Context, tx TTx, q driver.PruneQuery) (driver.Pruned, error) {
	pruned, err := s.Store.Prune(ctx, tx, q)
	if s.calls++; s.calls == s.broken {
		return driver.Pruned{}, errBroken
	}
	return pruned, err
}

func crashLeavesWholeBatches[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(byHand))
	b.cancelled(rt, 7)
	b.advance(time.Hour)
	r := squidmesh.Retention{Cancelled: time.Minute, Batch: 2}
	dying, err := squidmesh.New(&squidmesh.Config[TTx]{
		Store: &brokenStore[TTx]{Store: b.store, broken: 3}, Executor: b.queue, Workflows: []squidmesh.Workflow{digest(byHand)},
	})
	require.NoError(b, err)
	pruned, err := dying.PruneRuns(b.Context(), r)
	require.ErrorIs(b, err, errBroken)
	require.Equal(b, driver.Pruned{Cancelled: 4}, pruned, "two batches are gone, the third is whole")
	require.Len(b, b.runs(rt), 3)
	violations, err := b.check(nil)
	require.NoError(b, err)
	require.Empty(b, violations)
	require.Equal(b, driver.Pruned{Cancelled: 3}, b.prune(rt, r))
	require.Empty(b, b.runs(rt))
}

func manyPruners[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(byHand))
	b.cancelled(rt, 30)
	b.advance(time.Hour)
	var total atomic.Int64
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			pruned, err := rt.PruneRuns(b.Context(), squidmesh.Retention{Cancelled: time.Minute, Batch: 4})
			total.Add(int64(pruned.Runs()))
			done <- err
		}()
	}
	for range cap(done) {
		require.NoError(b, <-done)
	}
	require.EqualValues(b, 30, total.Load(), "each is counted once")
	require.Empty(b, b.runs(rt))
}

func shapeGoesWithItsLastRun[TTx any](b *cronBench[TTx]) {
	ctx := b.Context()
	before := digest(byHand)
	before.Steps = append(before.Steps, squidmesh.Step{Name: "more", Do: before.Steps[0].Do})
	before.Steps[0].Next = "more"
	old := b.process(b.queue, before)
	b.cancelled(old, 1)
	require.NoError(b, old.Stop(ctx))
	rt := b.process(b.queue, digest(byHand))
	b.at("2046-01-01T00:00:00Z") // beyond the database's own clock, by which uses are noted
	require.Equal(b, driver.Pruned{Cancelled: 1, Shapes: 1}, b.prune(rt, squidmesh.Retention{Cancelled: time.Minute}),
		"not the one of a living worker, though no run has it")
	client, err := squidmesh.New(&squidmesh.Config[TTx]{Store: b.store, Executor: b.queue, Workflows: []squidmesh.Workflow{before}})
	require.NoError(b, err)
	run, err := client.StartRun(ctx, squidmesh.StartParams{Workflow: "digest"})
	require.NoError(b, err)
	in, err := rt.InspectRun(ctx, run.ID, nil)
	require.NoError(b, err, "whoever starts a run brings its shape back")
	require.Len(b, in.Steps, 2)
}

func inspectionIsASnapshot[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(byHand))
	id := b.cancelled(rt, 1)[0]
	b.advance(time.Hour)
	require.NoError(b, b.store.View(b.Context(), func(ctx context.Context, tx TTx) error {
		before, err := rt.InspectRunTx(ctx, tx, id, &squidmesh.InspectOptions{History: true})
		require.NoError(b, err)
		require.Equal(b, driver.Pruned{Cancelled: 1}, b.prune(rt, squidmesh.Retention{Cancelled: time.Minute}))
		after, err := rt.InspectRunTx(ctx, tx, id, &squidmesh.InspectOptions{History: true})
		require.NoError(b, err)
		require.Equal(b, before, after)
		return nil
	}))
	_, err := rt.InspectRun(b.Context(), id, nil)
	require.ErrorIs(b, err, squidmesh.ErrNotFound)
}

// watchedStore tells when a transaction that has pruned is over.
type watchedStore[TTx any] struct {
	driver.Store[TTx]
	done chan driver.Pruned
}

type watchedPrune struct{}

func (s watchedStore[TTx]) InTx(ctx context.Context, fn func(context.Context, TTx) error) error {
	var pruned *driver.Pruned
	err := s.Store.InTx(context.WithValue(ctx, watchedPrune{}, &pruned), fn)
	if pruned != nil && err == nil {
		s.done <- *pruned
	}
	return err
}

func (s watchedStore[TTx]) Prune(ctx context.Context, tx TTx, q driver.PruneQuery) (driver.Pruned, error) {
	pruned, err := s.Store.Prune(ctx, tx, q)
	if at, ok := ctx.Value(watchedPrune{}).(**driver.Pruned); ok {
		*at = &pruned
	}
	return pruned, err
}

func prunesInTheBackground[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(byHand))
	b.cancelled(rt, 3)
	b.advance(time.Hour)
	store := watchedStore[TTx]{b.store, make(chan driver.Pruned, 10)}
	pruning, err := squidmesh.New(&squidmesh.Config[TTx]{
		Store: store, Executor: b.queue, Workflows: []squidmesh.Workflow{digest(byHand)}, Logger: slog.New(slog.DiscardHandler),
		Retention: squidmesh.Retention{Cancelled: time.Minute, Batch: 2},
	})
	require.NoError(b, err)
	require.NoError(b, pruning.Start(b.Context()))
	require.Equal(b, driver.Pruned{Cancelled: 2}, <-store.done)
	require.Equal(b, driver.Pruned{Cancelled: 1}, <-store.done, "a full batch is followed by another")
	require.NoError(b, pruning.Stop(b.Context()))
	require.Empty(b, b.runs(rt))
}

func badRetention[TTx any](b *cronBench[TTx]) {
	for field, r := range map[string]squidmesh.Retention{
		"Retention.Completed": {Completed: time.Second},
		"Retention.Failed":    {Failed: -time.Hour},
		"Retention.Fires":     {Fires: 59 * time.Second},
		"Retention.Batch":     {Cancelled: time.Hour, Batch: 10_001},
	} {
		_, err := squidmesh.New(&squidmesh.Config[TTx]{
			Store: b.store, Executor: b.queue, Workflows: []squidmesh.Workflow{digest(byHand)}, Retention: r,
		})
		var config *squidmesh.ConfigError
		require.ErrorAs(b, err, &config)
		require.ErrorContains(b, err, field)
		rt := b.process(b.queue, digest(byHand))
		var input *squidmesh.InputError
		_, err = rt.PruneRuns(b.Context(), r)
		require.ErrorAs(b, err, &input)
		require.Equal(b, field, input.Field)
		_, err = rt.PreviewPrune(b.Context(), r)
		require.ErrorAs(b, err, &input)
	}
}
