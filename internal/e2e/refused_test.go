package e2e

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

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

func TestReplayRun_RefusedBatchLeavesNothing(t *testing.T) {
	t.Parallel()

	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{fork()}})
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "fork"})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: refusing[pgx.Tx]{riveradapter.New(p.client)}, Workflows: []squidmesh.Workflow{fork()},
	})
	require.NoError(t, err)
	_, err = rt.ReplayRun(t.Context(), run.ID, squidmesh.ReplayParams{})
	require.ErrorIs(t, err, squidmesh.ErrDispatch)
	require.ErrorIs(t, err, errQueue)
	page, err := p.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
}

// A caller who joins a start to his own transaction is told that the job was refused; nothing of the run is left when he rolls back.
func TestRefusedStartTx_IsTheCallersToRollBack(t *testing.T) {
	t.Parallel()

	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{fork()}})
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: refusing[pgx.Tx]{riveradapter.New(p.client)}, Workflows: []squidmesh.Workflow{fork()},
	})
	require.NoError(t, err)
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := rt.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "fork"})
		return err
	})
	require.ErrorIs(t, err, squidmesh.ErrDispatch)
	for _, table := range tables {
		var rows int
		require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&rows))
		require.Zero(t, rows, table)
	}
}

// forgetful is a queue that says nothing of the last of several jobs.
type forgetful[TTx any] struct{ noQueue[TTx] }

func (f forgetful[TTx]) EnqueueSteps(ctx context.Context, tx TTx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	return f.noQueue.EnqueueSteps(ctx, tx, jobs[1:])
}

func TestExecutorThatAnswersTooLittle_IsRefused(t *testing.T) {
	t.Parallel()

	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil), Executor: forgetful[*sql.Tx]{}, Workflows: []squidmesh.Workflow{fork()},
	})
	require.NoError(t, err)
	_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "fork"})
	require.ErrorIs(t, err, squidmesh.ErrDispatch)
	require.ErrorContains(t, err, "answered 1 of 2 jobs")
	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	require.Empty(t, page.Runs)
}

// curt is a queue that takes everything at once and says nothing of it.
type curt struct{ noQueue[*sql.Tx] }

func (curt) EnqueueBatch(context.Context, *sql.Tx, driver.Batch) (driver.BatchMetadata, error) {
	return driver.BatchMetadata{}, nil
}

func TestBatchExecutorThatAnswersTooLittle_IsRefused(t *testing.T) {
	t.Parallel()

	workflow := fork()
	workflow.Triggers = append(workflow.Triggers, squidmesh.Cron("yearly", "@yearly", "", squidmesh.Contract{}))
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil), Executor: curt{}, Workflows: []squidmesh.Workflow{workflow}, ManualTick: true,
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
	_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "fork"})
	require.ErrorIs(t, err, squidmesh.ErrDispatch)
	require.ErrorContains(t, err, "answered 0 of 2 jobs")
	_, err = rt.FireTrigger(t.Context(), "fork", "yearly", squidmesh.TriggerParams{})
	require.ErrorIs(t, err, squidmesh.ErrDispatch)
	require.ErrorContains(t, err, "answered 0 of 1 cron jobs")

	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	require.Empty(t, page.Runs)
	triggers, err := rt.ListTriggers(t.Context(), squidmesh.ListTriggersParams{})
	require.NoError(t, err)
	require.Empty(t, triggers[0].Fires)
}

// panicking is a queue with a mistake in it.
type panicking[TTx any] struct{ noQueue[TTx] }

func (panicking[TTx]) EnqueueStep(context.Context, TTx, driver.StepJob) (driver.JobMetadata, error) {
	panic("no such queue")
}

func TestExecutorThatPanics_IsRefused(t *testing.T) {
	t.Parallel()

	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil), Executor: panicking[*sql.Tx]{}, Workflows: []squidmesh.Workflow{note()}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	for _, key := range []string{"", "once"} {
		_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "note", Key: key})
		require.ErrorIs(t, err, squidmesh.ErrDispatch)
		require.ErrorContains(t, err, "executor panicked: no such queue")
	}
	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	require.Empty(t, page.Runs)
}

// bewildered is a queue that takes jobs, and panics when it is asked about them or told of them.
type bewildered[TTx any] struct {
	noQueue[TTx]
	woken chan struct{} // has room for one
}

func (bewildered[TTx]) ProbeJobs(context.Context, TTx, time.Time, []string) (map[string]flow.JobState, error) {
	panic("no such job")
}

func (b bewildered[TTx]) Wake(context.Context, driver.NotifyFunc, []string) error {
	select {
	case b.woken <- struct{}{}:
	default: // one more wake-up than the test waits for
	}
	panic("nobody sleeps")
}

// A queue that panics in the goroutines of ticks and wake-ups does not end the program: the tick says so, and the next one and the
// next wake-up come all the same.
func TestExecutorThatPanicsInTheBackground_EndsNothing(t *testing.T) {
	t.Parallel()

	var late atomic.Bool
	clock := func(now time.Time) time.Time {
		if late.Load() {
			return now.Add(10 * time.Second)
		}
		return now
	}
	queue := bewildered[*sql.Tx]{woken: make(chan struct{}, 1)}
	workflow := note()
	workflow.Triggers = append(workflow.Triggers, squidmesh.Cron("yearly", "@yearly", "", squidmesh.Contract{}))
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, &sqlitestore.Options{Clock: clock}), Executor: queue, Workflows: []squidmesh.Workflow{workflow},
		Logger: slog.New(slog.DiscardHandler), ManualTick: true,
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "note"})
	require.NoError(t, err)
	<-queue.woken
	_, err = rt.FireTrigger(t.Context(), "note", "yearly", squidmesh.TriggerParams{})
	require.NoError(t, err)
	<-queue.woken

	late.Store(true)
	for range 2 {
		const failed = "probe 1 job: executor panicked: no such job"
		require.EqualError(t, rt.Tick(t.Context()), "sweep: "+failed+"\nlook after fires: cron: "+failed, "of the step, and of the fire")
	}
	ex, err := rt.ExplainRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, "note", ex.Step, "explained without what only the queue knows")
}

// breaking is a queue that fails together with the transaction that it was given, as long as it is broken.
type breaking struct {
	noQueue[pgx.Tx]
	broken atomic.Bool
}

func (b *breaking) EnqueueStep(ctx context.Context, tx pgx.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	if b.broken.Load() {
		_, err := tx.Exec(ctx, "select 1/0")
		return driver.JobMetadata{}, errors.Join(errQueue, err)
	}
	return b.noQueue.EnqueueStep(ctx, tx, job)
}

// The queue fails with an SQL error, after which PostgreSQL takes nothing more in that transaction. What the step did is recorded
// all the same, together with its writes if it is a FuncTx step, and its successor is sent later.
func TestStep_WhoseSuccessorsJobBreaksTheTransactionIsKept(t *testing.T) {
	t.Parallel()

	for name, act := range map[string]squidmesh.Action{
		"func": squidmesh.Effect(func(context.Context, struct{}) error { return nil }),
		"func tx": squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
			_, err := tx.Exec(ctx, "insert into note values (1)")
			return err
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			pool := dbtest.Postgres(t)
			_, err := pool.Exec(t.Context(), "create table note (n integer)")
			require.NoError(t, err)
			queue := &breaking{}
			rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
				Store: pgstore.New(pool, nil), Executor: queue, Logger: slog.New(slog.DiscardHandler),
				Workflows: []squidmesh.Workflow{{Name: "two", Triggers: byHand, Steps: []squidmesh.Step{
					{Name: "first", Do: act, Next: "second"},
					{Name: "second", Priority: 2, Do: nothing()}, // another priority: by a job of its own
				}}},
			})
			require.NoError(t, err)
			require.NoError(t, rt.Start(t.Context()))
			t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
			run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "two"})
			require.NoError(t, err)
			deliver := func(step string) *squidmesh.Inspection {
				_, err := rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: step, Attempt: 1}.Delivery())
				require.NoError(t, err)
				in, err := rt.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
				require.NoError(t, err)
				return in
			}

			queue.broken.Store(true)
			in := deliver("first")
			require.Equal(t, "completed", in.Steps[0].Status)
			require.Empty(t, in.Attempts, "it was not executed twice")
			require.Equal(t, "scheduled", in.Steps[1].Status)
			require.Empty(t, in.Steps[1].Do.JobID)
			if name == "func tx" {
				var notes int
				require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from note").Scan(&notes))
				require.Equal(t, 1, notes)
			}

			queue.broken.Store(false)
			require.Eventually(t, func() bool {
				in, err := rt.InspectRun(t.Context(), run.ID, nil)
				return err == nil && in.Steps[1].Do.JobID != ""
			}, time.Minute, 10*time.Millisecond)
			require.Equal(t, squidmesh.RunCompleted, deliver("second").Run.Status)
		})
	}
}
