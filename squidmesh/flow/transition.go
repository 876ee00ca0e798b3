package flow

import (
	"slices"
	"time"
)

// Transition is what one event changes, as a value: whole rows, new or changed, the jobs to enqueue, and the audit. The zero
// Transition changes nothing.
type Transition struct {
	// Run is the run's row after the transition. NewRun says that the row does not exist yet.
	Run    Run
	NewRun bool

	Steps    []StepChange
	Attempts []AttemptRecord
	Audit    []AuditEntry
	Jobs     []Job

	// Held and Unheld are the deliveries that a worker begins and ends to work on.
	Held   []Hold
	Unheld []Hold

	// Untold says that the writer of the transition does not know whether it will be committed. A tick then takes what it wrote,
	// with TakeUntold of [driver.Store], and tells observers.
	Untold bool

	// Claim is the execution that the event's worker must begin now. It is nil if there is none.
	Claim *Claim

	// Data is what the audit entry tells, before it is encoded.
	Data AuditData

	// Queued is how long after its due time the delivery was claimed. Ran is how long the attempt ran that ended, or how long
	// the decision was open that was made or cancelled; of several the longest. Neither is written.
	Queued, Ran time.Duration

	// Outcome answers the delivery that caused the event.
	Outcome Outcome

	// Interrupt says that the run's running steps should be told to stop.
	Interrupt bool
}

// Empty reports whether the transition changes nothing of the run. It may still end the holds of a lost worker.
func (t Transition) Empty() bool {
	return !t.NewRun && len(t.Audit) == 0 && len(t.Steps) == 0
}

// Merge returns one transition for two of the same run that follow each other. For each key the last row counts.
func (t Transition) Merge(next Transition) Transition {
	if t.Empty() {
		next.Unheld = slices.Concat(t.Unheld, next.Unheld)
		return next
	}
	folded := t
	folded.Run = next.Run
	folded.Steps = slices.Clone(t.Steps)
	for _, c := range next.Steps {
		i := slices.IndexFunc(folded.Steps, func(o StepChange) bool { return o.StepKey == c.StepKey })
		if i < 0 {
			folded.Steps = append(folded.Steps, c)
			continue
		}
		folded.Steps[i].StepState = c.StepState
		folded.Steps[i].Ended = folded.Steps[i].Ended && c.Ended
	}
	folded.Attempts = slices.Concat(t.Attempts, next.Attempts)
	folded.Audit = slices.Concat(t.Audit, next.Audit)
	folded.Jobs = slices.Concat(t.Jobs, next.Jobs)
	folded.Unheld = slices.Concat(t.Unheld, next.Unheld)
	folded.Held = nil // what is held first and let go later is never written
	for _, h := range t.Held {
		if !slices.Contains(next.Unheld, h) {
			folded.Held = append(folded.Held, h)
		}
	}
	folded.Held = append(folded.Held, next.Held...)
	folded.Interrupt = t.Interrupt || next.Interrupt
	return folded
}

// StepChange is a step row to insert (New) or to update.
type StepChange struct {
	StepState
	New bool

	// Ended says that an update only ends the step: of the stored row only Status, DueAt, DeadlineAt, FinishedAt and DoneSeq
	// change. A store may write just those.
	Ended bool
}

// ends reports whether the change of a stored row is its end and no more.
func (c StepChange) ends(stored StepState) bool {
	if !c.Status.Final() {
		return false
	}
	stored.Status, stored.DueAt, stored.DeadlineAt = c.Status, c.DueAt, c.DeadlineAt
	stored.FinishedAt, stored.DoneSeq = c.FinishedAt, c.DoneSeq
	return stored == c.StepState
}

// Hold says that a worker is at work on a delivery, so that others find its runs when it dies. One hold covers everything that the
// worker goes on to do in the same run after that delivery.
type Hold struct {
	Worker WorkerID
	Run    RunID
	StepKey
}

// Job is one delivery to enqueue, as the core decides it. Executors see a [driver.StepJob] or a [driver.CompensationJob].
type Job struct {
	Run      RunID
	Workflow string
	StepKey
	Attempt  int
	Queue    string
	Priority int
	Now      time.Time
	DueAt    time.Time // zero is now
}

// Claim is an attempt that was just claimed for execution.
type Claim struct {
	Run      RunID
	Workflow string
	Shape    string
	StepKey
	Attempt    int
	Worker     WorkerID
	Hold       StepKey   // the delivery under which this claim runs
	Now        time.Time // database time of the claim
	DeadlineAt time.Time
	Cause      *StepError // the failure that led here; nil when a success did

	// Keys are the keys that the input takes. Sources are the steps whose outputs have them, besides the payload.
	Keys    []string
	Sources []string
}
