package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// enqueueFunc hands the jobs of a transaction to the executor. It notes the answers on the rows and members that the jobs are for.
type enqueueFunc[TTx any] func(ctx context.Context, tx TTx, w *batchWrite) error

// enqueueLater enqueues nothing. The rows stay without a job, and a tick finds them (promise 5).
func (cm *committer[TTx]) enqueueLater(_ context.Context, _ TTx, w *batchWrite) error {
	for _, r := range w.order {
		for _, job := range r.folded.Jobs { // what an executor that failed later had answered
			if row := (enqueued{run: r, job: &job}).row(); row != nil {
				row.JobID = ""
			}
		}
		r.folded.Jobs = nil
		for _, m := range r.members {
			m.c.Jobs, m.c.jobs = nil, nil
		}
	}
	return nil
}

func (w *batchWrite) hasJobs() bool {
	return slices.ContainsFunc(w.order, func(r *runWrite) bool { return len(r.folded.Jobs) > 0 })
}

// enqueued is a job on its way to the executor, with what it is for.
type enqueued struct {
	run    *runWrite
	member *member
	job    *flow.Job
}

// row returns the row that a job is for. It is nil if the same transaction has moved that row on.
func (e enqueued) row() *flow.StepState {
	for i := range e.run.folded.Steps {
		if row := &e.run.folded.Steps[i]; row.StepKey == e.job.StepKey && row.Attempt == e.job.Attempt {
			return &row.StepState
		}
	}
	return nil
}

// note writes the executor's answer on the row and the member.
func (e enqueued) note(m driver.JobMetadata) {
	if row := e.row(); row != nil {
		row.JobID, row.Queue = m.JobID, m.Queue
	}
	e.member.c.jobs = append(e.member.c.jobs, Dispatched{
		JobMetadata: m, StepKey: e.job.StepKey, Attempt: e.job.Attempt, Delay: scheduleOf(*e.job).Delay,
	})
}

// enqueue hands all jobs of a transaction to the executor, in the same transaction (promise 1). Its error wraps [ErrDispatch].
func (cm *committer[TTx]) enqueue(ctx context.Context, tx TTx, w *batchWrite) error {
	var batch driver.Batch
	var steps, undos []enqueued
	for _, r := range w.order {
		for _, m := range r.members {
			for i := range m.c.Jobs {
				job := &m.c.Jobs[i]
				if job.Queue == "" {
					job.Queue = cm.config.Queue
				}
				if job.Phase == flow.PhaseUndo {
					undos = append(undos, enqueued{r, m, job})
					batch.Compensations = append(batch.Compensations, driver.CompensationJob{
						Schedule: scheduleOf(*job), RunID: job.Run, Workflow: job.Workflow, Step: job.Name, Attempt: job.Attempt,
					})
					continue
				}
				steps = append(steps, enqueued{r, m, job})
				batch.Steps = append(batch.Steps, driver.StepJob{
					Schedule: scheduleOf(*job), RunID: job.Run, Workflow: job.Workflow, Step: job.Name, Attempt: job.Attempt,
				})
			}
		}
	}
	if len(steps)+len(undos) == 0 {
		return nil
	}
	answer, err := cm.queue.enqueueBatch(ctx, tx, batch)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrDispatch, text.Count(len(steps)+len(undos), "job"), err)
	case len(answer.Steps) != len(steps) || len(answer.Compensations) != len(undos):
		return fmt.Errorf("%w: executor answered %d of %d jobs", ErrDispatch,
			len(answer.Steps)+len(answer.Compensations), len(steps)+len(undos))
	}
	for i, e := range steps {
		e.note(answer.Steps[i])
	}
	for i, e := range undos {
		e.note(answer.Compensations[i])
	}
	return nil
}

// enqueueOrLater is enqueue for transactions that hold a body's writes. A refused job must not roll those back, so a tick enqueues
// it later.
func (cm *committer[TTx]) enqueueOrLater(ctx context.Context, tx TTx, w *batchWrite) error {
	if !w.hasJobs() {
		return nil
	}
	err := cm.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
		return cm.enqueue(ctx, tx, w)
	})
	if err == nil || errors.Is(err, ErrTxUnusable) {
		return err
	}
	cm.logger.Error("squidmesh: enqueue failed, left to the tick", append(w.order[0].members[0].about(), "error", err)...)
	return cm.enqueueLater(ctx, tx, w)
}

// scheduleOf returns where and when a job is to be delivered.
func scheduleOf(j flow.Job) driver.Schedule {
	s := driver.Schedule{Now: j.Now, DueAt: j.DueAt, Queue: j.Queue, Priority: j.Priority}
	if !j.DueAt.IsZero() {
		s.Delay = j.DueAt.Sub(j.Now)
	}
	return s
}
