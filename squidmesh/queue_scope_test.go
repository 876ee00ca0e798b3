package squidmesh_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// keptQueue is an executor that keeps deliveries for the test to deliver, each with its job and queue.
type keptQueue[TTx any] struct {
	mu   sync.Mutex
	jobs int
	kept []driver.Delivery
}

func (q *keptQueue[TTx]) keep(d driver.Delivery, queue string) (driver.JobMetadata, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs++
	d.Job, d.Queue = strconv.Itoa(q.jobs), queue
	q.kept = append(q.kept, d)
	return driver.JobMetadata{JobID: d.Job, Queue: queue}, nil
}

func (q *keptQueue[TTx]) EnqueueStep(_ context.Context, _ TTx, job driver.StepJob) (driver.JobMetadata, error) {
	return q.keep(job.Delivery(), job.Queue)
}

func (q *keptQueue[TTx]) EnqueueSteps(_ context.Context, _ TTx, jobs []driver.StepJob) (all []driver.JobMetadata, err error) {
	for _, job := range jobs {
		m, _ := q.keep(job.Delivery(), job.Queue)
		all = append(all, m)
	}
	return all, nil
}

func (q *keptQueue[TTx]) EnqueueCompensation(_ context.Context, _ TTx, job driver.CompensationJob) (driver.JobMetadata, error) {
	return q.keep(job.Delivery(), job.Queue)
}

func (q *keptQueue[TTx]) EnqueueCron(_ context.Context, _ TTx, job driver.CronJob) (driver.JobMetadata, error) {
	return q.keep(job.Delivery(), job.Queue)
}

// take is the only delivery since it was called last.
func (q *keptQueue[TTx]) take(t testing.TB) driver.Delivery {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	require.Len(t, q.kept, 1)
	d := q.kept[0]
	q.kept = nil
	return d
}

// saga is a workflow whose only run has a delivery of each kind: a window, a step, and an undo.
func saga() squidmesh.Workflow {
	effect := squidmesh.Effect(func(context.Context, nothing) error { return nil })
	fails := squidmesh.Effect(func(context.Context, nothing) error { return squidmesh.Fail(errors.New("no")) })
	return squidmesh.Workflow{
		Name: "saga", Triggers: []squidmesh.Trigger{squidmesh.Cron("daily", "0 7 * * *", "", squidmesh.Contract{})},
		Steps: []squidmesh.Step{{Name: "act", Do: effect, Undo: effect, Next: "fail"}, {Name: "fail", Do: fails}},
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	onBothStores(t, scopeTests[pgx.Tx](), scopeTests[*sql.Tx]())
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		runCronTests(t, scopeTests[*memstore.Tx](), func(b *cronBench[*memstore.Tx]) driver.Store[*memstore.Tx] {
			b.check = func(*invariants.Options) ([]invariants.Violation, error) { return nil, nil }
			return memstore.New(&memstore.Options{Clock: b.clock})
		})
	})
}

func scopeTests[TTx any]() map[string]func(*cronBench[TTx]) {
	return map[string]func(*cronBench[TTx]){
		"EveryJobNamesItsStore":                  everyJobNamesItsStore[TTx],
		"WhatBelongsToAnotherStoreIsSentBack":    foreignIsSentBack[TTx],
		"ARenamedStoreKnowsItsDeliveriesByJob":   renamedStoreKnowsItsJobs[TTx],
		"OneLineAMinuteTellsOfAnotherStoresJobs": foreignIsLoggedOnce[TTx],
	}
}

// walk takes a run from its window to the end of its undo. Each delivery goes through fn, which says what is delivered first.
func walk[TTx any](b *cronBench[TTx], fn func(rt *squidmesh.Runtime[TTx], d driver.Delivery) driver.Delivery) {
	queue := &keptQueue[TTx]{}
	rt := b.process(queue, saga())
	b.at("2026-03-02T07:00:00Z")
	require.NoError(b, rt.TickCron(b.Context()))
	met := map[driver.DeliveryKind]bool{}
	for !met[driver.DeliverCompensation] { // the second step has a delivery of its own if the first took the run's slice of time
		d := queue.take(b)
		met[d.Kind] = true
		require.Equal(b, flow.OutcomeDone, b.deliver(rt, fn(rt, d)).Kind)
	}
	require.Len(b, met, 3)
	runs := b.runs(rt)
	require.Len(b, runs, 1)
	require.Equal(b, squidmesh.RunFailed, runs[0].Status)
	run, err := rt.InspectRun(b.Context(), runs[0].ID, nil)
	require.NoError(b, err)
	require.Equal(b, flow.StepCompleted, run.Steps[0].Undo.Status)
}

// scope is what the store calls itself.
func (b *cronBench[TTx]) scope() (scope string) {
	b.Helper()
	require.NoError(b, b.store.View(b.Context(), func(ctx context.Context, tx TTx) (err error) {
		scope, err = b.store.Scope(ctx, tx)
		return err
	}))
	return scope
}

func everyJobNamesItsStore[TTx any](b *cronBench[TTx]) {
	own := b.scope()
	require.NotEmpty(b, own)
	walk(b, func(_ *squidmesh.Runtime[TTx], d driver.Delivery) driver.Delivery {
		require.Equal(b, own, d.Scope)
		return d
	})
}

// foreignIsSentBack: never dropped, whatever it names, and after pauses that grow up to a bound.
func foreignIsSentBack[TTx any](b *cronBench[TTx]) {
	walk(b, func(rt *squidmesh.Runtime[TTx], d driver.Delivery) driver.Delivery {
		theirs := d
		theirs.Scope, theirs.Job = "elsewhere", "of another run"
		before := time.Duration(0)
		for n := range 12 {
			theirs.SentBack = n
			outcome := b.deliver(rt, theirs)
			require.Equal(b, flow.OutcomeAgain, outcome.Kind)
			require.Equal(b, flow.DeliveryForeign, outcome.Reason)
			require.LessOrEqual(b, outcome.After, 45*time.Second)
			if n == 0 {
				require.LessOrEqual(b, outcome.After, 300*time.Millisecond, "its own program should get it soon")
			}
			if n%3 == 2 && outcome.After < 15*time.Second {
				require.Greater(b, outcome.After, before)
				before = outcome.After
			}
		}
		require.GreaterOrEqual(b, b.deliver(rt, theirs).After, 15*time.Second)
		theirs.SentBack = 1 << 40
		require.Positive(b, b.deliver(rt, theirs).After)
		theirs.Job = ""
		require.Equal(b, flow.DeliveryForeign, b.deliver(rt, theirs).Reason, "of a queue that does not tell the job")
		if d.Kind != driver.DeliverCron {
			theirs.Job, theirs.RunID = d.Job, uuid.NewString()
			require.Equal(b, flow.DeliveryForeign, b.deliver(rt, theirs).Reason, "of a run that is not here")
			for _, scope := range []string{d.Scope, ""} {
				theirs.Scope = scope
				require.Equal(b, flow.DeliveryUnknownRun, b.deliver(rt, theirs).Reason, "of a run that was deleted")
			}
		}
		return d
	})
}

// renamedStoreKnowsItsJobs: as does one that was restored under another name. Jobs from before names were written name none.
func renamedStoreKnowsItsJobs[TTx any](b *cronBench[TTx]) {
	walk(b, func(rt *squidmesh.Runtime[TTx], d driver.Delivery) driver.Delivery {
		d.Scope = "the_old_name"
		if d.Kind == driver.DeliverStep {
			d.Scope = ""
		}
		return d
	})
}

func foreignIsLoggedOnce[TTx any](b *cronBench[TTx]) {
	var log bytes.Buffer
	rt, err := squidmesh.New(&squidmesh.Config[TTx]{
		Store: b.store, Executor: &keptQueue[TTx]{}, Workflows: []squidmesh.Workflow{saga()}, ManualTick: true,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(b, err)
	require.NoError(b, rt.Start(b.Context()))
	for range 100 {
		d := driver.StepJob{RunID: uuid.New(), Step: "act", Attempt: 1, Schedule: driver.Schedule{Scope: "elsewhere"}}.Delivery()
		d.Queue = "common"
		require.Equal(b, flow.DeliveryForeign, b.deliver(rt, d).Reason)
	}
	require.NoError(b, rt.Stop(b.Context()))
	require.Equal(b, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(b, log.String(), "give each store a queue of its own (Config.Queue), or a River schema of its own")
	require.Contains(b, log.String(), "queue=common theirs=elsewhere ours="+b.scope())
}
