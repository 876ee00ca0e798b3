package flow

import (
	"slices"
)

// Union returns everything that either asks for.
func (r Reads) Union(other Reads) Reads {
	r.All = r.All || other.All
	r.Payload = r.Payload || other.Payload
	for _, key := range other.Steps {
		if !slices.Contains(r.Steps, key) {
			r.Steps = append(r.Steps, key)
		}
	}
	for _, name := range other.Outputs {
		if !slices.Contains(r.Outputs, name) {
			r.Outputs = append(r.Outputs, name)
		}
	}
	return r
}

func (r Reads) Empty() bool {
	return !r.All && !r.Payload && len(r.Steps) == 0 && len(r.Outputs) == 0
}

// ReadsOf returns the step rows that the decision on an event needs: the step itself and its direct successors, or everything. The
// run's row must have been read under the lock.
func ReadsOf(spec *Spec, run Run, e Event) Reads {
	if run.Verdict != VerdictNone {
		return Reads{All: true}
	}
	switch e := e.(type) {
	case Started:
		return Reads{}
	case Claimed:
		if e.Phase == PhaseDo {
			return successReads(spec, e.Name)
		}
	case Succeeded:
		if e.Phase == PhaseDo {
			st := spec.Find(e.Name)
			if st == nil || st.Kind != KindChoose || st.Routes[e.Route] != "" {
				return successReads(spec, e.Name)
			}
		}
	case Redelivered:
		return Reads{Steps: []StepKey{e.StepKey}}
	default: // to read more than it needs never changes a decision
	}
	return Reads{All: true}
}

// successReads is the step, its block, and the siblings that wait for it. What follows on the spine has no row yet.
func successReads(spec *Spec, name string) Reads {
	reads := Reads{Steps: []StepKey{{name, PhaseDo}}}
	st := spec.Find(name)
	if st == nil || st.Block == "" {
		return reads
	}
	reads.Steps = append(reads.Steps, StepKey{st.Block, PhaseDo})
	for _, dep := range spec.dependents[name] {
		reads.Steps = append(reads.Steps, StepKey{dep, PhaseDo})
	}
	return reads
}

// Reads says what to load of a run besides its row.
type Reads struct {
	// All asks for every step row. Steps asks for some of them.
	All   bool
	Steps []StepKey

	// Outputs names the steps whose outputs a claimed step reads. Payload asks for the run's payload. Decisions need neither.
	Outputs []string
	Payload bool
}
