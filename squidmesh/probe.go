package squidmesh

import "context"

// probeJobs asks an executor that can be asked what became of jobs.
func (rt *Runtime[TTx]) probeJobs(ctx context.Context, tx TTx, prober Prober[TTx], ids []string) (jobs map[string]JobState, err error) {
	defer rt.catchExecutor(&err)
	return prober.ProbeJobs(ctx, tx, ids)
}

// probeLine asks one how many jobs stand before a job in its queue.
func (rt *Runtime[TTx]) probeLine(ctx context.Context, tx TTx, prober LineProber[TTx], id string) (ahead int, err error) {
	defer rt.catchExecutor(&err)
	return prober.ProbeLine(ctx, tx, id, maxAhead)
}
