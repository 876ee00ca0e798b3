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

	// flipped is how long after its time a job may still be scheduled. River's leader should have made it available before that
	// time; the rest is for clocks that differ.
	flipped = 50 * time.Millisecond

	// attended is how long after its last report a queue counts as worked. Clients report every ten minutes.
	attended = 25 * time.Minute

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
	queues, err := queuesOf(ctx, client, tx)
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
				At:          ahead(job, time.Now()),
				Paused:      queues[job.Queue] != nil && queues[job.Queue].PausedAt != nil,
				Unattended:  queues[job.Queue] == nil || time.Since(queues[job.Queue].UpdatedAt) > attended,
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

// ahead is when a job that waits for its time comes.
func ahead(job *rivertype.JobRow, now time.Time) time.Time {
	switch job.State {
	case rivertype.JobStateAvailable, rivertype.JobStateRetryable, rivertype.JobStateScheduled:
		if job.ScheduledAt.After(now) {
			return job.ScheduledAt
		}
	}
	return time.Time{}
}

// queuesOf lists the queues that clients have worked in the last day.
func queuesOf[TTx any](ctx context.Context, client *river.Client[TTx], tx TTx) (map[string]*rivertype.Queue, error) {
	list, err := client.QueueListTx(ctx, tx, river.NewQueueListParams().First(maxList))
	if err != nil {
		return nil, fmt.Errorf("list River queues: %w", err)
	}
	queues := map[string]*rivertype.Queue{}
	for _, queue := range list.Queues {
		queues[queue.Name] = queue
	}
	return queues, nil
}

// ProbeLine implements [squidmesh.LineProber]. River hands jobs out by priority, time and id. At most limit jobs of each priority are
// read.
func (e *Executor[TTx]) ProbeLine(ctx context.Context, tx TTx, jobID string, limit int) (int, error) {
	id, err := strconv.ParseInt(jobID, 10, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // it is no job of River's
	}
	client, err := e.use(ctx)
	if err != nil {
		return 0, err
	}
	found, err := client.JobListTx(ctx, tx, river.NewJobListParams().IDs(id).First(1))
	if err != nil {
		return 0, fmt.Errorf("find River job %d: %w", id, err)
	}
	if len(found.Jobs) == 0 || found.Jobs[0].State != rivertype.JobStateAvailable {
		return 0, nil
	}
	job := found.Jobs[0]
	line := river.NewJobListParams().Queues(job.Queue).States(rivertype.JobStateAvailable).
		OrderBy(river.JobListOrderByScheduledAt, river.SortOrderAsc).First(limit)
	ahead := 0
	for priority := 1; priority <= job.Priority && ahead < limit; priority++ {
		list, err := client.JobListTx(ctx, tx, line.Priorities(int16(priority))) //nolint:gosec // from 1 to 4
		if err != nil {
			return 0, fmt.Errorf("list queue %s: %w", job.Queue, err)
		}
		for _, other := range list.Jobs {
			if priority < job.Priority || other.ScheduledAt.Before(job.ScheduledAt) || other.ScheduledAt.Equal(job.ScheduledAt) && other.ID < job.ID {
				ahead++
			}
		}
	}
	return min(ahead, limit), nil
}
