package flow

import (
	"fmt"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/encode"
)

// refuse is the error of a command that the run's state does not allow. Nothing is written then.
func (d *ruling) refuse(command string, err error, detail string) error {
	return &RefusedError{Command: command, Run: d.run.ID, Status: d.run.Status, Detail: detail, Err: err}
}

// decided records who made a decision about a row, and how long it was open.
func (d *ruling) decided(kind AuditKind, row StepState, by Decision) {
	d.record(kind, row.StepKey, row.Attempt)
	if row.Status == StepPaused {
		opened := row.StartedAt
		if row.Phase == PhaseUndo {
			opened = row.FinishedAt // its last attempt failed then
		}
		d.t.Ran = d.at.Sub(opened)
	}
	d.entry.Actor = by.Actor
	d.data.Comment, d.data.Metadata = by.Comment, by.Metadata
}

// open finds the paused step of the kind that a decision is about. The first one that matches counts.
func (d *ruling) open(command string, kind Kind, by Decision) (*StepSpec, StepState, error) {
	if d.run.Status.Terminal() {
		return nil, StepState{}, d.refuse(command, ErrFinished, "")
	}
	var others []string
	for _, row := range d.all(PhaseDo) {
		if row.Status != StepPaused {
			continue
		}
		st := d.spec.Find(row.Name)
		if st.Kind == kind && (by.Step == "" || by.Step == row.Name) {
			return st, row, nil
		}
		others = append(others, fmt.Sprintf("%s %q", st.Kind, row.Name))
	}
	detail := "nothing is paused"
	if len(others) > 0 {
		detail = "waiting at " + strings.Join(others, ", ")
	}
	return nil, StepState{}, d.refuse(command, ErrNotWaiting, detail)
}

// unblocked ends a pause, and the run goes on to Next.
func (d *ruling) unblocked(e Unblocked) error {
	st, row, err := d.open("unblock", KindPause, e.Decision)
	if err != nil {
		return err
	}
	d.decided(AuditUnblocked, row, e.Decision)
	d.put(d.finished(row, StepCompleted))
	d.reach(st.Next, "")
	return nil
}

// approved ends an approval with a result, and the run goes on to Next.
func (d *ruling) approved(e Approved) error {
	st, row, err := d.open("approve", KindApproval, e.Decision)
	if err != nil {
		return err
	}
	d.decided(AuditApproved, row, e.Decision)
	d.entry.Output, err = encode.JSON(ApprovalResult{
		Decision: "approved", Actor: e.Actor, Comment: e.Comment, Metadata: e.Metadata, DecidedAt: d.at,
	})
	if err != nil {
		return fmt.Errorf("encode approval of %s: %w", row.Name, err)
	}
	d.put(d.finished(row, StepCompleted))
	d.reach(st.Next, "")
	return nil
}

// rejected fails an approval for good, so that the run takes its OnError. The decision is recorded last, as the entry is about the
// rejection and not about the failure.
func (d *ruling) rejected(e Rejected) error {
	st, row, err := d.open("reject", KindApproval, e.Decision)
	if err != nil {
		return err
	}
	failure := &StepError{
		Step: row.Name, Attempt: row.Attempt, Code: CodeRejected, Message: "rejected by " + e.Actor, At: d.at,
	}
	if e.Comment != "" {
		failure.Message += ": " + e.Comment
	}
	d.declined(st, row, failure)
	d.decided(AuditRejected, row, e.Decision)
	return nil
}

// declined fails a step whose decision went against it.
func (d *ruling) declined(st *StepSpec, row StepState, failure *StepError) {
	d.data.Error = failure
	d.attempt(row, AttemptFailed, failure)
	d.failFinally(st, row, failure)
}

// cancelled sets the verdict. If the run has one already, it only notes who asked, and may add compensation to an earlier cancel.
func (d *ruling) cancelled(e Cancelled) error {
	switch {
	case d.run.Status == RunCancelled:
		return nil
	case d.run.Status.Terminal():
		return d.refuse("cancel", ErrFinished, "")
	}
	d.decided(AuditCancelled, StepState{}, e.Decision)
	switch {
	case d.run.Verdict == VerdictCancelled && e.Compensate && !d.run.Compensate:
		// The run still waits for its live attempts, so it is not too late to undo what completed.
		d.run.Compensate = true
		d.data.Verdict, d.data.Compensate = VerdictCancelled, true
		return nil
	case d.run.Verdict != VerdictNone:
		return nil
	}
	d.run.Verdict, d.run.Compensate = VerdictCancelled, e.Compensate
	d.data.Verdict, d.data.Compensate = VerdictCancelled, e.Compensate
	d.cancelUnclaimed()
	d.drain()
	return nil
}

// replayed refuses to repeat a step that nobody can take back, if that step was done, has failed, or was interrupted half-way.
func (d *ruling) replayed(e Replayed) error {
	if !d.run.Status.Terminal() {
		return d.refuse("replay", ErrNotFinished, "cancel it first, or wait for its end")
	}
	if e.AllowIrreversible {
		return nil
	}
	var unsafe []string
	for _, row := range d.all(PhaseDo) {
		st := d.spec.Find(row.Name)
		if (st.Irreversible || st.NotCompensatable) && !row.StartedAt.IsZero() {
			unsafe = append(unsafe, row.Name)
		}
	}
	if len(unsafe) > 0 {
		return &UnsafeReplayError{Run: d.run.ID, Steps: unsafe}
	}
	return nil
}
