package byhand

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Queue is an executor in memory, whose jobs are taken one by one. A job of a transaction of a [Process] comes with its commit. Of
// other transactions nothing is known, so their jobs are there at once: for a run that was rolled back they ask for nothing.
type Queue[TTx any] struct {
	mu     sync.Mutex
	jobs   []QueuedJob
	last   int
	refuse bool
}

// QueuedJob is a job of a queue that is turned by hand.
type QueuedJob struct {
	ID       string
	Delivery driver.Delivery
	DueAt    time.Time // zero is at once
	Priority int
}

// JobHorizon is how far ahead a worker sends deliveries.
const JobHorizon = 24 * time.Hour

var (
	_ driver.Executor[any] = (*Queue[any])(nil)
	_ driver.Prober[any]   = (*Queue[any])(nil)
)

var (
	errRefused = errors.New("the test refuses jobs")
	queueName  = regexp.MustCompile(`^[a-z0-9_-]+$`)
)

// Refuse makes the queue refuse all jobs, or take them again.
func (q *Queue[TTx]) Refuse(refuse bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse = refuse
}

// enqueue notes a job with its transaction. The delivery goes through JSON, as it does in a real queue.
func (q *Queue[TTx]) enqueue(ctx context.Context, schedule driver.Schedule, d driver.Delivery) (driver.JobMetadata, error) {
	if !queueName.MatchString(schedule.Queue) {
		return driver.JobMetadata{}, fmt.Errorf("queue %q: no queue can have this name", schedule.Queue)
	}
	data, err := json.Marshal(d)
	if err != nil {
		return driver.JobMetadata{}, err
	}
	if d, err = driver.ParseDelivery(data); err != nil {
		return driver.JobMetadata{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse {
		return driver.JobMetadata{}, errRefused
	}
	q.last++
	job := QueuedJob{ID: strconv.Itoa(q.last), Delivery: d, DueAt: schedule.DueAt, Priority: schedule.Priority}
	if n := NotesOf(ctx); n != nil {
		n.Jobs = append(n.Jobs, job)
	} else {
		q.jobs = append(q.jobs, job)
	}
	return driver.JobMetadata{JobID: job.ID, Queue: schedule.Queue, Worker: "test", ScheduledAt: cmp.Or(schedule.DueAt, schedule.Now)}, nil
}

// EnqueueStep implements driver.Executor.
func (q *Queue[TTx]) EnqueueStep(ctx context.Context, _ TTx, job driver.StepJob) (driver.JobMetadata, error) {
	return q.enqueue(ctx, job.Schedule, job.Delivery())
}

// EnqueueSteps implements driver.Executor.
func (q *Queue[TTx]) EnqueueSteps(ctx context.Context, _ TTx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	var all []driver.JobMetadata
	for _, job := range jobs {
		m, err := q.enqueue(ctx, job.Schedule, job.Delivery())
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// EnqueueCompensation implements driver.Executor.
func (q *Queue[TTx]) EnqueueCompensation(ctx context.Context, _ TTx, job driver.CompensationJob) (driver.JobMetadata, error) {
	return q.enqueue(ctx, job.Schedule, job.Delivery())
}

// EnqueueCron implements driver.Executor.
func (q *Queue[TTx]) EnqueueCron(ctx context.Context, _ TTx, job driver.CronJob) (driver.JobMetadata, error) {
	return q.enqueue(ctx, job.Schedule, job.Delivery())
}

// ProbeJobs implements driver.Prober: a job that was taken does not come again.
func (q *Queue[TTx]) ProbeJobs(ctx context.Context, _ TTx, _ time.Time, jobIDs []string) (map[string]flow.JobState, error) {
	var own []QueuedJob
	if n := NotesOf(ctx); n != nil {
		own = n.Jobs
	}
	states := map[string]flow.JobState{}
	for _, id := range jobIDs {
		if q.Has(id) || slices.ContainsFunc(own, func(job QueuedJob) bool { return job.ID == id }) {
			states[id] = flow.JobState{State: "queued", Deliverable: true}
		}
	}
	return states, nil
}

// Has reports whether a job is still to be taken.
func (q *Queue[TTx]) Has(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, job := range q.jobs {
		if job.ID == id {
			return true
		}
	}
	return false
}

// Add puts jobs into the queue: those of a commit, or one that is to come again.
func (q *Queue[TTx]) Add(jobs ...QueuedJob) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, jobs...)
}

// Take removes the job that is due first. Of those due at one moment the first in priority, then the oldest, comes first.
func (q *Queue[TTx]) Take(now time.Time) (QueuedJob, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := -1
	for i, job := range q.jobs {
		if !job.DueAt.After(now) && (first < 0 || cmp.Or(job.DueAt.Compare(q.jobs[first].DueAt), job.Priority-q.jobs[first].Priority) < 0) {
			first = i
		}
	}
	if first < 0 {
		return QueuedJob{}, false
	}
	job := q.jobs[first]
	q.jobs = append(q.jobs[:first:first], q.jobs[first+1:]...)
	return job, true
}

// Next is when the next job is due; false if there is none.
func (q *Queue[TTx]) Next() (at time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, job := range q.jobs {
		if !ok || job.DueAt.Before(at) {
			at, ok = job.DueAt, true
		}
	}
	return at, ok
}

// List is what the queue holds.
func (q *Queue[TTx]) List() []QueuedJob {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]QueuedJob{}, q.jobs...)
}
