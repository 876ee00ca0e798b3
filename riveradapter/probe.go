package riveradapter

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

const (
	// handedOut is how long a running job counts as one that has just been delivered. River leaves a job running when its
	// process dies, for an hour by default; whoever asks about it after this time should not wait for that. It is a duration by the
	// host's clock since a moment of the database's, and a wrong answer costs one job that finds nothing to do.
	handedOut = 3 * time.Second

	// flipped is how long after its time a job may still be scheduled before River's leader, which should have made it available,
	// counts as absent.
	flipped = 2 * time.Second

	// maxList is the most that River lists in one statement.
	maxList = 10_000
)

// ProbeJobs implements [squidmesh.Prober], in two statements for up to 10,000 jobs.
func (e *Executor[TTx]) ProbeJobs(ctx context.Context, tx TTx, jobIDs []string) (map[string]squidmesh.JobState, error) {
	states := make(map[string]squidmesh.JobState, len(jobIDs))
	ids := make([]int64, 0, len(jobIDs))
	for _, text := range jobIDs {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return states, nil
	}
	client, err := e.use(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := pausedQueues(ctx, client, tx)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(ids, maxList) {
		list, err := client.JobListTx(ctx, tx, river.NewJobListParams().IDs(chunk...).First(len(chunk)))
		if err != nil {
			return nil, fmt.Errorf("list %d River jobs: %w", len(chunk), err)
		}
		for _, job := range list.Jobs {
			states[strconv.FormatInt(job.ID, 10)] = squidmesh.JobState{
				State:       string(job.State),
				Deliverable: deliverable(job, time.Now()),
				Paused:      paused[job.Queue],
			}
		}
	}
	return states, nil
}

func deliverable(job *rivertype.JobRow, now time.Time) bool {
	switch job.State {
	case rivertype.JobStateAvailable, rivertype.JobStatePending:
		return true
	case rivertype.JobStateRetryable, rivertype.JobStateScheduled:
		return now.Sub(job.ScheduledAt) < flipped
	case rivertype.JobStateRunning:
		return job.AttemptedAt != nil && now.Sub(*job.AttemptedAt) < handedOut
	default: // cancelled, completed, discarded
		return false
	}
}

func pausedQueues[TTx any](ctx context.Context, client *river.Client[TTx], tx TTx) (map[string]bool, error) {
	list, err := client.QueueListTx(ctx, tx, river.NewQueueListParams().First(maxList))
	if err != nil {
		return nil, fmt.Errorf("list River queues: %w", err)
	}
	paused := map[string]bool{}
	for _, queue := range list.Queues {
		paused[queue.Name] = queue.PausedAt != nil
	}
	return paused, nil
}
