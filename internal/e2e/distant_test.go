package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// The jobs of thousands of steps that are due were deleted, and the database is far away. They get others by the hundred, and meanwhile windows
// fire and decisions expire as if there were nothing else to do.
func TestTick_BacklogFarAwayHoldsUpNoDeadline(t *testing.T) {
	t.Parallel()

	const lost, patience, onTime = 2000, 3 * time.Second, 4 * time.Second
	workflows := []squidmesh.Workflow{
		single(),
		{Name: "review", Triggers: byHand, Steps: []squidmesh.Step{{Name: "gate", Do: squidmesh.Pause(), Timeout: patience}}},
		{
			Name: "second", Triggers: []squidmesh.Trigger{{Name: "each", Cron: "@every 1s"}},
			Steps: []squidmesh.Step{{Name: "note", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })}},
		},
	}
	near := dbtest.Postgres(t, dbtest.River)
	desk := deskOn(t, near, &squidmesh.Config[pgx.Tx]{Workflows: workflows})
	var starters sync.WaitGroup
	for range 50 {
		starters.Go(func() {
			for range lost / 50 {
				if _, err := desk.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	starters.Wait()
	_, err := near.Exec(t.Context(), "delete from river_job")
	require.NoError(t, err)

	hand := programOn(t, near, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(near, &pgstore.Options{Lease: 3 * hardlyTicks}), Heartbeat: hardlyTicks, Workflows: workflows[1:2],
	})
	review, err := hand.StartRun(t.Context(), squidmesh.StartParams{Workflow: "review"})
	require.NoError(t, err)
	awaitStatus(t, hand, review.ID, squidmesh.RunPaused)
	hand.stop(t)

	rt := deskOn(t, dbtest.Distant(t, near, 20*time.Millisecond), &squidmesh.Config[pgx.Tx]{Workflows: workflows})
	require.NoError(t, rt.Start(t.Context()))
	defer func() { require.NoError(t, rt.Stop(context.Background())) }()
	started := time.Now()
	count := func(query string) (n int) {
		require.NoError(t, near.QueryRow(t.Context(), query).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return count("select count(*) from river_job where kind = 'squidmesh.step'") >= lost }, time.Minute, 20*time.Millisecond)
	took := time.Since(started)
	require.Eventually(t, func() bool { return count("select count(*) from squidmesh_fire") >= 5 }, time.Minute, 20*time.Millisecond)

	require.Less(t, took, lost*10*time.Millisecond, "a transaction for each would take minutes")
	in, err := desk.InspectRun(t.Context(), review.ID, nil)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunFailed, in.Run.Status)
	late := in.Run.FinishedAt.Sub(in.Steps[0].Do.StartedAt.Add(patience))
	late = min(late, in.Run.FinishedAt.Sub(started)) // before which nobody was there to see it
	require.Less(t, late, onTime, "the decision")
	rows, err := near.Query(t.Context(), "select window_at, fired_at from squidmesh_fire")
	require.NoError(t, err)
	var at, fired time.Time
	_, err = pgx.ForEachRow(rows, []any{&at, &fired}, func() error {
		late = max(late, fired.Sub(at))
		require.Less(t, fired.Sub(at), onTime, "the window at %s", at)
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d jobs in %s; nothing was later than %s", lost, took, late)
}
