package e2e

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// The jobs of thousands of steps that are due were deleted, and the database is far away. They get others by the hundred, and meanwhile windows
// fire and decisions expire as if there were nothing else to do. The log has the rates that docs/operating.md cites.
func TestTick_BacklogFarAwayHoldsUpNoDeadline(t *testing.T) {
	t.Parallel()

	lost := 10_000
	if testing.Short() {
		lost = 2000
	}
	// One after the other, so that neither spoils the other's rate.
	t.Run("20ms", func(t *testing.T) { backlogFarAway(t, 20*time.Millisecond, lost) })
	t.Run("40ms", func(t *testing.T) { backlogFarAway(t, 40*time.Millisecond, lost/5) })
}

// backlogFarAway deletes that many jobs, where a round trip to the database takes as long.
func backlogFarAway(t *testing.T, roundTrip time.Duration, lost int) {
	const patience, onTime = 3 * time.Second, 2 * time.Second
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

	idle := dbtest.Postgres(t, dbtest.River) // where there is no backlog, and the machine and the network are the same
	for _, pool := range []*pgxpool.Pool{idle, near} {
		rt := deskOn(t, dbtest.Distant(t, pool, roundTrip/2), &squidmesh.Config[pgx.Tx]{Workflows: workflows})
		require.NoError(t, rt.Start(t.Context()))
		defer func() { require.NoError(t, rt.Stop(context.Background())) }()
	}
	started := time.Now()
	count := func(query string) (n int) {
		require.NoError(t, near.QueryRow(t.Context(), query).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return count("select count(*) from river_job where kind = 'squidmesh.step'") >= lost }, time.Minute, 20*time.Millisecond)
	took := time.Since(started)
	require.Eventually(t, func() bool { return count("select count(*) from squidmesh_fire") >= 5 }, time.Minute, 20*time.Millisecond)

	var again time.Duration // between the first and the last that was redelivered
	require.NoError(t, near.QueryRow(t.Context(), "select max(at) - min(at) from squidmesh_event where kind = 'redelivered'").Scan(&again))
	t.Logf("%s of network, %d CPUs: %d jobs replaced %s after the start, in %s, which is %.0f a second", roundTrip, runtime.NumCPU(), lost,
		took.Round(10*time.Millisecond), again.Round(10*time.Millisecond), float64(lost)/again.Seconds())
	require.Less(t, took, time.Duration(lost)*roundTrip/2, "a transaction for each would take minutes")

	in, err := desk.InspectRun(t.Context(), review.ID, nil)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunFailed, in.Run.Status)
	late := in.Run.FinishedAt.Sub(in.Steps[0].Do.StartedAt.Add(patience))
	late = min(late, in.Run.FinishedAt.Sub(started)) // before which nobody was there to see it
	late = max(late, latestWindow(t, near))
	anyway := latestWindow(t, idle)
	t.Logf("the latest window or decision was %s late, and %s without a backlog", late.Round(time.Millisecond), anyway.Round(time.Millisecond))
	require.LessOrEqual(t, late, max(onTime, anyway+time.Second))
}

// latestWindow is how late the latest window was fired.
func latestWindow(t *testing.T, pool *pgxpool.Pool) (late time.Duration) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "select max(fired_at - window_at) from squidmesh_fire").Scan(&late))
	return late
}
