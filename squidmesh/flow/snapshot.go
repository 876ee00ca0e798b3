package flow

import (
	"maps"
)

// Snapshot is what a decision sees of a run: its row, and the step rows that the decision's [Reads] name. Decide never changes a
// snapshot.
type Snapshot struct {
	Run   Run
	Steps map[StepKey]StepState

	// WorkerLost says that the worker that the event comes from was declared lost. It may write nothing.
	WorkerLost bool

	// Environment is the world around the run. It is nil if nothing is known of it. No decision depends on it.
	Environment *Environment
}

// With returns the snapshot as the transition leaves it. The receiver stays as it is.
func (s Snapshot) With(t Transition) Snapshot {
	if t.Empty() {
		return s
	}
	next := Snapshot{Run: t.Run, Steps: maps.Clone(s.Steps), WorkerLost: s.WorkerLost, Environment: s.Environment}
	if next.Steps == nil {
		next.Steps = map[StepKey]StepState{}
	}
	for _, c := range t.Steps {
		next.Steps[c.StepKey] = c.StepState
	}
	return next
}
