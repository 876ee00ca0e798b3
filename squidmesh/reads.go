package squidmesh

// ReadsOf says which step rows the decision on an event needs: the step itself and its direct successors, or everything. The
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
			st := spec.step(e.Name)
			if st == nil || st.Kind != KindChoose || st.Routes[e.Route] != "" {
				return successReads(spec, e.Name)
			}
		}
	case Redelivered:
		return Reads{Steps: []StepKey{e.StepKey}}
	}
	return Reads{All: true}
}

// successReads is the step, its block, and the siblings that wait for it. What follows on the spine has no row yet.
func successReads(spec *Spec, name string) Reads {
	reads := Reads{Steps: []StepKey{{name, PhaseDo}}}
	st := spec.step(name)
	if st == nil || st.Block == "" {
		return reads
	}
	reads.Steps = append(reads.Steps, StepKey{st.Block, PhaseDo})
	for _, dep := range spec.dependents[name] {
		reads.Steps = append(reads.Steps, StepKey{dep, PhaseDo})
	}
	return reads
}
