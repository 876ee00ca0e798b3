package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// quiet is a workflow of one step, on a queue that no program works.
func quiet() squidmesh.Workflow {
	return squidmesh.Workflow{Name: "quiet", Triggers: byHand, Steps: []squidmesh.Step{{Name: "work", Do: nothing(), Queue: "quiet"}}}
}

// requireExplained expects that the run's only step is due and does not move, for that reason.
func requireExplained(t *testing.T, p program[pgx.Tx], id squidmesh.RunID, code flow.ReasonCode, sentence string) *squidmesh.Explanation {
	t.Helper()
	ex, err := p.ExplainRun(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, code, ex.Code, ex.Sentence)
	require.Equal(t, sentence, ex.Sentence)
	require.Equal(t, squidmesh.RunPending, ex.Status)
	require.Equal(t, []flow.Reason{ex.Reason}, ex.Steps)
	require.Equal(t, []flow.Command{flow.CommandCancel}, ex.Commands)
	require.Len(t, ex.Evidence.Steps, 1)
	return ex
}

func startNamed(t *testing.T, p program[pgx.Tx], workflow string) squidmesh.RunID {
	t.Helper()
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: workflow})
	require.NoError(t, err)
	return run.ID
}

func TestExplainRun_WhoseQueueIsPaused(t *testing.T) {
	t.Parallel()

	p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{note()}})
	events, unsubscribe := p.client.Subscribe(river.EventKindQueuePaused)
	defer unsubscribe()
	require.NoError(t, p.client.QueuePause(t.Context(), "squidmesh", nil))
	<-events // now it fetches no more

	id := startNamed(t, p, "note")
	ex := requireExplained(t, p, id, flow.ReasonQueuePaused, "Step note is due and queue squidmesh is paused.")
	job := ex.Evidence.Jobs[ex.Evidence.Steps[0].JobID]
	require.Equal(t, flow.JobState{State: "available", Queue: "squidmesh", Deliverable: true, Paused: true}, job)

	require.NoError(t, p.client.QueueResume(t.Context(), "squidmesh", nil))
	awaitStatus(t, p, id, squidmesh.RunCompleted)
	ex, err := p.ExplainRun(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, flow.ReasonCompleted, ex.Code)
}

func TestExplainRun_WhoseQueueNobodyWorks(t *testing.T) {
	t.Parallel()

	p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{quiet()}})
	id := startNamed(t, p, "quiet")
	requireExplained(t, p, id, flow.ReasonQueuedNoWorker, "Step work is due and waits in queue quiet, which no process works.")

	p.stop(t)
	requireExplained(t, p, id, flow.ReasonQueuedNoWorker, "Step work is due, and no process is there to execute it.")
}

// A process that cannot ask the queue, as one without a River client, explains what the rows tell.
func TestExplainRun_WhoseQueueCannotBeAsked(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t, dbtest.River)
	config := func(ex driver.Executor[pgx.Tx]) *squidmesh.Config[pgx.Tx] {
		return &squidmesh.Config[pgx.Tx]{Store: pgstore.New(pool, nil), Executor: ex, Workflows: []squidmesh.Workflow{quiet()}}
	}
	id := startWithoutWorking(t, config(nil), riverpgxv5.New(pool))
	rt, err := squidmesh.New(config(riveradapter.New[pgx.Tx](nil)))
	require.NoError(t, err)
	ex, err := rt.ExplainRun(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, flow.ReasonQueuedNoWorker, ex.Code)
	require.Equal(t, "work", ex.Step)
}

// A tick sends a job that is gone again. Here it comes when it is told to, so that the explanation is before it.
func TestExplainRun_WhoseJobWasDiscarded(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.River)
	p := startProgram(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, &pgstore.Options{Lease: time.Minute}), Workflows: []squidmesh.Workflow{quiet()}, ManualTick: true,
	}, riverpgxv5.New(pool))
	id := startNamed(t, p, "quiet")
	tag, err := pool.Exec(t.Context(), "update river_job set state = 'discarded', finalized_at = now()")
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	const discarded = "Step work is due and will not be delivered: its job is discarded. The next tick of a worker sends another."
	ex := requireExplained(t, p, id, flow.ReasonJobDiscarded, discarded)
	lost := ex.Evidence.Steps[0].JobID

	require.Eventually(t, func() bool { // a second after it was due
		if err := p.Tick(t.Context()); err != nil {
			return false
		}
		ex, err := p.ExplainRun(t.Context(), id)
		return err == nil && ex.Code != flow.ReasonJobDiscarded
	}, time.Minute, 50*time.Millisecond)
	ex = requireExplained(t, p, id, flow.ReasonQueuedNoWorker, "Step work is due and waits in queue quiet, which no process works.")
	require.NotEqual(t, lost, ex.Evidence.Steps[0].JobID)
}

func TestExplainRun_BehindOthers(t *testing.T) {
	t.Parallel()

	const workers, waiting = 20, 3 // a program has 20
	begun, release := make(chan struct{}, workers+waiting), make(chan struct{})
	p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{{
		Name: "busy", Triggers: byHand, Steps: []squidmesh.Step{{Name: "work", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
			begun <- struct{}{}
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})}},
	}}})
	var ids []squidmesh.RunID
	for range workers {
		ids = append(ids, startNamed(t, p, "busy"))
	}
	for range workers {
		<-begun
	}
	for range waiting {
		ids = append(ids, startNamed(t, p, "busy"))
	}

	ex, err := p.ExplainRun(t.Context(), ids[0])
	require.NoError(t, err)
	require.Equal(t, flow.ReasonRunning, ex.Code)
	require.Len(t, ex.Evidence.Workers, 1)
	requireExplained(t, p, ids[workers], flow.ReasonQueued, "Step work is due and waits in queue squidmesh for a worker.")
	requireExplained(t, p, ids[workers+1], flow.ReasonQueuedBehind, "Step work is due and waits in queue squidmesh behind another one.")
	requireExplained(t, p, ids[workers+2], flow.ReasonQueuedBehind, "Step work is due and waits in queue squidmesh behind 2 others.")

	close(release)
	for _, id := range ids {
		awaitStatus(t, p, id, squidmesh.RunCompleted)
	}
}

// A run waits for its function as long as no process has one that fits, and goes on once one has.
func TestExplainRun_WhoseFunctionIsGone(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.River)
	deploy := func(steps ...squidmesh.Step) program[pgx.Tx] {
		return startProgram(t, &squidmesh.Config[pgx.Tx]{
			Store: pgstore.New(pool, nil), Workflows: []squidmesh.Workflow{{Name: "sale", Triggers: byHand, Steps: steps}}, Name: "till",
		}, riverpgxv5.New(pool))
	}
	charge := squidmesh.Step{Name: "charge", Do: nothing()}
	id := startWithoutWorking(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Workflows: []squidmesh.Workflow{{Name: "sale", Triggers: byHand, Steps: []squidmesh.Step{charge}}},
	}, riverpgxv5.New(pool))

	p := deploy(squidmesh.Step{Name: "invoice", Do: nothing()})
	requireExplained(t, p, id, flow.ReasonFunctionUnknown, "Step charge is due, and no living process has the function sale/charge.")
	p.stop(t)

	p = deploy(squidmesh.Step{Name: "charge", Do: squidmesh.EffectTx(func(context.Context, pgx.Tx, struct{}) error { return nil })})
	requireExplained(t, p, id, flow.ReasonFunctionIncompatible,
		"Step charge is due, and the function sale/charge does not fit the run any more: it is func_tx and was func (on till).")
	p.stop(t)

	awaitStatus(t, deploy(charge), id, squidmesh.RunCompleted)
}
