package riveradapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (
	// handedOut is how long a running job counts as one that has just been delivered. River leaves a job running when its
	// process dies, for an hour by default; whoever asks about it after this time should not wait for that. A wrong answer costs one
	// job that finds nothing to do.
	handedOut = 3 * time.Second

	// flipped is how long after its time a job may still be scheduled. River's leader should have made it available before that time.
	flipped = 50 * time.Millisecond

	// attended is how long after its last report a queue counts as worked. Clients report every ten minutes.
	attended = 25 * time.Minute

	// maxList is the most that River lists in one statement.
	maxList = 10_000

	// maxRetries is how many errors a job may have and still be told to come again. River rewrites all of them at each.
	maxRetries = 100
)

// ProbeJobs implements [driver.Prober], in two statements for up to 10,000 jobs.
func (e *Executor[TTx]) ProbeJobs(ctx context.Context, tx TTx, now time.Time, jobIDs []string) (map[string]flow.JobState, error) {
	states := make(map[string]flow.JobState, len(jobIDs))
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
			return nil, fmt.Errorf("list %d River jobs: %w", len(chunk), namesTables(client, err))
		}
		for _, job := range list.Jobs {
			state := stateOf(job, now)
			state.Paused = queues[job.Queue] != nil && queues[job.Queue].PausedAt != nil
			state.Unattended = queues[job.Queue] == nil || now.Sub(queues[job.Queue].UpdatedAt) > attended
			states[strconv.FormatInt(job.ID, 10)] = state
		}
	}
	return states, nil
}

// RetryJobs implements [driver.Retrier], in a statement for each job.
func (e *Executor[TTx]) RetryJobs(ctx context.Context, tx TTx, jobIDs []string) error {
	client, err := e.use(ctx)
	if err != nil {
		return err
	}
	for _, text := range jobIDs {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			continue
		}
		if _, err := client.JobRetryTx(ctx, tx, id); err != nil && !errors.Is(err, rivertype.ErrNotFound) {
			return fmt.Errorf("retry River job %d: %w", id, err)
		}
	}
	return nil
}

// stateOf is what the job's row tells.
func stateOf(job *rivertype.JobRow, now time.Time) flow.JobState {
	state := flow.JobState{State: string(job.State), Queue: job.Queue, Deliverable: deliverable(job, now), At: ahead(job, now)}
	if job.State == rivertype.JobStateRunning || job.AttemptedAt == nil {
		return state
	}
	said, ours := sentBackOf(job)
	switch {
	case job.FinalizedAt != nil && ours && !said.BackAt.IsZero():
		return state // it was to come again, and an operator has cancelled it
	case ours:
		state.BackAt, state.BackFor = said.BackAt, said.Reason
	}
	state.TriedAt, state.Refusal = *job.AttemptedAt, refusal(job, ours && !said.BackAt.IsZero(), ours)
	state.Retryable = len(job.Errors) < maxRetries && job.Attempt < maxAttempts &&
		(job.FinalizedAt != nil || state.At.After(now) || !state.Deliverable)
	return state
}

// refusal says what kept the last try of a job from the runtime.
func refusal(job *rivertype.JobRow, comesBack, ours bool) string {
	var text string
	if n := len(job.Errors); n > 0 {
		text = job.Errors[n-1].Error
	}
	switch unknown := (&rivertype.UnknownJobKindError{Kind: job.Kind}).Error(); {
	case comesBack, job.State == rivertype.JobStateCompleted:
		return ""
	case ours:
		return "a runtime dropped it: " + text
	case text == unknown:
		return "a client that works this queue does not have riveradapter.AddWorkers"
	case text == "" || job.State == rivertype.JobStateScheduled:
		return "your middleware snoozed it"
	default:
		return "your middleware returned: " + text
	}
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
		return nil, fmt.Errorf("list River queues: %w", namesTables(client, err))
	}
	queues := map[string]*rivertype.Queue{}
	for _, queue := range list.Queues {
		queues[queue.Name] = queue
	}
	return queues, nil
}

// ProbeScopes implements [driver.ScopeProber], in one statement. It looks at jobs that are available or running.
func (e *Executor[TTx]) ProbeScopes(ctx context.Context, tx TTx, queues []string, limit int) ([]string, error) {
	client, err := e.use(ctx)
	if err != nil {
		return nil, err
	}
	list, err := client.JobListTx(ctx, tx, river.NewJobListParams().Kinds(KindStep, KindCompensation, KindCron).Queues(queues...).
		States(rivertype.JobStateAvailable, rivertype.JobStateRunning).First(limit))
	if err != nil {
		return nil, fmt.Errorf("list jobs of River queues %s: %w", strings.Join(queues, ", "), namesTables(client, err))
	}
	var scopes []string
	for _, job := range list.Jobs {
		// What cannot be read its worker will drop.
		if d, err := driver.ParseDelivery(job.EncodedArgs); err == nil && d.Scope != "" {
			scopes = append(scopes, d.Scope)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), nil
}

// ProbeLine implements [driver.LineProber]. River hands jobs out by priority, time and id. At most limit jobs of each priority are
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
