package riveradapter

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

const (
	// lookAhead is how near a due time must be for its job to be inserted as available. River's scheduler looks every five
	// seconds and does the same for what falls due before its next look, so a job due later has at least one look ahead of it.
	lookAhead = 6 * time.Second

	// maxEarly is how long before it is due a job may be tried, since clocks differ.
	maxEarly = time.Minute

	// maxNear bounds the available jobs of one process that are not due yet, since every fetch walks over them.
	maxNear = 5000
)

// timing is when a job is to be delivered, in the database's time.
type timing struct {
	now   time.Time // of the decision; zero leaves everything to River and the host's clock
	dueAt time.Time // zero means at once
	near  *near
}

// scheduledAt rounds up to milliseconds, which is what SQLite keeps: a delivery must not come before its time.
func (t timing) scheduledAt() time.Time {
	if r := t.dueAt.Truncate(time.Millisecond); r.Before(t.dueAt) {
		return r.Add(time.Millisecond)
	}
	return t.dueAt
}

// firstDue is what a cron job for later keeps of its time, which River overwrites when the job is sent back.
type firstDue struct {
	At time.Time `json:"squidmesh_due_at"`
}

// metadata is nil for a job that is due when it is created.
func (f firstDue) metadata() []byte {
	if f.At.IsZero() {
		return nil
	}
	data, _ := json.Marshal(f) // of a time that is a queue's
	return data
}

// dueAt is when a cron job was to come for the first time. That cannot be long after the time of an attempt: who says so has written it by
// hand or hastened the job, and would have it wait until then, or for ever, for a process that knows its trigger.
func dueAt(job *rivertype.JobRow) time.Time {
	var f firstDue
	if err := json.Unmarshal(job.Metadata, &f); err != nil || f.At.Before(job.CreatedAt) {
		return job.CreatedAt
	}
	if job.AttemptedAt != nil && f.At.After(job.AttemptedAt.Add(maxEarly)) {
		return job.CreatedAt
	}
	return f.At
}

// insertHook sets the times of our jobs by the database's clock. River alone would set them by the host's, and a job created on
// a host that runs ahead of the database is not fetched until the database has caught up.
//
// It also makes jobs that are due soon available at once, as River does with its own short retries: the scheduled state
// would make a delay of 100 ms one of up to five seconds.
type insertHook struct{ river.HookDefaults }

// InsertBegin implements rivertype.HookInsertBegin.
func (*insertHook) InsertBegin(_ context.Context, params *rivertype.JobInsertParams) error {
	args, ok := params.Args.(jobArgs)
	if !ok {
		return nil
	}
	t := args.unwrap().timing
	if t.now.IsZero() {
		return nil
	}
	params.CreatedAt = &t.now
	switch params.State {
	case rivertype.JobStateAvailable:
		params.ScheduledAt = &t.now
	case rivertype.JobStateScheduled:
		switch ahead := t.dueAt.Sub(t.now); {
		case ahead <= 0:
			params.State, params.ScheduledAt = rivertype.JobStateAvailable, &t.now
		case ahead <= lookAhead && t.near.take(t.now, t.dueAt):
			params.State = rivertype.JobStateAvailable
		}
	default: // a hook of the program has decided otherwise
	}
	return nil
}

// near counts the jobs of one process that are available and not due yet. A transaction that is rolled back counts until its jobs
// would have been due, which errs on the safe side.
type near struct {
	mu    sync.Mutex
	count int
	until map[int64]int // by the second in which they are due
}

// take reports whether there is room for one more, and counts it.
func (n *near) take(now, dueAt time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for second, count := range n.until {
		if second < now.Unix() {
			n.count -= count
			delete(n.until, second)
		}
	}
	if n.count >= maxNear {
		return false
	}
	if n.until == nil {
		n.until = map[int64]int{}
	}
	n.count++
	n.until[dueAt.Unix()]++
	return true
}
