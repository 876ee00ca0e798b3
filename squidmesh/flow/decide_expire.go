package flow

import (
	"fmt"
	"time"
)

// ExpireAfter is how long past its deadline an attempt may stay unrecorded. After that a tick records it as timed out. It is long
// enough for a process that is merely slow to record the end itself.
const ExpireAfter = AbandonAfter + 5*time.Second

// expired ends an attempt or a decision that is past its deadline. If a decision, a result or another tick came first, that stands.
func (d *ruling) expired(e Expired) {
	row, ok := d.row(e.StepKey)
	switch {
	case !ok || row.Attempt != e.Attempt || row.DeadlineAt.IsZero():
		d.t.Outcome.Reason = "stale"
	case row.Status == StepPaused && !d.now.Before(row.DeadlineAt):
		d.t.Ran = d.at.Sub(row.StartedAt)
		d.expireDecision(row)
	case row.Status == StepRunning && !d.now.Before(row.DeadlineAt.Add(ExpireAfter)):
		d.t.Ran = d.at.Sub(row.StartedAt)
		d.expireAttempt(row, e.Holds)
	default:
		d.t.Outcome.Reason = "early"
	}
}

// expireDecision fails a step whose decision nobody made in time.
func (d *ruling) expireDecision(row StepState) {
	d.declined(d.spec.Find(row.Name), row, &StepError{
		Step: row.Name, Attempt: row.Attempt, Code: CodeDecisionExpired, At: d.at,
		Message: fmt.Sprintf("nobody decided within %s", row.DeadlineAt.Sub(row.StartedAt)),
	})
	d.record(AuditExpired, row.StepKey, row.Attempt)
}

// expireAttempt records the timeout that the worker itself should have recorded. What the worker says later is stale (promise 3).
// The worker's holds go unless it is at work on something else in this run.
func (d *ruling) expireAttempt(row StepState, holds []StepKey) {
	d.data.Worker = row.Worker
	d.fail(d.spec.Find(row.Name), row, Failed{Error: StepError{
		Code:    CodeTimeout,
		Message: fmt.Sprintf("did not end within %s, and its worker did not record that", row.DeadlineAt.Sub(row.StartedAt)),
	}})
	for _, phase := range []Phase{PhaseDo, PhaseUndo} {
		for _, other := range d.all(phase) {
			if other.Status == StepRunning && other.Worker == row.Worker {
				return
			}
		}
	}
	for _, hold := range holds {
		d.t.Unheld = append(d.t.Unheld, Hold{Worker: row.Worker, Run: d.run.ID, StepKey: hold})
	}
}

// AbandonAfter is how long a step's function may go on after its context ended, before the runtime records the end without it.
const AbandonAfter = 5 * time.Second
