package flow

import (
	"strings"
	"time"
)

// undoNext schedules the undo of the step that completed last and has none yet. One undo is open at a time, the latest completion
// first (promise 6). If none is left, the run takes its verdict, unless failed undos still await a decision. It needs a snapshot
// that holds every row.
func (d *ruling) undoNext() {
	var next *StepState
	undecided := false
	for _, row := range d.all(PhaseDo) {
		undo, exists := d.row(StepKey{row.Name, PhaseUndo})
		switch {
		case exists && (undo.Status == StepScheduled || undo.Status == StepRunning):
			return
		case exists && undo.Status == StepPaused:
			undecided = true
		case !exists && row.Status == StepCompleted && d.spec.Find(row.Name).HasUndo && (next == nil || row.DoneSeq > next.DoneSeq):
			next = &row
		}
	}
	switch {
	case next != nil:
		if d.run.Status != RunCompensating {
			d.run.Status, d.data.RunStatus = RunCompensating, RunCompensating
		}
		d.put(StepState{
			Run: d.run.ID, StepKey: StepKey{next.Name, PhaseUndo}, Status: StepScheduled, Attempt: 1,
			DueAt: d.due(0), Queue: d.spec.Find(next.Name).UndoPolicy.Queue,
		})
	case !undecided:
		d.terminal = RunStatus(d.run.Verdict)
	}
}

// undone completes an undo and goes on to the next one.
func (d *ruling) undone(row StepState) {
	d.record(AuditUndone, row.StepKey, row.Attempt)
	d.attempt(row, AttemptSucceeded, nil)
	d.put(d.finished(row, StepCompleted))
	d.undoNext()
}

// undoFailed leaves an undo that is out of attempts to an operator. The other undos go on.
func (d *ruling) undoFailed(row StepState) {
	d.record(AuditUndoFailed, row.StepKey, row.Attempt)
	row = d.finished(row, StepPaused)
	d.put(row)
	d.undoNext()
}

// compensated sends the undo that has no job. An undo that has a job is looked after like any step.
func (d *ruling) compensated() {
	for _, undo := range d.all(PhaseUndo) {
		if undo.Status == StepScheduled && undo.JobID == "" {
			d.redelivered(Redelivered{StepKey: undo.StepKey, Attempt: undo.Attempt, JobID: undo.JobID})
			return
		}
	}
	d.t.Outcome.Reason = DeliveryStale
}

// undoRetried gives a failed undo a new set of attempts. It is refused while another undo is at work, as one goes at a time
// (promise 6).
func (d *ruling) undoRetried(e UndoRetried) error {
	row, err := d.failedUndo("retry undo of", e.Decision)
	if err != nil {
		return err
	}
	for _, undo := range d.all(PhaseUndo) {
		if undo.Status == StepScheduled || undo.Status == StepRunning {
			return d.refuse("retry undo of", ErrNotWaiting, "the undo of "+undo.Name+" is at work; one goes at a time")
		}
	}
	d.decided(AuditUndoRetried, row, e.Decision)
	row.Failures, row.Losses, row.FinishedAt = 0, 0, time.Time{}
	d.reschedule(row, 0)
	return nil
}

// undoAccepted gives up a failed undo, and goes on to the next one or to the end.
func (d *ruling) undoAccepted(e UndoAccepted) error {
	row, err := d.failedUndo("accept undo of", e.Decision)
	if err != nil {
		return err
	}
	d.decided(AuditAccepted, row, e.Decision)
	d.put(d.finished(row, StepFailed))
	d.undoNext()
	return nil
}

// failedUndo finds the undo that a decision is about. If several are open, the decision must name one.
func (d *ruling) failedUndo(command string, e Decision) (StepState, error) {
	var open []StepState
	var names []string
	for _, undo := range d.all(PhaseUndo) {
		if undo.Status == StepPaused && (e.Step == "" || e.Step == undo.Name) {
			open = append(open, undo)
			names = append(names, undo.Name)
		}
	}
	switch {
	case d.run.Status.Terminal():
		return StepState{}, d.refuse(command, ErrFinished, "")
	case len(open) == 0:
		return StepState{}, d.refuse(command, ErrNotWaiting, "no failed undo awaits a decision")
	case len(open) > 1:
		return StepState{}, d.refuse(command, ErrNotWaiting, "several are open, name one of "+strings.Join(names, ", "))
	}
	return open[0], nil
}
