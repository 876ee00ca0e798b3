package squidmesh

import (
	"context"
	"fmt"
)

// enqueueFunc hands the jobs of a transition to the executor and notes their ids on the transition's rows.
type enqueueFunc[TTx any] func(ctx context.Context, tx TTx, t *Transition) ([]Metadata, error)

// enqueueLater enqueues nothing: the rows stay without a job, which the tick finds.
func (rt *Runtime[TTx]) enqueueLater(_ context.Context, _ TTx, t *Transition) ([]Metadata, error) {
	t.Jobs = nil
	return nil, nil
}

// enqueue hands over all jobs of a transition. Its error wraps [ErrDispatch].
func (rt *Runtime[TTx]) enqueue(ctx context.Context, tx TTx, t *Transition) ([]Metadata, error) {
	if len(t.Jobs) == 0 {
		return nil, nil
	}
	var batch Batch
	var stepJobs, undoJobs []int // places in t.Jobs
	for i := range t.Jobs {
		job := &t.Jobs[i]
		if job.Queue == "" {
			job.Queue = rt.config.Queue
		}
		schedule := Schedule{Now: job.Now, DueAt: job.DueAt, Queue: job.Queue, Priority: job.Priority}
		if !job.DueAt.IsZero() {
			schedule.Delay = job.DueAt.Sub(job.Now)
		}
		if job.Phase == PhaseUndo {
			undoJobs = append(undoJobs, i)
			batch.Compensations = append(batch.Compensations, CompensationJob{
				Schedule: schedule, RunID: job.Run, Workflow: job.Workflow, Step: job.Name, Attempt: job.Attempt,
			})
			continue
		}
		stepJobs = append(stepJobs, i)
		batch.Steps = append(batch.Steps, StepJob{
			Schedule: schedule, RunID: job.Run, Workflow: job.Workflow, Step: job.Name, Attempt: job.Attempt,
		})
	}
	answer, err := rt.enqueueBatch(ctx, tx, batch)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w: %w", t.Run.ID, ErrDispatch, err)
	}
	if len(answer.Steps) != len(batch.Steps) || len(answer.Compensations) != len(batch.Compensations) {
		return nil, fmt.Errorf("run %s: %w: executor answered %d of %d jobs", t.Run.ID, ErrDispatch,
			len(answer.Steps)+len(answer.Compensations), len(t.Jobs))
	}
	for i, place := range stepJobs {
		t.noteJob(t.Jobs[place], answer.Steps[i])
	}
	for i, place := range undoJobs {
		t.noteJob(t.Jobs[place], answer.Compensations[i])
	}
	return append(answer.Steps, answer.Compensations...), nil
}

// noteJob writes a job's id and queue onto the row that it is for.
func (t *Transition) noteJob(job Job, m Metadata) {
	for i := range t.Steps {
		if t.Steps[i].StepKey == job.StepKey {
			t.Steps[i].JobID, t.Steps[i].Queue = m.JobID, m.Queue
		}
	}
}

// enqueueBatch calls the executor: once where it can take everything at once; else one step goes through EnqueueStep and
// several through EnqueueSteps.
func (rt *Runtime[TTx]) enqueueBatch(ctx context.Context, tx TTx, batch Batch) (BatchMetadata, error) {
	if b, ok := rt.executor.(BatchExecutor[TTx]); ok {
		return b.EnqueueBatch(ctx, tx, batch)
	}
	var answer BatchMetadata
	switch len(batch.Steps) {
	case 0:
	case 1:
		m, err := rt.executor.EnqueueStep(ctx, tx, batch.Steps[0])
		if err != nil {
			return answer, err
		}
		answer.Steps = []Metadata{m}
	default:
		m, err := rt.executor.EnqueueSteps(ctx, tx, batch.Steps)
		if err != nil {
			return answer, err
		}
		answer.Steps = m
	}
	for _, job := range batch.Compensations {
		m, err := rt.executor.EnqueueCompensation(ctx, tx, job)
		if err != nil {
			return answer, err
		}
		answer.Compensations = append(answer.Compensations, m)
	}
	for _, job := range batch.Crons {
		m, err := rt.executor.EnqueueCron(ctx, tx, job)
		if err != nil {
			return answer, err
		}
		answer.Crons = append(answer.Crons, m)
	}
	return answer, nil
}
