package e2e

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
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
	store := pgstore.New(dbtest.Postgres(t), nil)
	var runtimes [2]*squidmesh.Runtime[pgx.Tx]
	for i := range runtimes {
		rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{Store: store, Executor: noQueue[pgx.Tx]{}, Workflows: []squidmesh.Workflow{workflow}})
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
				outcome, err := runtimes[i%2].Perform(t.Context(), squidmesh.StepJob{RunID: run.ID, Step: "act", Attempt: 1}.Delivery())
				if outcome.Kind != squidmesh.Done {
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
