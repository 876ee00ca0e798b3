package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// patience is how long the suites wait for what has to come.
const patience = 2 * time.Minute

// ExecutorBundle is an executor with its surroundings, as [ExerciseExecutor] needs them.
type ExecutorBundle[TTx any] struct {
	Executor driver.Executor[TTx]

	// InTx runs fn in a transaction of its own and commits it if fn returns nil; otherwise it rolls back and returns fn's error.
	InTx func(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

	// Now reads the database's clock.
	Now func(t testing.TB) time.Time

	// Queue is the queue that Work works.
	Queue string

	// Jobs lists the jobs of the queue that are committed and not worked yet, in any order.
	Jobs func(t testing.TB) []ExecutorJob

	// Work starts to deliver the queue's jobs to perform, from several goroutines, until the test ends.
	Work func(t testing.TB, perform PerformFunc)
}

// ExecutorJob is what a queue holds.
type ExecutorJob struct {
	ID       string
	Delivery driver.Delivery
}

// PerformFunc has the signature of [squidmesh.Runtime.Perform].
type PerformFunc func(ctx context.Context, d driver.Delivery) (flow.Outcome, error)

// ExerciseExecutor runs the suite that every executor must pass, on a real queue. Each test calls setup, and they run in parallel:
// bundles must not share jobs. Optional interfaces are tested where the executor has them.
func ExerciseExecutor[TTx any](t *testing.T, setup func(t *testing.T) ExecutorBundle[TTx]) {
	t.Helper()

	for name, test := range map[string]func(*executorSuite[TTx]){
		"AnswersToOutcomes":         (*executorSuite[TTx]).answersToOutcomes,
		"BatchHasEveryKind":         (*executorSuite[TTx]).batchHasEveryKind,
		"BatchIsAllOrNothing":       (*executorSuite[TTx]).batchIsAllOrNothing,
		"CommitMakesDeliverable":    (*executorSuite[TTx]).commitMakesDeliverable,
		"ConcurrentUse":             (*executorSuite[TTx]).concurrentUse,
		"DelaysDelivery":            (*executorSuite[TTx]).delaysDelivery,
		"EveryKindArrivesAsItWas":   (*executorSuite[TTx]).everyKindArrivesAsItWas,
		"MetadataComeInOrderOfJobs": (*executorSuite[TTx]).metadataComeInOrderOfJobs,
		"ProbesJobs":                (*executorSuite[TTx]).probesJobs,
		"ProbesScopes":              (*executorSuite[TTx]).probesScopes,
		"RollbackLeavesNone":        (*executorSuite[TTx]).rollbackLeavesNone,
		"WakesQueues":               (*executorSuite[TTx]).wakesQueues,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bundle := setup(t) // takes the time that it takes
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			test(&executorSuite[TTx]{ExecutorBundle: bundle, t: t, ctx: ctx})
		})
	}
}

type executorSuite[TTx any] struct {
	ExecutorBundle[TTx]
	t   *testing.T
	ctx context.Context
}

var errRollBack = errors.New("roll back")

func (s *executorSuite[TTx]) commitMakesDeliverable() {
	job := s.stepJob("charge", 3)
	deliveries := s.work(done)
	var m driver.JobMetadata
	s.commit(func(ctx context.Context, tx TTx) (err error) {
		m, err = s.Executor.EnqueueStep(ctx, tx, job)
		return err
	})
	require.NotEmpty(s.t, m.JobID)
	require.NotEmpty(s.t, m.Worker)
	require.Equal(s.t, s.Queue, m.Queue)
	require.Equal(s.t, job.Delivery(), s.next(deliveries))
}

func (s *executorSuite[TTx]) rollbackLeavesNone() {
	err := s.InTx(s.ctx, func(ctx context.Context, tx TTx) error {
		if _, err := s.Executor.EnqueueStep(ctx, tx, s.stepJob("one", 1)); err != nil {
			return err
		}
		if _, err := s.Executor.EnqueueSteps(ctx, tx, []driver.StepJob{s.stepJob("two", 1), s.stepJob("three", 1)}); err != nil {
			return err
		}
		if _, err := s.Executor.EnqueueCompensation(ctx, tx, s.compensationJob("four", 1)); err != nil {
			return err
		}
		if _, err := s.Executor.EnqueueCron(ctx, tx, s.cronJob()); err != nil {
			return err
		}
		return errRollBack
	})
	require.ErrorIs(s.t, err, errRollBack)
	require.Empty(s.t, s.Jobs(s.t))

	// Nor does anything come out of the queue before what is committed after it.
	deliveries := s.work(done)
	after := s.stepJob("after", 1)
	s.enqueue(after)
	require.Equal(s.t, after.Delivery(), s.next(deliveries))
}

func (s *executorSuite[TTx]) batchIsAllOrNothing() {
	bad := s.stepJob("bad", 1)
	bad.Queue = "No Queue Has This Name!"
	err := s.InTx(s.ctx, func(ctx context.Context, tx TTx) error {
		_, err := s.Executor.EnqueueSteps(ctx, tx, []driver.StepJob{s.stepJob("good", 1), bad, s.stepJob("also_good", 1)})
		return err
	})
	require.Error(s.t, err, "a queue of that name must be refused")
	require.Empty(s.t, s.Jobs(s.t))
}

func (s *executorSuite[TTx]) metadataComeInOrderOfJobs() {
	jobs := make([]driver.StepJob, 500)
	for i := range jobs {
		jobs[i] = s.stepJob(fmt.Sprintf("step_%d", i*7919%len(jobs)), i+1)
	}
	var all []driver.JobMetadata
	s.commit(func(ctx context.Context, tx TTx) (err error) {
		all, err = s.Executor.EnqueueSteps(ctx, tx, jobs)
		return err
	})
	require.Len(s.t, all, len(jobs))
	queued := s.queued()
	require.Len(s.t, queued, len(jobs))
	for i, m := range all {
		require.Equal(s.t, jobs[i].Delivery(), queued[m.JobID], "job %d", i)
	}
}

func (s *executorSuite[TTx]) everyKindArrivesAsItWas() {
	step, undo, whole, cron := s.stepJob("reserve", 2), s.compensationJob("reserve", 7), s.compensationJob("", 0), s.cronJob()
	manual, derived := s.cronJob(), s.cronJob()
	manual.IntendedWindow, derived.SignalID = nil, ""
	deliveries := s.work(done)
	s.commit(func(ctx context.Context, tx TTx) error {
		if _, err := s.Executor.EnqueueStep(ctx, tx, step); err != nil {
			return err
		}
		for _, job := range []driver.CompensationJob{undo, whole} {
			if _, err := s.Executor.EnqueueCompensation(ctx, tx, job); err != nil {
				return err
			}
		}
		for _, job := range []driver.CronJob{cron, manual, derived} {
			if _, err := s.Executor.EnqueueCron(ctx, tx, job); err != nil {
				return err
			}
		}
		return nil
	})
	want := []driver.Delivery{step.Delivery(), undo.Delivery(), whole.Delivery(), cron.Delivery(), manual.Delivery(), derived.Delivery()}
	var got []driver.Delivery
	for range want {
		got = append(got, s.next(deliveries))
	}
	require.ElementsMatch(s.t, texts(s.t, want), texts(s.t, got))
}

func (s *executorSuite[TTx]) delaysDelivery() {
	soon, late := s.stepJob("soon", 1), s.stepJob("late", 1)
	soon.Delay, late.Delay = 300*time.Millisecond, time.Hour
	soon.DueAt, late.DueAt = soon.Now.Add(soon.Delay), late.Now.Add(late.Delay)

	var arrived time.Time
	deliveries := s.work(func(_ context.Context, d driver.Delivery) (flow.Outcome, error) {
		if d.Step == "soon" && arrived.IsZero() {
			arrived = s.Now(s.t)
		}
		return flow.Outcome{Kind: flow.OutcomeDone}, nil
	})
	var all []driver.JobMetadata
	s.commit(func(ctx context.Context, tx TTx) (err error) {
		all, err = s.Executor.EnqueueSteps(ctx, tx, []driver.StepJob{late, soon})
		return err
	})
	// A queue that counts relatively begins to count when it gets the job.
	require.WithinDuration(s.t, late.DueAt, all[0].ScheduledAt, time.Second)
	require.WithinDuration(s.t, soon.DueAt, all[1].ScheduledAt, time.Second)

	require.Equal(s.t, soon.Delivery(), s.next(deliveries))
	require.False(s.t, arrived.Before(soon.DueAt), "due at %s, came at %s", soon.DueAt, arrived)
	require.Equal(s.t, late.Delivery(), s.queued()[all[0].JobID], "a job that is due in an hour waits")
}

// answersToOutcomes: Done and Drop end a delivery, Again and an error bring it again.
func (s *executorSuite[TTx]) answersToOutcomes() {
	var mu sync.Mutex
	calls := map[string]int{}
	deliveries := s.work(func(_ context.Context, d driver.Delivery) (flow.Outcome, error) {
		mu.Lock()
		calls[d.Step]++
		first := calls[d.Step] == 1
		mu.Unlock()
		switch {
		case d.Step == "drop":
			return flow.Outcome{Kind: flow.OutcomeDrop, Reason: "unknown_run", Detail: "no such run \x00\xff"}, nil
		case d.Step == "again" && first:
			return flow.Outcome{Kind: flow.OutcomeAgain, After: 100 * time.Millisecond, Reason: "early"}, nil
		case d.Step == "error" && first:
			return flow.Outcome{}, errors.New("the database said \x00\xff")
		}
		return flow.Outcome{Kind: flow.OutcomeDone}, nil
	})
	s.enqueue(s.stepJob("done", 1), s.stepJob("drop", 1), s.stepJob("again", 1), s.stepJob("error", 1))
	for range 6 {
		s.next(deliveries)
	}
	s.enqueue(s.stepJob("last", 1))
	require.Equal(s.t, "last", s.next(deliveries).Step)

	mu.Lock()
	defer mu.Unlock()
	require.Equal(s.t, map[string]int{"done": 1, "drop": 1, "again": 2, "error": 2, "last": 1}, calls)
}

func (s *executorSuite[TTx]) concurrentUse() {
	const writers, each = 8, 5
	var group sync.WaitGroup
	errs := make(chan error, writers*each)
	jobs := make([][]driver.StepJob, writers) // Now is read before, since a database may have one connection
	for w := range writers {
		for i := range each {
			jobs[w] = append(jobs[w], s.stepJob(fmt.Sprintf("step_%d_%d", w, i), 1))
		}
	}
	for w := range writers {
		group.Go(func() {
			for _, job := range jobs[w] {
				errs <- s.InTx(s.ctx, func(ctx context.Context, tx TTx) error {
					_, err := s.Executor.EnqueueStep(ctx, tx, job)
					return err
				})
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		require.NoError(s.t, err)
	}
	require.Len(s.t, s.Jobs(s.t), writers*each)
}

func (s *executorSuite[TTx]) batchHasEveryKind() {
	executor, ok := s.Executor.(driver.BatchExecutor[TTx])
	if !ok {
		s.t.Skip("no BatchExecutor")
	}
	batch := driver.Batch{
		Steps:         []driver.StepJob{s.stepJob("a", 1), s.stepJob("b", 2)},
		Compensations: []driver.CompensationJob{s.compensationJob("c", 3), s.compensationJob("", 0)},
		Crons:         []driver.CronJob{s.cronJob()},
	}
	var answer, empty driver.BatchMetadata
	s.commit(func(ctx context.Context, tx TTx) (err error) {
		if answer, err = executor.EnqueueBatch(ctx, tx, batch); err != nil {
			return err
		}
		empty, err = executor.EnqueueBatch(ctx, tx, driver.Batch{})
		return err
	})
	require.Empty(s.t, empty.Steps)
	require.Len(s.t, answer.Steps, 2)
	require.Len(s.t, answer.Compensations, 2)
	require.Len(s.t, answer.Crons, 1)

	queued := s.queued()
	require.Len(s.t, queued, 5)
	require.Equal(s.t, batch.Steps[0].Delivery(), queued[answer.Steps[0].JobID])
	require.Equal(s.t, batch.Steps[1].Delivery(), queued[answer.Steps[1].JobID])
	require.Equal(s.t, batch.Compensations[0].Delivery(), queued[answer.Compensations[0].JobID])
	require.Equal(s.t, batch.Compensations[1].Delivery(), queued[answer.Compensations[1].JobID])
	require.Equal(s.t, texts(s.t, []driver.Delivery{batch.Crons[0].Delivery()}), texts(s.t, []driver.Delivery{queued[answer.Crons[0].JobID]}))
}

func (s *executorSuite[TTx]) probesJobs() {
	prober, ok := s.Executor.(driver.Prober[TTx])
	if !ok {
		s.t.Skip("no Prober")
	}
	now, late := s.stepJob("now", 1), s.stepJob("late", 1)
	late.Delay, late.DueAt = time.Hour, late.Now.Add(time.Hour)
	var all []driver.JobMetadata
	var states map[string]flow.JobState
	s.commit(func(ctx context.Context, tx TTx) (err error) {
		if all, err = s.Executor.EnqueueSteps(ctx, tx, []driver.StepJob{now, late}); err != nil {
			return err
		}
		states, err = prober.ProbeJobs(ctx, tx, s.Now(s.t), []string{all[0].JobID, all[1].JobID, "0", "no id of this queue", ""})
		return err
	})
	require.Len(s.t, states, 2, "jobs that do not exist are missing")
	for _, m := range all {
		require.True(s.t, states[m.JobID].Deliverable)
		require.False(s.t, states[m.JobID].Paused)
		require.NotEmpty(s.t, states[m.JobID].State)
	}

	deliveries := s.work(done)
	require.Equal(s.t, now.Delivery(), s.next(deliveries))
	require.EventuallyWithT(s.t, func(c *assert.CollectT) {
		err := s.InTx(s.ctx, func(ctx context.Context, tx TTx) (err error) {
			states, err = prober.ProbeJobs(ctx, tx, s.Now(s.t), []string{all[0].JobID})
			return err
		})
		require.NoError(c, err)
		require.False(c, states[all[0].JobID].Deliverable, "a job that is done is not delivered again")
	}, patience, 20*time.Millisecond)
}

func (s *executorSuite[TTx]) probesScopes() {
	prober, ok := s.Executor.(driver.ScopeProber[TTx])
	if !ok {
		s.t.Skip("no ScopeProber")
	}
	probe := func(limit int, queues ...string) (scopes []string) {
		s.t.Helper()
		s.commit(func(ctx context.Context, tx TTx) (err error) {
			scopes, err = prober.ProbeScopes(ctx, tx, queues, limit)
			return err
		})
		return scopes
	}
	require.Empty(s.t, probe(10, s.Queue))
	var jobs []driver.StepJob
	for _, scope := range []string{"theirs", "ours", "theirs", ""} {
		job := s.stepJob("charge", 1)
		job.Scope = scope
		jobs = append(jobs, job)
	}
	s.enqueue(jobs...)
	require.Equal(s.t, []string{"ours", "theirs"}, probe(10, s.Queue, "another"))
	require.Len(s.t, probe(1, s.Queue), 1)
	require.Empty(s.t, probe(10, "another"))
}

func (s *executorSuite[TTx]) wakesQueues() {
	waker, ok := s.Executor.(driver.Waker)
	if !ok {
		s.t.Skip("no Waker")
	}
	notify := func(context.Context, string, string) error { return nil }
	require.NoError(s.t, waker.Wake(s.ctx, notify, []string{s.Queue, "another"}))
}

// work starts the queue and returns what it delivers, after perform has answered.
func (s *executorSuite[TTx]) work(perform PerformFunc) <-chan driver.Delivery {
	deliveries := make(chan driver.Delivery, 1000)
	s.Work(s.t, func(ctx context.Context, d driver.Delivery) (flow.Outcome, error) {
		outcome, err := perform(ctx, d)
		d.Job, d.Queue, d.SentBack = "", "", 0 // are no part of what was enqueued
		deliveries <- d
		return outcome, err
	})
	return deliveries
}

func done(context.Context, driver.Delivery) (flow.Outcome, error) {
	return flow.Outcome{Kind: flow.OutcomeDone}, nil
}

func (s *executorSuite[TTx]) next(deliveries <-chan driver.Delivery) driver.Delivery {
	s.t.Helper()
	select {
	case d := <-deliveries:
		return d
	case <-s.ctx.Done():
		require.FailNow(s.t, "no delivery came")
		return driver.Delivery{}
	}
}

func (s *executorSuite[TTx]) commit(fn func(ctx context.Context, tx TTx) error) {
	s.t.Helper()
	require.NoError(s.t, s.InTx(s.ctx, fn))
}

func (s *executorSuite[TTx]) enqueue(jobs ...driver.StepJob) {
	s.t.Helper()
	s.commit(func(ctx context.Context, tx TTx) error {
		for _, job := range jobs {
			if _, err := s.Executor.EnqueueStep(ctx, tx, job); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *executorSuite[TTx]) queued() map[string]driver.Delivery {
	queued := map[string]driver.Delivery{}
	for _, job := range s.Jobs(s.t) {
		queued[job.ID] = job.Delivery
	}
	return queued
}

func (s *executorSuite[TTx]) schedule() driver.Schedule {
	return driver.Schedule{Now: s.Now(s.t), Queue: s.Queue, Priority: 1, Scope: "ours"}
}

func (s *executorSuite[TTx]) stepJob(step string, attempt int) driver.StepJob {
	return driver.StepJob{Schedule: s.schedule(), RunID: uuid.Must(uuid.NewV7()), Workflow: "checkout", Step: step, Attempt: attempt}
}

func (s *executorSuite[TTx]) compensationJob(step string, attempt int) driver.CompensationJob {
	return driver.CompensationJob{Schedule: s.schedule(), RunID: uuid.Must(uuid.NewV7()), Workflow: "checkout", Step: step, Attempt: attempt}
}

func (s *executorSuite[TTx]) cronJob() driver.CronJob {
	window := &driver.Window{StartAt: time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), EndAt: time.Date(2026, 3, 29, 2, 0, 0, 0, time.UTC)}
	return driver.CronJob{Schedule: s.schedule(), Workflow: "digest", Trigger: "hourly", SignalID: "a-1", IntendedWindow: window}
}

// texts makes deliveries comparable whatever location their times are in.
func texts(t *testing.T, deliveries []driver.Delivery) []string {
	var all []string
	for _, d := range deliveries {
		data, err := json.Marshal(d)
		require.NoError(t, err)
		all = append(all, string(data))
	}
	return all
}
