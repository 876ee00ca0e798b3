package squidmesh

import "maps"

// Snapshot is what a decision sees of a run: its row, and the step rows that the decision's [Reads] name. Decide never changes
// one.
type Snapshot struct {
	Run   Run
	Steps map[StepKey]StepState

	// WorkerLost says that the worker on whose behalf the event comes has been declared lost: it may write nothing.
	WorkerLost bool

	// Around is the world around the run; nil if nothing is known of it. No decision depends on it.
	Around *Surroundings
}

// With returns the snapshot as it is once the transition has been applied. The receiver stays as it was.
func (s Snapshot) With(t Transition) Snapshot {
	if t.Empty() {
		return s
	}
	next := Snapshot{Run: t.Run, Steps: maps.Clone(s.Steps), WorkerLost: s.WorkerLost, Around: s.Around}
	if next.Steps == nil {
		next.Steps = map[StepKey]StepState{}
	}
	for _, c := range t.Steps {
		next.Steps[c.StepKey] = c.StepState
	}
	return next
}

// Reads names what to load of a run besides its row.
type Reads struct {
	// All asks for every step row, Steps for the named ones.
	All   bool
	Steps []StepKey

	// Outputs names the steps whose outputs a claimed step reads, Payload asks for the run's payload. Decisions need
	// neither.
	Outputs []string
	Payload bool
}
