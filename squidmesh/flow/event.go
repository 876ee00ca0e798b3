package flow

import (
	"encoding/json"
	"time"
)

// Event is something that happens to a run. Only this package has events. [TraitsOf] says more about each.
//
//sumtype:decl
type Event interface{ traits() Traits }

// Started creates the run.
type Started struct {
	ID           RunID
	Trigger      string
	Payload      json.RawMessage
	Key, KeyHash string
	WindowAt     time.Time
	WindowEnd    time.Time
	ReceivedAt   time.Time
	SignalID     string
	ReplayedFrom RunID
	Actor        string
}

// Attempted says which attempt of a step row an event is about, and which worker speaks.
type Attempted struct {
	StepKey
	Attempt int
	Worker  WorkerID
	// Hold is the delivery under which the worker holds the run.
	Hold StepKey
	// Runnable has the steps that the worker has functions for. Nil forbids the worker to go on with a successor.
	Runnable map[StepKey]bool
	// Unfit has the steps whose functions the worker has, but that do not fit the run's shape.
	Unfit map[StepKey]bool
	// Stuck has the steps that the worker must not begin, because too many abandoned calls of them go on in its process.
	Stuck map[StepKey]bool
}

// Claimed says that a delivery arrived at a worker that would execute it. It is sent back if Runnable does not have the step, or if
// Stuck has it.
type Claimed struct {
	Attempted
	// Job and Queue are the job and the queue that brought the delivery. Empty means unknown.
	Job, Queue string
	// Elsewhere says that another living worker has the function and uses the step's queue. It counts only if Runnable does not
	// have the step.
	Elsewhere bool
}

// Succeeded says that an attempt ended, and its function returned without an error.
type Succeeded struct {
	Attempted
	Output json.RawMessage // nil for none
	Route  string          // the answer of a choice
}

// Failed says that an attempt ended, and its function did not return a result.
type Failed struct {
	Attempted
	Error      StepError
	Final      bool           // no retry, whatever the policy
	RetryAfter *time.Duration // instead of the policy's delay, if the policy grants a retry
}

// Released says that a living worker gives an attempt back unfinished. That counts as nothing until it happens too often.
type Released struct {
	Attempted
	Reason string
}

// Lost says that a worker was declared lost while it held deliveries of the run. All its running attempts are over.
type Lost struct {
	Worker WorkerID
	Holds  []StepKey
}

// Expired says that an attempt or an open decision is past its deadline, and nobody ended it. An open decision then fails its step.
// An attempt has ExpireAfter more, in which its own process can record the timeout. After that it has timed out, whatever its
// worker says later.
type Expired struct {
	StepKey
	Attempt int
	// Holds are the deliveries that the attempt's worker holds of the run. They go unless it is at work on something else there.
	Holds []StepKey
}

// Redelivered replaces the delivery of a scheduled attempt. Its job, JobID, is gone, or never was (empty). The attempt stays. If
// several processes miss the job, one of them replaces it.
type Redelivered struct {
	StepKey
	Attempt int
	JobID   string
}

// Compensated asks to start or continue the run's compensation. It comes from a compensation delivery without a step.
type Compensated struct{}

// Unblocked ends a pause.
type Unblocked struct{ Decision }

// Approved ends an approval by its Next.
type Approved struct{ Decision }

// Rejected ends an approval by its OnError.
type Rejected struct{ Decision }

// Cancelled asks the run to end as cancelled.
type Cancelled struct {
	Decision
	Compensate bool // undo what completed first
}

// UndoRetried gives a new set of attempts to a failed undo.
type UndoRetried struct{ Decision }

// UndoAccepted gives up a failed undo: its step's effect stays.
type UndoAccepted struct{ Decision }

// Replayed asks whether a finished run may be started anew. It changes nothing; Started begins the new run.
type Replayed struct {
	Decision
	AllowIrreversible bool
}
