package driver

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Executor hands work to a queue. All four methods write through tx: what they enqueue becomes deliverable when tx commits, and
// never if it does not. What they read elsewhere must not need a connection of the same pool: tx has one, and many that wait for a second
// one wait for each other. After an error the caller rolls back; a panic counts as an error. The queue later hands each job's Delivery to
// [squidmesh.Runtime.Perform], at least once.
//
// Implementations are called from many goroutines. They may also implement [BatchExecutor], [Prober], [LineProber],
// [Retrier], [ScopeProber], [Waker] and [Validator].
type Executor[TTx any] interface {
	// EnqueueStep enqueues the delivery of one step.
	EnqueueStep(ctx context.Context, tx TTx, job StepJob) (JobMetadata, error)

	// EnqueueSteps enqueues two or more, of one run or several, all or nothing. Metadata come in the order of jobs.
	EnqueueSteps(ctx context.Context, tx TTx, jobs []StepJob) ([]JobMetadata, error)

	// EnqueueCompensation enqueues the delivery of one undo, or of a run's compensation as a whole.
	EnqueueCompensation(ctx context.Context, tx TTx, job CompensationJob) (JobMetadata, error)

	// EnqueueCron enqueues the start of a run by a cron trigger.
	EnqueueCron(ctx context.Context, tx TTx, job CronJob) (JobMetadata, error)
}

// Schedule says where and when a job is to be delivered, and for whom.
type Schedule struct {
	// Now is the database's time at which the job was decided.
	Now time.Time

	// DueAt is the earliest delivery in database time. Zero means at once.
	DueAt time.Time

	// Delay is DueAt less Now, for queues that count relatively. Zero means at once.
	Delay time.Duration

	// Queue is the queue to use, Priority the place in it from 1 (first) to 4.
	Queue    string
	Priority int

	// Scope names the store that the job belongs to, for its [Delivery]. Empty is that of whoever gets it.
	Scope string
}

// StepJob asks for the delivery of one attempt of a step.
type StepJob struct {
	Schedule
	RunID    flow.RunID
	Workflow string
	Step     string
	Attempt  int
}

// Delivery is what the job must carry.
func (j StepJob) Delivery() Delivery {
	return Delivery{Version: DeliveryVersion, Kind: DeliverStep, Scope: j.Scope, RunID: j.RunID.String(), Step: j.Step, Attempt: j.Attempt}
}

// CompensationJob asks for the delivery of one attempt of an undo; without Step, to start or continue the run's
// compensation.
type CompensationJob struct {
	Schedule
	RunID    flow.RunID
	Workflow string
	Step     string
	Attempt  int
}

// Delivery is what the job must carry.
func (j CompensationJob) Delivery() Delivery {
	return Delivery{
		Version: DeliveryVersion, Kind: DeliverCompensation, Scope: j.Scope,
		RunID: j.RunID.String(), Step: j.Step, Attempt: j.Attempt,
	}
}

// CronJob asks for the start of a run by a cron trigger. The runtime enqueues one for each window that fires. A program with a
// scheduler of its own may enqueue some too: those with the same IntendedWindow, or without one with the same SignalID, start one
// run together, also with the window that the runtime fires itself.
type CronJob struct {
	Schedule
	Workflow string
	Trigger  string

	// SignalID names what fired, in at most 180 printable characters. Empty is derived from a complete IntendedWindow, the same
	// for all who derive it; without a window the job is given one of its own, so that it starts one run, however often it is
	// delivered.
	SignalID string

	// IntendedWindow is the period that the run is for. Nil for none.
	IntendedWindow *Window
}

// Delivery is what the job must carry. Call it once for each job: see SignalID.
func (j CronJob) Delivery() Delivery {
	switch {
	case j.SignalID != "":
	case j.IntendedWindow.Complete():
		j.SignalID = SignalID(flow.TriggerKey{Workflow: j.Workflow, Trigger: j.Trigger}, *j.IntendedWindow)
	case j.IntendedWindow == nil || *j.IntendedWindow == Window{}:
		j.SignalID = "job:" + rand.Text()
	}
	return Delivery{
		Version: DeliveryVersion, Kind: DeliverCron, Scope: j.Scope,
		Workflow: j.Workflow, Trigger: j.Trigger, SignalID: j.SignalID, IntendedWindow: j.IntendedWindow,
	}
}

// JobMetadata is what an executor knows of a job that it enqueued. JobID and Queue are stored with the step; all of it is told
// to the [squidmesh.Observer] after commit.
type JobMetadata struct {
	JobID  string `json:"job_id"`
	Queue  string `json:"queue"`
	Worker string `json:"worker"` // the kind of worker that will take it

	// ScheduledAt is when the queue means to hand the job out: DueAt, give or take what a queue that counts relatively needs to begin.
	ScheduledAt time.Time `json:"scheduled_at"`
}

// Batch is everything that one commit enqueues.
type Batch struct {
	Steps         []StepJob
	Compensations []CompensationJob
	Crons         []CronJob
}

// BatchMetadata answers a [Batch], each slice in the order of its jobs.
type BatchMetadata struct {
	Steps         []JobMetadata
	Compensations []JobMetadata
	Crons         []JobMetadata
}

// BatchExecutor is an [Executor] that can enqueue all kinds in one statement. The contract methods are its special
// cases.
type BatchExecutor[TTx any] interface {
	EnqueueBatch(ctx context.Context, tx TTx, batch Batch) (BatchMetadata, error)
}

// Prober is an [Executor] that can tell what became of jobs that it enqueued. It is asked once a second about what is overdue, and
// for explanations; an error is logged by the tick, which asks again, and by the explanation, which does without. A panic counts as an
// error.
type Prober[TTx any] interface {
	// ProbeJobs returns the state of each job that still exists; a job that is missing from the answer is gone. Now is the database's
	// time, which the state is to be judged by: the host's clock may be another's.
	ProbeJobs(ctx context.Context, tx TTx, now time.Time, jobIDs []string) (map[string]flow.JobState, error)
}

// Retrier is a [Prober] whose queue can be told to hand out at once what it would hand out later, or not any more.
type Retrier[TTx any] interface {
	// RetryJobs has jobs whose state says Retryable handed out at once. One that is gone by now is passed over.
	RetryJobs(ctx context.Context, tx TTx, jobIDs []string) error
}

// LineProber is a [Prober] that can tell how long a job still has to stand in line.
type LineProber[TTx any] interface {
	// ProbeLine counts the jobs of the same queue that would be handed out before the given one, up to limit. It is zero for a
	// job that does not stand in line or does not exist.
	ProbeLine(ctx context.Context, tx TTx, jobID string, limit int) (int, error)
}

// ScopeProber is an [Executor] that can tell for whom jobs stand in queues. [squidmesh.Runtime.Start] asks it, fails if it
// does, and warns of other stores.
type ScopeProber[TTx any] interface {
	// ProbeScopes returns, in their order, the scopes that deliveries name which stand in the queues now, each once. It looks at no more
	// than limit of them.
	ProbeScopes(ctx context.Context, tx TTx, queues []string, limit int) ([]string, error)
}

// Waker is an [Executor] whose queue can be told to look for work at once. Wake is called after commits, outside any
// transaction, at most every few milliseconds; an error or a panic is logged and costs only latency.
type Waker interface {
	Wake(ctx context.Context, notify NotifyFunc, queues []string) error
}

// NotifyFunc sends a payload to a channel of the database, as [Store] does it.
type NotifyFunc func(ctx context.Context, channel, payload string) error

// Validator is an [Executor] that can refuse names and queues before any run is started.
type Validator interface {
	// ValidateSpec returns one message for each thing in the spec that the queue would refuse.
	ValidateSpec(spec *flow.Spec) []string
}
