package flow

import (
	"encoding/json"
	"time"
)

// Event is something that happens to a run. The cases are closed: only this package has them. [TraitsOf] tells what is said about each.
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

// Attempted names the attempt of a step row that an event is about, and the worker that speaks.
type Attempted struct {
	StepKey
	Attempt int
	Worker  WorkerID
	// Hold is the delivery under which the worker holds the run.
	Hold StepKey
	// Runnable says which steps the worker has functions for. Nil forbids it to continue with a successor.
	Runnable map[StepKey]bool
	// Unfit says for which others it has functions that do not fit the run's shape.
	Unfit map[StepKey]bool
	// Stuck says of which steps too many calls go on in the worker's process that have been abandoned, so that it is to begin no more.
	Stuck map[StepKey]bool
}

// Claimed is the arrival of a delivery at a worker that would execute it. It is sent back if Runnable does not
// hold the step, or Stuck does.
type Claimed struct {
	Attempted
	// Job and Queue are those that the delivery came by. Empty ones are not known.
	Job, Queue string
	// Elsewhere says that another worker lives that has the function and uses the step's queue. It counts only where Runnable does not
	// hold the step.
	Elsewhere bool
}

// Succeeded is the end of an attempt whose function returned without an error.
type Succeeded struct {
	Attempted
	Output json.RawMessage // nil for none
	Route  string          // the answer of a choice
}

// Failed is the end of an attempt whose function did not return a result.
type Failed struct {
	Attempted
	Error      StepError
	Final      bool           // no retry, whatever the policy
	RetryAfter *time.Duration // instead of the policy's delay, if the policy grants a retry
}

// Released is an attempt that its living worker gives back unfinished. It counts as nothing, until it happens too often.
type Released struct {
	Attempted
	Reason string
}

// Lost says that a worker was declared lost while it held deliveries of the run. Every attempt that it was running is over.
type Lost struct {
	Worker WorkerID
	Holds  []StepKey
}

// Expired says that the deadline of an attempt, or of an open decision, has passed and nobody ended it. A decision that was left open
// fails its step. An attempt is given ExpireAfter more, in which its own process records the timeout; then it has timed out
// whatever its worker says later.
type Expired struct {
	StepKey
	Attempt int
	// Holds are what the attempt's worker holds of the run. They go if it is at work on nothing else there.
	Holds []StepKey
}

// Redelivered replaces the delivery of a scheduled attempt, because its job, JobID, is gone or never was (empty). The attempt stays,
// and of several processes that miss the job one replaces it.
type Redelivered struct {
	StepKey
	Attempt int
	JobID   string
}

// Compensated asks to start or continue the run's compensation; it comes from a compensation delivery without a step.
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

// UndoRetried gives a failed undo a new set of attempts.
type UndoRetried struct{ Decision }

// UndoAccepted leaves a failed undo as it is.
type UndoAccepted struct{ Decision }

// Replayed asks whether a finished run may be started anew. It changes nothing; the new run is Started.
type Replayed struct {
	Decision
	AllowIrreversible bool
}
