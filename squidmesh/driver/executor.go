package driver

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Executor hands work to a queue. All four methods write through tx. What they enqueue becomes deliverable when tx commits, and
// never if it does not. They must not need a second connection of the same pool: tx has one, and callers that each wait for a
// second one would wait for each other. After an error the caller rolls back. A panic counts as an error. Later the queue hands
// each job's Delivery to [squidmesh.Runtime.Perform], at least once.
//
// Many goroutines call an executor. It may also implement [BatchExecutor], [Prober], [LineProber], [Retrier], [ScopeProber],
// [Waker] and [Validator].
type Executor[TTx any] interface {
	// EnqueueStep enqueues the delivery of one step.
	EnqueueStep(ctx context.Context, tx TTx, job StepJob) (JobMetadata, error)

	// EnqueueSteps enqueues two or more deliveries, of one run or several, all or nothing. Metadata come in the order of jobs.
	EnqueueSteps(ctx context.Context, tx TTx, jobs []StepJob) ([]JobMetadata, error)

	// EnqueueCompensation enqueues the delivery of one undo, or of a run's compensation as a whole.
	EnqueueCompensation(ctx context.Context, tx TTx, job CompensationJob) (JobMetadata, error)

	// EnqueueCron enqueues the start of a run by a cron trigger.
	EnqueueCron(ctx context.Context, tx TTx, job CronJob) (JobMetadata, error)
}

// Schedule says where and when a job is to be delivered, and for whom.
type Schedule struct {
	// Now is when the job was decided, by the database's clock.
	Now time.Time

	// DueAt is when the job may be delivered at the earliest, by the database's clock. Zero means at once.
	DueAt time.Time

	// Delay is DueAt less Now, for queues that count from the present. Zero means at once.
	Delay time.Duration

	// Queue is the queue to use. Priority is the place in it, from 1 (first) to 4.
	Queue    string
	Priority int

	// Scope identifies the store that the job belongs to; its [Delivery] has it too. An empty scope belongs to whoever gets the
	// delivery.
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

// CompensationJob asks for the delivery of one attempt of an undo. Without Step it asks to start or continue the run's
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

// CronJob asks for the start of a run by a cron trigger. The runtime enqueues one for each window that fires.
//
// A program with a scheduler of its own may enqueue some too. Jobs with the same IntendedWindow start one run together, and so do
// jobs without a window that have the same SignalID. That includes the job of a window that the runtime fires itself.
type CronJob struct {
	Schedule
	Workflow string
	Trigger  string

	// SignalID identifies what fired, in at most 180 printable characters. If it is empty, it is derived from a complete
	// IntendedWindow, and is the same for all who derive it. Without a window, the job gets a signal of its own, so that it starts
	// one run however often it is delivered.
	SignalID string

	// IntendedWindow is the period that the run is for. It is nil if there is none.
	IntendedWindow *Window
}

// Delivery returns what the job must carry. Call it once for each job: see SignalID.
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

// JobMetadata is what an executor knows of a job that it enqueued. JobID and Queue are stored with the step. The
// [squidmesh.Observer] is told all of it after the commit.
type JobMetadata struct {
	JobID  string `json:"job_id"`
	Queue  string `json:"queue"`
	Worker string `json:"worker"` // the kind of worker that will take it

	// ScheduledAt is when the queue means to hand the job out. It is DueAt, give or take what a queue that counts from the present
	// needs to begin.
	ScheduledAt time.Time `json:"scheduled_at"`
}

// Batch is everything that one commit enqueues.
type Batch struct {
	Steps         []StepJob
	Compensations []CompensationJob
	Crons         []CronJob
}

// BatchMetadata answers a [Batch]. Each list is in the order of the batch's jobs.
type BatchMetadata struct {
	Steps         []JobMetadata
	Compensations []JobMetadata
	Crons         []JobMetadata
}

// BatchExecutor is an [Executor] that can enqueue jobs of all kinds in one statement. The methods of Executor are special cases of
// that.
type BatchExecutor[TTx any] interface {
	EnqueueBatch(ctx context.Context, tx TTx, batch Batch) (BatchMetadata, error)
}

// Prober is an [Executor] that can tell what became of jobs that it enqueued. Ticks ask it once a second about overdue jobs, and
// explanations ask it too. After an error the tick logs it and asks again; an explanation does without. A panic counts as an error.
type Prober[TTx any] interface {
	// ProbeJobs returns the state of each job that still exists. A job that is missing from the answer is gone. Judge the state by
	// now, the database's time: the host's clock may differ.
	ProbeJobs(ctx context.Context, tx TTx, now time.Time, jobIDs []string) (map[string]flow.JobState, error)
}

// Retrier is a [Prober] whose queue can hand a job out at once that it would hand out later, or not any more.
type Retrier[TTx any] interface {
	// RetryJobs makes the queue hand out at once jobs whose state says Retryable. It passes over a job that is gone by now.
	RetryJobs(ctx context.Context, tx TTx, jobIDs []string) error
}

// LineProber is a [Prober] that can tell how many jobs stand before a job.
type LineProber[TTx any] interface {
	// ProbeLine counts the jobs of the same queue that would be handed out before the given one, up to limit. The answer is zero if
	// the job does not stand in line or does not exist.
	ProbeLine(ctx context.Context, tx TTx, jobID string, limit int) (int, error)
}

// ScopeProber is an [Executor] that can tell which stores the jobs in queues belong to. [squidmesh.Runtime.Start] asks it and warns
// of other stores. If ScopeProber fails, Start fails.
type ScopeProber[TTx any] interface {
	// ProbeScopes returns the scopes of the deliveries that are in the queues now, sorted, each once. It looks at no more than
	// limit of them.
	ProbeScopes(ctx context.Context, tx TTx, queues []string, limit int) ([]string, error)
}

// Waker is an [Executor] whose queue can be told to look for work at once. Wake is called after commits, outside any transaction,
// at most every few milliseconds. An error or a panic is logged and costs only latency.
type Waker interface {
	Wake(ctx context.Context, notify NotifyFunc, queues []string) error
}

// NotifyFunc sends a payload to a channel of the database, like [Store.Notify].
type NotifyFunc func(ctx context.Context, channel, payload string) error

// Validator is an [Executor] that can refuse names and queues before any run starts.
type Validator interface {
	// ValidateSpec returns one message for each thing in the spec that the queue would refuse.
	ValidateSpec(spec *flow.Spec) []string
}
