package flow

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Fold rebuilds a run from its audit: the run's row and its step rows, as they stood after the last entry. The entries begin with
// the first one and have no gap. The first entries of a run give the run as it was then, for [Explain] for example.
//
// What the audit does not tell stays zero. Payload and KeyHash are written once, with the run's row, and can be read there; a copy
// would double the largest value. JobID and Queue are the executor's answer to a decision, and may change without one. The
// DeadlineAt of an attempt follows from the policy of the day, and would be the largest part of most entries. A DueAt that had come
// when the row was reached is no later than that entry.
func Fold(spec *Spec, entries []AuditEntry) (Snapshot, error) {
	f := NewFolding(spec)
	for _, e := range entries {
		if err := f.Read(e); err != nil {
			return Snapshot{}, err
		}
	}
	return f.Snapshot, nil
}

// Folding is a run that is being rebuilt from its audit.
type Folding struct {
	Snapshot
	spec *Spec

	entry AuditEntry // the one at hand
	Data  AuditData
}

func NewFolding(spec *Spec) *Folding {
	return &Folding{spec: spec, Snapshot: Snapshot{Steps: map[StepKey]StepState{}}}
}

// Read adds an entry as it is stored. It must follow the entries before it.
func (f *Folding) Read(e AuditEntry) error {
	var data AuditData
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return fmt.Errorf("read entry %d of run %s: %w", e.Seq, e.Run, err)
	}
	if e.Seq != f.entry.Seq+1 || f.entry.Seq > 0 && e.Run != f.entry.Run || f.spec.Find(e.Name) == nil && e.Name != "" {
		return fmt.Errorf("entry %d of run %s does not follow", e.Seq, e.Run)
	}
	f.enter(e, data)
	return nil
}

func (f *Folding) enter(e AuditEntry, data AuditData) {
	f.entry, f.Data = e, data
	if e.Kind == AuditStarted {
		f.start()
	}
	f.endings()
	for _, name := range f.Data.Closed {
		f.end(StepKey{name, PhaseDo}, StepCancelled)
	}
	for _, r := range f.Data.Reached {
		f.reach(r)
	}
	f.closeBooks()
}

func (f *Folding) start() {
	f.Run = Run{
		ID: f.entry.Run, Workflow: f.spec.workflow, Trigger: f.Data.Trigger, Shape: f.spec.shape, CreatedAt: f.entry.At,
		Status: RunPending, Key: f.Data.Key, SignalID: f.Data.SignalID,
		WindowAt: f.Data.WindowAt, WindowEnd: f.Data.WindowEnd, ReceivedAt: f.Data.ReceivedAt,
	}
	f.Run.ReplayedFrom, _ = uuid.Parse(f.Data.Replayed)
}

// endings says what became of the rows that the entry is about. Those that go on are reached besides.
func (f *Folding) endings() {
	key := f.entry.StepKey
	row := f.Steps[key]
	switch f.entry.Kind {
	case AuditSucceeded, AuditUndone, AuditApproved, AuditUnblocked:
		if row.Status == StepScheduled { // a wait, whose claim is its end
			row.StartedAt = f.entry.At
			f.Steps[key] = row
		}
		f.end(key, StepCompleted)
		f.completed(key)
	case AuditFailed, AuditRetried, AuditUndoFailed:
		row.Failures++
		f.Steps[key] = row
		f.failed(key)
	case AuditRejected, AuditExpired:
		f.failed(key)
	case AuditAccepted:
		f.end(key, StepFailed)
	case AuditReleased:
		f.end(key, StepCancelled)
	case AuditLost:
		f.lost()
	case AuditUndoRetried:
		row.Failures, row.Losses = 0, 0
		f.Steps[key] = row
	}
}

func (f *Folding) end(key StepKey, status StepStatus) {
	row := f.Steps[key]
	row.Status, row.FinishedAt = status, f.entry.At
	row.DueAt, row.DeadlineAt = time.Time{}, time.Time{}
	if status == StepCompleted {
		row.DoneSeq = f.entry.Seq
	}
	f.Steps[key] = row
}

// again reports whether the entry schedules the row again.
func (f *Folding) again(key StepKey) bool {
	return slices.ContainsFunc(f.Data.Reached, func(r AuditReached) bool { return r.key() == key && r.Status == StepScheduled })
}

// completed counts a child's completion off for those that wait for it, and for its block.
func (f *Folding) completed(key StepKey) {
	block := StepKey{f.spec.Find(key.Name).Block, PhaseDo}
	if key.Phase == PhaseUndo || f.Run.Verdict != VerdictNone || f.Steps[block].Status != StepRunning {
		return
	}
	for _, name := range f.spec.dependents[key.Name] {
		waiting := StepKey{name, PhaseDo}
		row, ok := f.Steps[waiting]
		if !ok {
			row = StepState{
				Run: f.Run.ID, StepKey: waiting, Status: StepScheduled, Attempt: 1,
				Missing: len(f.spec.Find(name).After), Cause: f.Steps[block].Cause,
			}
		}
		row.Missing--
		f.Steps[waiting] = row
	}
	for _, child := range f.spec.Find(block.Name).Children {
		if f.Steps[StepKey{child, PhaseDo}].Status != StepCompleted {
			return
		}
	}
	f.end(block, StepCompleted)
}

// failed ends a row badly, unless it is tried again. The first failure of a block's child fails the block, and only failures that
// drain nothing are the run's reason.
func (f *Folding) failed(key StepKey) {
	switch {
	case f.again(key):
		return
	case key.Phase == PhaseUndo:
		f.end(key, StepPaused)
		return
	}
	f.end(key, StepFailed)
	block := StepKey{f.spec.Find(key.Name).Block, PhaseDo}
	if f.Run.Verdict != VerdictNone || f.Steps[block].Status == StepFailed {
		return
	}
	f.Run.Reason = f.Data.Error
	if block.Name != "" {
		f.end(block, StepFailed)
	}
}

// lost ends every attempt of the worker. What was put back before a loss doomed the run is closed as the next attempt.
func (f *Folding) lost() {
	for i := range f.spec.steps {
		for _, phase := range []Phase{PhaseDo, PhaseUndo} {
			key := StepKey{f.spec.steps[i].Name, phase}
			row, ok := f.Steps[key]
			if !ok || row.Status != StepRunning || row.Worker != f.Data.Worker || f.spec.steps[i].Kind == KindBlock {
				continue
			}
			row.Losses++
			if slices.Contains(f.Data.Closed, key.Name) && phase == PhaseDo {
				row.Attempt++
			}
			f.Steps[key] = row
			if phase == PhaseDo && slices.Contains(f.Data.Failed, key.Name) || phase == PhaseUndo && row.Losses == DefaultMaxLosses {
				f.failed(key)
			} else {
				f.end(key, StepCancelled)
			}
		}
	}
}

func (r AuditReached) key() StepKey {
	if r.Phase == PhaseUndo {
		return StepKey{r.Step, PhaseUndo}
	}
	return StepKey{r.Step, PhaseDo}
}

// reach sets a row as the entry lists it.
func (f *Folding) reach(r AuditReached) {
	if r.Phase == PhaseUndo && r.Status == StepPaused {
		return // it ended, and awaits a decision
	}
	row, ok := f.Steps[r.key()]
	if !ok {
		row = StepState{Run: f.Run.ID, StepKey: r.key(), Cause: f.cause(r)}
	}
	row.Status, row.Attempt, row.Missing = r.Status, r.Attempt, 0
	row.DueAt, row.DeadlineAt, row.FinishedAt = time.Time{}, time.Time{}, time.Time{}
	if r.DueAt != nil {
		row.DueAt = *r.DueAt
	}
	if r.DeadlineAt != nil {
		row.DeadlineAt = *r.DeadlineAt
	}
	if r.Status != StepScheduled {
		row.StartedAt = f.entry.At
		row.Worker = r.Worker
	}
	f.Steps[r.key()] = row
}

// cause is the step whose final failure led to a new row. A block is reached with the first of its children.
func (f *Folding) cause(r AuditReached) string {
	if r.Phase == PhaseUndo {
		return ""
	}
	var cause string
	if f.Data.Target != "" {
		cause = f.Run.Reason.Step
	}
	block := StepKey{f.spec.Find(r.Step).Block, PhaseDo}
	if block.Name == "" {
		return cause
	}
	row, ok := f.Steps[block]
	if !ok {
		row = StepState{Run: f.Run.ID, StepKey: block, Status: StepRunning, Attempt: 1, Cause: cause, StartedAt: f.entry.At}
		f.Steps[block] = row
	}
	return row.Cause
}

// closeBooks brings the run's row up to date.
func (f *Folding) closeBooks() {
	run := &f.Run
	run.Version, run.Seq, run.LastAt = f.entry.Seq, f.entry.Seq, f.entry.At
	if f.Data.RunStatus != "" {
		run.Status = f.Data.RunStatus
	}
	if f.Data.Verdict != VerdictNone {
		run.Verdict, run.Compensate = f.Data.Verdict, f.Data.Compensate || f.Data.Verdict == VerdictFailed
	}
	if run.Status.Terminal() {
		run.FinishedAt = f.entry.At
	}
	run.Open, run.Retrying = 0, 0
	for key, row := range f.Steps {
		if f.spec.Find(key.Name).Kind != KindBlock {
			run.Open += count(row.Open())
			run.Retrying += count(row.retrying())
		}
	}
}
