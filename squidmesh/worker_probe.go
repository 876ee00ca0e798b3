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
func (rt *Runtime[TTx]) probeJobs(ctx context.Context, tx TTx, prober driver.Prober[TTx], now time.Time, ids []string) (jobs map[string]flow.JobState, err error) {
	defer func() {
		if err != nil {
			jobs, err = nil, fmt.Errorf("probe %s: %w", text.Count(len(ids), "job"), err)
		}
	}()
	defer rt.catchExecutor(&err)
	if jobs, err = prober.ProbeJobs(ctx, tx, now, ids); err != nil {
		return nil, err
	}
	_, retries := rt.executor.(driver.Retrier[TTx])
	for id, job := range jobs {
		job.Refusal = text.Clean(rt.redact.text("message", job.Refusal), maxRefusal)
		job.Retryable = job.Retryable && retries
		jobs[id] = job
	}
	return jobs, nil
}

// maxRefusal bounds what is repeated of a refusal, in bytes.
const maxRefusal = 500

// retryJobs has jobs handed out at once whose state says that they can be.
func (rt *Runtime[TTx]) retryJobs(ctx context.Context, tx TTx, ids []string) (err error) {
	if len(ids) == 0 {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("retry %s: %w", text.Count(len(ids), "job"), err)
		}
	}()
	defer rt.catchExecutor(&err)
	return rt.executor.(driver.Retrier[TTx]).RetryJobs(ctx, tx, ids)
}

// probeScopes asks an executor that can be asked for whom jobs stand in this program's queues.
func (rt *Runtime[TTx]) probeScopes(ctx context.Context, tx TTx, prober driver.ScopeProber[TTx]) (scopes []string, err error) {
	defer rt.catchExecutor(&err)
	return prober.ProbeScopes(ctx, tx, rt.queues(), maxScopes)
}

// probeLine asks one how many jobs stand before a job in its queue.
func (rt *Runtime[TTx]) probeLine(ctx context.Context, tx TTx, prober driver.LineProber[TTx], id string) (ahead int, err error) {
	defer rt.catchExecutor(&err)
	return prober.ProbeLine(ctx, tx, id, flow.MaxAhead)
}
