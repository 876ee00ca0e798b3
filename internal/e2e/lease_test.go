package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// Bodies that hold every connection of the pool for longer than the lease do not cost the worker its lease.
func TestLease_OutlivesAPoolThatBodiesExhaust(t *testing.T) {
	t.Parallel()

	const lease = 6 * time.Second
	release := make(chan struct{})
	pool := dbtest.Postgres(t, dbtest.River)
	_, other := dbtest.Proxied(t, pool)
	p := startProgram(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, &pgstore.Options{Lease: lease}), Heartbeat: lease / 5,
		Workflows: []squidmesh.Workflow{{Name: "hog", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "hog", Do: squidmesh.EffectTx(func(ctx context.Context, _ pgx.Tx, _ struct{}) error {
				select {
				case <-release:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})},
		}}},
	}, riverpgxv5.New(pool))
	var runs []squidmesh.RunID
	// The bodies of some would leave no connection for starting the rest: they begin together.
	require.NoError(t, pgx.BeginFunc(t.Context(), other, func(tx pgx.Tx) error {
		for range pool.Config().MaxConns + 2 {
			run, err := p.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "hog"})
			if err != nil {
				return err
			}
			runs = append(runs, run.ID)
		}
		return nil
	}))
	exhausted := func() bool { return pool.Stat().AcquiredConns() == pool.Config().MaxConns }
	require.Eventually(t, exhausted, time.Minute, 10*time.Millisecond)
	var until time.Time
	require.NoError(t, other.QueryRow(t.Context(), "select lease_until + $1 from squidmesh_worker", 2*lease).Scan(&until))
	require.Eventually(t, func() bool {
		var renewed bool
		err := other.QueryRow(t.Context(), "select lease_until > $1 from squidmesh_worker where lost_at is null", until).Scan(&renewed)
		return err == nil && renewed
	}, 2*time.Minute, 20*time.Millisecond, "the lease is not renewed")
	require.True(t, exhausted())
	close(release)
	for _, id := range runs {
		awaitStatus(t, p, id, squidmesh.RunCompleted)
		in, err := p.InspectRun(t.Context(), id, nil)
		require.NoError(t, err)
		require.Equal(t, 1, in.Steps[0].Do.Attempt)
	}
}

// A process that cannot reach its database does not know whether it has been declared lost. At the end of its lease it tells its steps
// to stop, and once the database is back it gives them back: no failure and no loss is counted.
func TestLease_ThatCannotBeProvenEndsTheSteps(t *testing.T) {
	t.Parallel()

	const lease = 2 * time.Second
	direct := dbtest.Postgres(t, dbtest.River)
	proxy, pool := dbtest.Proxied(t, direct)
	begun, told := make(chan struct{}, 1), make(chan error, 1)
	workflows := []squidmesh.Workflow{{Name: "wait", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "wait", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
			if info, _ := squidmesh.Info(ctx); info.Attempt > 1 {
				return nil
			}
			begun <- struct{}{}
			<-ctx.Done()
			told <- context.Cause(ctx)
			return context.Cause(ctx)
		})},
	}}}
	p := startProgram(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, &pgstore.Options{Lease: lease}), Heartbeat: lease / 5, Workflows: workflows,
	}, riverpgxv5.New(pool))
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "wait"})
	require.NoError(t, err)
	<-begun
	proxy.Away(true)
	select {
	case cause := <-told:
		require.ErrorIs(t, cause, squidmesh.ErrLeaseLost)
	case <-time.After(10 * lease):
		require.Fail(t, "the step is not told")
	}
	proxy.Away(false)

	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{Store: pgstore.New(direct, nil), Executor: noQueue[pgx.Tx]{}, Workflows: workflows})
	require.NoError(t, err)
	reader := program[pgx.Tx]{Runtime: rt} // whose connections are not broken
	awaitStatus(t, reader, run.ID, squidmesh.RunCompleted)
	in, err := reader.InspectRun(t.Context(), run.ID, nil)
	require.NoError(t, err)
	require.Equal(t, 2, in.Steps[0].Do.Attempt)
	require.Zero(t, in.Steps[0].Do.Failures+in.Steps[0].Do.Losses)
}

// A run that somebody has locked, as a process that was frozen in a transaction has, keeps no other run from being taken over, and no
// step of another run from being recorded.
func TestTakeOver_DoesNotWaitForALockedRun(t *testing.T) {
	t.Parallel()

	begun := make(chan squidmesh.RunID, 2)
	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{
		Workflows: []squidmesh.Workflow{{Name: "hang", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "hang", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
				info, _ := squidmesh.Info(ctx)
				if info.Attempt > 1 {
					return nil
				}
				begun <- info.RunID
				<-ctx.Done()
				return context.Cause(ctx)
			})},
		}}},
	})
	var runs []squidmesh.RunID
	for range 2 {
		run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "hang"})
		require.NoError(t, err)
		runs = append(runs, run.ID)
	}
	<-begun
	<-begun

	locked, free := runs[0], runs[1] // by their ids the locked one comes first in every list
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), "select from squidmesh_run where id = $1 for update", locked)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "update squidmesh_worker set lost_at = clock_timestamp()")
	require.NoError(t, err)

	requireTakenOver(t, p, free)
	require.NoError(t, tx.Commit(t.Context()))
	requireTakenOver(t, p, locked)
}

func TestNew_RefusesAHeartbeatThatTheLeaseCannotBear(t *testing.T) {
	t.Parallel()

	config := &squidmesh.Config[pgx.Tx]{Store: pgstore.New(dbtest.Postgres(t), &pgstore.Options{Lease: 2 * time.Second}), Heartbeat: time.Second}
	_, err := squidmesh.New(config)
	require.ErrorContains(t, err, "1s is more than a third of the store's lease of 2s")
}
