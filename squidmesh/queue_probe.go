package squidmesh

import (
	"context"
	"fmt"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// probeJobs asks an executor that can be asked what became of jobs.
func (q *queue[TTx]) probeJobs(ctx context.Context, tx TTx, prober driver.Prober[TTx], now time.Time,
	ids []string,
) (jobs map[string]flow.JobState, err error) {
	defer func() {
		if err != nil {
			jobs, err = nil, fmt.Errorf("probe %s: %w", text.Count(len(ids), "job"), err)
		}
	}()
	defer q.catchExecutor(&err)
	if jobs, err = prober.ProbeJobs(ctx, tx, now, ids); err != nil {
		return nil, err
	}
	_, retries := q.executor.(driver.Retrier[TTx])
	for id, job := range jobs {
		job.Refusal = text.Clean(q.redact.text("message", job.Refusal), maxRefusal)
		job.Retryable = job.Retryable && retries
		jobs[id] = job
	}
	return jobs, nil
}

// maxRefusal bounds what is repeated of a refusal, in bytes.
const maxRefusal = 500

// retryJobs has jobs handed out at once whose state says that they can be.
func (q *queue[TTx]) retryJobs(ctx context.Context, tx TTx, ids []string) (err error) {
	if len(ids) == 0 {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("retry %s: %w", text.Count(len(ids), "job"), err)
		}
	}()
	defer q.catchExecutor(&err)
	return q.executor.(driver.Retrier[TTx]).RetryJobs(ctx, tx, ids)
}

// probeScopes asks an executor that can be asked for whom jobs stand in this program's queues.
func (q *queue[TTx]) probeScopes(ctx context.Context, tx TTx, prober driver.ScopeProber[TTx]) (scopes []string, err error) {
	defer q.catchExecutor(&err)
	return prober.ProbeScopes(ctx, tx, q.queues(), maxScopes)
}

// probeLine asks one how many jobs stand before a job in its queue.
func (q *queue[TTx]) probeLine(ctx context.Context, tx TTx, prober driver.LineProber[TTx], id string) (ahead int, err error) {
	defer q.catchExecutor(&err)
	return prober.ProbeLine(ctx, tx, id, flow.MaxAhead)
}

// probe asks the queue about the jobs of rows. Nil is the answer of one that cannot be asked.
func (q *queue[TTx]) probe(ctx context.Context, tx TTx, rows []flow.StepState, now time.Time) (map[string]flow.JobState, error) {
	prober, ok := q.executor.(driver.Prober[TTx])
	if !ok {
		return nil, nil
	}
	var ids []string
	for _, row := range rows {
		if row.JobID != "" {
			ids = append(ids, row.JobID)
		}
	}
	jobs, err := q.probeJobs(ctx, tx, prober, now, ids)
	if err != nil {
		return nil, err
	}
	line, ok := q.executor.(driver.LineProber[TTx])
	if !ok {
		return jobs, nil
	}
	for _, id := range ids[:min(len(ids), maxLines)] {
		job, found := jobs[id]
		if !found {
			continue
		}
		if job.Ahead, err = q.probeLine(ctx, tx, line, id); err != nil {
			return nil, fmt.Errorf("probe the line before job %s: %w", id, err)
		}
		jobs[id] = job
	}
	return jobs, nil
}
