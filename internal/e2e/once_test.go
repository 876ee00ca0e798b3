package e2e

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// A queue may deliver one job many times at once, to several processes. One of them executes.
func TestPerform_OneOfManyDeliveriesExecutes(t *testing.T) {
	t.Parallel()

	const runs, deliveries = 50, 8
	var calls atomic.Int64
	workflow := squidmesh.Workflow{Name: "once", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "act", Do: squidmesh.Effect(func(context.Context, struct{}) error { calls.Add(1); return nil })},
	}}
	store := pgstore.New(dbtest.Postgres(t), &pgstore.Options{Lease: time.Minute})
	var runtimes [2]*squidmesh.Runtime[pgx.Tx]
	for i := range runtimes {
		rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
			Store: store, Executor: noQueue[pgx.Tx]{}, TimeSlice: time.Minute,
			Workflows: []squidmesh.Workflow{workflow},
		})
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
		runtimes[i] = rt
	}
	for range runs {
		run, err := runtimes[0].StartRun(t.Context(), squidmesh.StartParams{Workflow: "once"})
		require.NoError(t, err)
		var group errgroup.Group
		for i := range deliveries {
			group.Go(func() error {
				outcome, err := runtimes[i%2].Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "act", Attempt: 1}.Delivery())
				if outcome.Kind != flow.OutcomeDone {
					t.Errorf("delivery %d is answered with %+v", i, outcome)
				}
				return err
			})
		}
		require.NoError(t, group.Wait())
		in, err := runtimes[0].InspectRun(t.Context(), run.ID, nil)
		require.NoError(t, err)
		require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
	}
	require.EqualValues(t, runs, calls.Load())
}

// What a process remembers of a run is of no use once another one has moved it: the same decision is not taken twice.
func TestUnblock_AfterAnotherProcessDidIsRefused(t *testing.T) {
	t.Parallel()

	workflow := squidmesh.Workflow{Name: "gates", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "first", Do: nothing(), Next: "gate"},
		{Name: "gate", Do: squidmesh.Pause(), Next: "last"},
		{Name: "last", Do: nothing()},
	}}
	store := pgstore.New(dbtest.Postgres(t), &pgstore.Options{Lease: time.Minute})
	var runtimes [2]*squidmesh.Runtime[pgx.Tx]
	for i := range runtimes {
		rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
			Store: store, Executor: noQueue[pgx.Tx]{}, TimeSlice: time.Minute, Workflows: []squidmesh.Workflow{workflow}, ManualTick: true,
		})
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
		runtimes[i] = rt
	}
	run, err := runtimes[0].StartRun(t.Context(), squidmesh.StartParams{Workflow: "gates"})
	require.NoError(t, err)
	_, err = runtimes[0].Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "first", Attempt: 1}.Delivery())
	require.NoError(t, err)
	_, err = runtimes[1].UnblockRun(t.Context(), run.ID, squidmesh.Decision{Actor: "ann"})
	require.NoError(t, err)
	_, err = runtimes[0].UnblockRun(t.Context(), run.ID, squidmesh.Decision{Actor: "bob", Step: "gate"})
	require.ErrorIs(t, err, squidmesh.ErrNotWaiting)
	in, err := runtimes[1].InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	decided := 0
	for _, entry := range in.Audit {
		if entry.Kind == flow.AuditUnblocked {
			decided++
		}
	}
	require.Equal(t, 1, decided)
}
