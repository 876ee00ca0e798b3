package e2e

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// Deliveries of runs that somebody holds do not use up the pool, however many they are: other runs go on meanwhile, and these when they can.
func TestPerform_HeldRunsLeaveConnectionsToOthers(t *testing.T) {
	t.Parallel()

	const held = 6
	plain := dbtest.Postgres(t)
	pool := dbtest.Changed(t, plain, func(config *pgxpool.Config) { config.MaxConns = 2 })
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: noQueue[pgx.Tx]{}, Workflows: []squidmesh.Workflow{single()},
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
	perform := func(id squidmesh.RunID) error {
		_, err := rt.Perform(t.Context(), driver.StepJob{RunID: id, Step: "only", Attempt: 1}.Delivery())
		return err
	}
	start := func() squidmesh.RunID {
		run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single"})
		require.NoError(t, err)
		return run.ID
	}

	var runs []squidmesh.RunID
	for range held {
		runs = append(runs, start())
	}
	holder, err := plain.Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), "select from squidmesh_run for update")
	require.NoError(t, err)
	var group errgroup.Group
	for _, id := range runs {
		group.Go(func() error { return perform(id) })
	}
	for range 5 { // each with a commit for its start, its claim and its end
		require.NoError(t, perform(start()))
	}
	require.NoError(t, holder.Rollback(t.Context()))
	require.NoError(t, group.Wait())
	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{Statuses: []squidmesh.RunStatus{squidmesh.RunCompleted}})
	require.NoError(t, err)
	require.Len(t, page.Runs, held+5)

	outcome, err := rt.Perform(t.Context(), driver.StepJob{RunID: squidmesh.RunID{1}, Step: "only", Attempt: 1}.Delivery())
	require.NoError(t, err)
	require.Equal(t, flow.OutcomeDrop, outcome.Kind)
}
