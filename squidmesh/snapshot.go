package squidmesh

import (
	"encoding/json"
	"maps"
)

// Snapshot is what a decision sees of a run: its row, the step rows that the decision's [Reads] name, and the outputs that
// a claim needs. Decide never changes one.
type Snapshot struct {
	Run   Run
	Steps map[StepKey]StepState

	// Outputs by step name, of completed steps only.
	Outputs map[string]json.RawMessage

	// WorkerLost says that the worker on whose behalf the event comes has been declared lost: it may write nothing.
	WorkerLost bool
}

// Reads names what a decision needs to see besides the run's row.
type Reads struct {
	// All asks for every step row, Steps for the named ones.
	All   bool
	Steps []StepKey

	// Outputs names the steps whose outputs a claim within the decision may read.
	Outputs []string

	// Payload asks for the run's payload.
	Payload bool
}

// With returns the snapshot as it is once the transition has been applied. The receiver stays as it was.
func (s Snapshot) With(t Transition) Snapshot {
	next := Snapshot{Run: t.Run, Steps: maps.Clone(s.Steps), Outputs: maps.Clone(s.Outputs), WorkerLost: s.WorkerLost}
	if t.Empty() {
		next.Run = s.Run
	}
	if next.Steps == nil {
		next.Steps = map[StepKey]StepState{}
	}
	if next.Outputs == nil {
		next.Outputs = map[string]json.RawMessage{}
	}
	for _, c := range t.Steps {
		next.Steps[c.StepKey] = c.StepState
	}
	for _, e := range t.Audit {
		if e.Output != nil && e.Phase == PhaseDo {
			next.Outputs[e.Name] = e.Output
		}
	}
	return next
}
