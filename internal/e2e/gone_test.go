package e2e

import (
	"context"
	"database/sql"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// nap waits for so short a time that a job which is gone is noticed while the test looks on, and long enough for taking it in time.
func nap() squidmesh.Workflow { return waiting("nap", 2*time.Second) }

func waiting(name string, d time.Duration) squidmesh.Workflow {
	return squidmesh.Workflow{Name: name, Triggers: byHand, Steps: []squidmesh.Step{{Name: "nap", Do: squidmesh.Wait(d)}}}
}

// hardlyTicks is a heartbeat that no test outlasts, with the lease that bears it: what happens does not come from a tick.
const hardlyTicks = 10 * time.Minute

// takers are the ways in which somebody takes a job out of the queue.
func takers[TTx any](client *river.Client[TTx]) []func(context.Context, int64) error {
	return []func(context.Context, int64) error{
		func(ctx context.Context, id int64) error { _, err := client.JobDelete(ctx, id); return err },
		func(ctx context.Context, id int64) error { _, err := client.JobCancel(ctx, id); return err },
	}
}

// The process that set a timer sends its job again once it is late: the same attempt, since nobody had begun it.
func TestTimer_SurvivesTheLossOfItsJob(t *testing.T) {
	t.Parallel()

	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		pool := dbtest.Postgres(t, dbtest.River)
		p := startProgram(t, &squidmesh.Config[pgx.Tx]{
			Store: pgstore.New(pool, &pgstore.Options{Lease: 3 * hardlyTicks}), Heartbeat: hardlyTicks,
			Workflows: []squidmesh.Workflow{nap()},
		}, riverpgxv5.New(pool))
		for _, take := range takers(p.client) {
			jobIsGone(t, p, start(t, p), take)
		}
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		store := dbtest.SQLite(t, nil, dbtest.River)
		p := startProgram(t, &squidmesh.Config[*sql.Tx]{
			Store: store, Heartbeat: store.Traits().Lease / 3, // longer than the test
			Workflows: []squidmesh.Workflow{nap()},
		}, riversqlite.New(store.DB()))
		for _, take := range takers(p.client) {
			jobIsGone(t, p, start(t, p), take)
		}
	})
}

// A job that waits for River's leader when there is none is late too, be it that an operator has touched it, or that it was due so late
// that it was left to the leader.
func TestTimer_NeedsNoLeader(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.River)
	p := startProgram(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, &pgstore.Options{Lease: 3 * hardlyTicks}), Heartbeat: hardlyTicks,
		Workflows: []squidmesh.Workflow{nap(), waiting("long", 7*time.Second)},
	}, riverpgxv5.New(pool), func(c *river.Config) { c.LeaderElectionDisabled = true })

	long, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "long"})
	require.NoError(t, err)
	first := jobOf(t, p, long.ID)
	var state string
	require.NoError(t, pool.QueryRow(t.Context(), "select state from river_job where id = $1", first).Scan(&state))
	require.Equal(t, "scheduled", state)
	jobIsGone(t, p, start(t, p), func(ctx context.Context, id int64) error {
		_, err := pool.Exec(ctx, "update river_job set state = 'scheduled' where id = $1", id)
		return err
	})
	requireSentAgain(t, p, long.ID)
	require.NotEqual(t, first, jobOf(t, p, long.ID))
}

// A job that merely stands in line is left there, however late it is.
func TestTimer_OfAPausedQueueGetsNoSecondJob(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.River)
	p := startProgram(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, &pgstore.Options{Lease: 3 * hardlyTicks}), Heartbeat: hardlyTicks,
		Workflows: []squidmesh.Workflow{nap()},
	}, riverpgxv5.New(pool))
	paused, stop := p.client.Subscribe(river.EventKindQueuePaused)
	defer stop()
	require.NoError(t, p.client.QueuePause(t.Context(), "squidmesh", nil))
	<-paused

	var patient []squidmesh.RunID
	for range 5 {
		patient = append(patient, start(t, p))
	}
	// Those are looked at no later than this one, which is due after them, and whose job is gone.
	last := start(t, p)
	lost := jobOf(t, p, last)
	_, err := p.client.JobDelete(t.Context(), lost)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return jobOf(t, p, last) != lost }, time.Minute, 10*time.Millisecond)

	var jobs int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from river_job").Scan(&jobs))
	require.Equal(t, len(patient)+1, jobs)
	require.NoError(t, p.client.QueueResume(t.Context(), "squidmesh", nil))
	for _, id := range append(patient, last) {
		awaitStatus(t, p, id, squidmesh.RunCompleted)
	}
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from river_job").Scan(&jobs))
	require.Equal(t, len(patient)+1, jobs)
}

// When the process that set the timer is not there any more, the tick of another finds the step late.
func TestTick_SendsAgainWhatHasLostItsJob(t *testing.T) {
	t.Parallel()

	const loseJobs = "delete from river_job"
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		pool := dbtest.Postgres(t, dbtest.River)
		config := squidmesh.Config[pgx.Tx]{Store: pgstore.New(pool, nil), Workflows: []squidmesh.Workflow{nap()}}
		earlier := config
		run := startWithoutWorking(t, &earlier, riverpgxv5.New(pool))
		_, err := pool.Exec(t.Context(), loseJobs)
		require.NoError(t, err)
		requireSentAgain(t, startProgram(t, &config, riverpgxv5.New(pool)), run)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		store := dbtest.SQLite(t, nil, dbtest.River)
		config := squidmesh.Config[*sql.Tx]{Store: store, Workflows: []squidmesh.Workflow{nap()}}
		earlier := config
		run := startWithoutWorking(t, &earlier, riversqlite.New(store.DB()))
		_, err := store.DB().ExecContext(t.Context(), loseJobs)
		require.NoError(t, err)
		requireSentAgain(t, startProgram(t, &config, riversqlite.New(store.DB())), run)
	})
}

// start starts a run of nap.
func start[TTx any](t *testing.T, p program[TTx]) squidmesh.RunID {
	t.Helper()
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "nap"})
	require.NoError(t, err)
	return run.ID
}

// jobOf is the job of a run's only step.
func jobOf[TTx any](t *testing.T, p program[TTx], id squidmesh.RunID) int64 {
	t.Helper()
	in, err := p.InspectRun(t.Context(), id, nil)
	require.NoError(t, err)
	job, err := strconv.ParseInt(in.Steps[0].Do.JobID, 10, 64)
	require.NoError(t, err)
	return job
}

// jobIsGone takes the job of a run's only step, and requires that another one delivers the same attempt.
func jobIsGone[TTx any](t *testing.T, p program[TTx], run squidmesh.RunID, take func(context.Context, int64) error) {
	t.Helper()
	lost := jobOf(t, p, run)
	require.NoError(t, take(t.Context(), lost))
	requireSentAgain(t, p, run)
	require.NotEqual(t, lost, jobOf(t, p, run))
}

func requireSentAgain[TTx any](t *testing.T, p program[TTx], run squidmesh.RunID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended, err := p.AwaitRun(ctx, run)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, ended.Status)
	in, err := p.InspectRun(t.Context(), run, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	var kinds []flow.AuditKind
	for _, entry := range in.Audit {
		kinds = append(kinds, entry.Kind)
	}
	require.Equal(t, []flow.AuditKind{flow.AuditStarted, flow.AuditRedelivered, flow.AuditSucceeded}, kinds)
	require.Equal(t, 1, in.Steps[0].Do.Attempt)
}
