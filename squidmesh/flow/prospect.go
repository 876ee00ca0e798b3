package flow

import (
	"fmt"
	"maps"
	"slices"
)

// ProspectCode says in one word how an unfinished run will fare under a new version of the program.
type ProspectCode string

// The outlooks, from the best to the worst.
const (
	// ProspectContinues means that the run is pinned to today's definition.
	ProspectContinues ProspectCode = "continues"
	// ProspectFinishes means that today's definition is another one, and has every function that the run may still need.
	ProspectFinishes ProspectCode = "finishes_on_pinned_shape"
	// ProspectMayWait means that today's definition lacks a function that the run needs on some routes only, or only if something
	// fails or somebody cancels.
	ProspectMayWait ProspectCode = "may_wait"
	// ProspectWillWait means that the run comes to a function that is not there or does not fit, unless something fails or somebody
	// cancels.
	ProspectWillWait ProspectCode = "will_wait"
)

var ProspectCodes = []ProspectCode{ProspectContinues, ProspectFinishes, ProspectMayWait, ProspectWillWait}

// Waits reports whether a run with that outlook may come to wait for a function.
func (c ProspectCode) Waits() bool { return c == ProspectMayWait || c == ProspectWillWait }

// Prospect says how a run will fare with the functions of today's definition.
type Prospect struct {
	Run      RunID        `json:"run_id"`
	Workflow string       `json:"workflow"`
	Shape    string       `json:"shape"` // that the run is pinned to
	Status   RunStatus    `json:"status"`
	Code     ProspectCode `json:"code"`

	// Lacks are the functions that the run may still need and that cannot be called, in the order of the spec.
	Lacks []MissingFunction `json:"lacks,omitzero"`

	// Queues are queues that hold deliveries of the run and that this program's definitions do not use. CheckDeploy finds them.
	Queues []string `json:"queues,omitzero"`
}

// MissingFunction is a function that a run may need and that cannot be called.
type MissingFunction struct {
	StepKey // empty if the definition itself is missing

	// Reason is [ReasonFunctionUnknown], [ReasonFunctionIncompatible] or [ReasonDefinitionUnknown].
	Reason ReasonCode `json:"reason"`

	// Differs says what keeps a function that is there from being called.
	Differs string `json:"differs,omitzero"`
}

func (l MissingFunction) String() string {
	switch {
	case l.Reason == ReasonDefinitionUnknown:
		return "the database does not hold the shape"
	case l.Differs != "":
		return fmt.Sprintf("%s does not fit: %s", l.function(), l.Differs)
	default:
		return l.function() + " is unknown"
	}
}

func (l MissingFunction) function() string {
	if l.Phase == PhaseUndo {
		return "the undo of " + l.Name
	}
	return l.Name
}

// PredictDeploy says how a run will fare if from now on there are only the functions of today's definition. Today is nil for a
// workflow that is gone. Pinned is the run's own shape with today's policies (see [Spec.WithPolicy]), nil if nobody has it. The
// snapshot must hold every row.
//
// It looks at every way that the run can still take through its pinned shape: the routes of choices and decisions, failures with
// their error routes, retries of what is running now, and undos, since somebody can cancel an unfinished run at any time. It is
// exact: a run that waits for a function waits for one of Lacks, and each of Lacks is on such a way.
func PredictDeploy(pinned, today *Spec, s Snapshot) Prospect {
	o := Prospect{Run: s.Run.ID, Workflow: s.Run.Workflow, Shape: s.Run.Shape, Status: s.Run.Status}
	if pinned == nil {
		o.Code, o.Lacks = ProspectWillWait, []MissingFunction{{Reason: ReasonDefinitionUnknown}}
		return o
	}
	f := foresight{spec: pinned, today: today, snap: s, needs: map[StepKey]bool{}, stuck: map[string]bool{}}
	stops := f.look()
	o.Lacks = f.lacks()
	switch {
	case stops:
		o.Code = ProspectWillWait
	case len(o.Lacks) > 0:
		o.Code = ProspectMayWait
	case today != nil && today.shape == pinned.shape:
		o.Code = ProspectContinues
	default:
		o.Code = ProspectFinishes
	}
	return o
}

// foresight walks the ways that lie before a run.
type foresight struct {
	spec, today *Spec
	snap        Snapshot
	needs       map[StepKey]bool // the functions that may be called yet
	stuck       map[string]bool  // of the spine's steps that were looked at: whether the run certainly stops from there on
}

// look finds all that the run may need, and says whether it certainly stops for want of it.
func (f *foresight) look() (stops bool) {
	switch {
	case f.snap.Run.Status.Terminal():
		return false
	case f.snap.Run.Compensate:
		return f.undoes()
	case f.snap.Run.Verdict != VerdictNone:
		f.mayUndo() // while it drains it can still be told to compensate
		return false
	}
	for i := range f.spec.steps {
		if st := &f.spec.steps[i]; st.Block == "" && f.open(st) {
			stops = f.step(st)
		}
	}
	f.mayUndo()
	return stops
}

func (f *foresight) do(st *StepSpec) (StepState, bool) {
	row, ok := f.snap.Steps[StepKey{st.Name, PhaseDo}]
	return row, ok
}

// open reports whether the run stands at a step of the spine. There is one, which may be a block that drains.
func (f *foresight) open(st *StepSpec) bool {
	row, begun := f.do(st)
	return begun && !row.Status.Final() || f.drains(st)
}

// drains reports whether a block has failed and waits for its last children to stop.
func (f *foresight) drains(st *StepSpec) bool {
	if row, begun := f.do(st); !begun || row.Status != StepFailed {
		return false
	}
	for _, child := range st.Children {
		if row, _ := f.do(f.spec.Find(child)); row.Status == StepRunning {
			return true
		}
	}
	return false
}

// follow looks from where a route leads on.
func (f *foresight) follow(target string) (stops bool) {
	return target != Complete && f.step(f.spec.Find(target))
}

// step looks from a step of the spine on, which is open or to come, and says whether the run stops there or behind it even if nothing
// fails, whatever is answered and decided.
func (f *foresight) step(st *StepSpec) (stops bool) {
	if stops, seen := f.stuck[st.Name]; seen {
		return stops
	}
	if f.drains(st) {
		return f.follow(st.OnError)
	}
	fails := f.expires(st)
	for _, part := range f.parts(st) {
		if row, begun := f.do(part); begun && row.Status.Final() || !part.Executes(PhaseDo) {
			continue
		}
		fails = true
		if f.calls(part) {
			stops = true
		}
	}
	if fails && st.OnError != "" {
		f.follow(st.OnError)
	}
	onward := true
	for _, target := range leads(st) {
		if !f.follow(target) {
			onward = false
		}
	}
	stops = stops || onward
	f.stuck[st.Name] = stops
	return stops
}

// parts are the children of a block, and of other steps the step itself.
func (f *foresight) parts(st *StepSpec) []*StepSpec {
	if st.Kind != KindBlock {
		return []*StepSpec{st}
	}
	var children []*StepSpec
	for _, child := range st.Children {
		children = append(children, f.spec.Find(child))
	}
	return children
}

// expires reports whether a step can fail because nobody decides in time.
func (f *foresight) expires(st *StepSpec) bool {
	if st.Kind != KindPause {
		return false
	}
	if row, begun := f.do(st); begun {
		return !row.DeadlineAt.IsZero()
	}
	return st.Policy.Timeout > 0
}

// leads are the targets of which the run takes one if nothing fails. A rejection is a decision, not a failure.
func leads(st *StepSpec) []string {
	switch st.Kind {
	case KindChoose:
		var targets []string
		for _, route := range slices.Sorted(maps.Keys(st.Routes)) {
			targets = append(targets, st.Routes[route])
		}
		return targets
	case KindApproval:
		return []string{st.Next, st.OnError}
	default:
		return []string{st.Next}
	}
}

// calls notes that the step's function may be called, and says whether the run certainly stops at it. An attempt that is
// running may be the last one, or be handed back.
func (f *foresight) calls(st *StepSpec) (stops bool) {
	key := StepKey{st.Name, PhaseDo}
	f.needs[key] = true
	row, _ := f.do(st)
	return row.Status != StepRunning && !f.spec.Fit(f.today, key).Runnable()
}

// mayUndo notes the undos of what has completed or still may, since the run may fail or be cancelled later, or meanwhile.
func (f *foresight) mayUndo() {
	for i := range f.spec.steps {
		st := &f.spec.steps[i]
		row, _ := f.do(st)
		if st.HasUndo && (row.Status == StepCompleted || row.Status == StepRunning || f.needs[StepKey{st.Name, PhaseDo}]) {
			f.needs[StepKey{st.Name, PhaseUndo}] = true
		}
	}
}

// undoes notes the undos of a run that will compensate, or does, and says whether it certainly stops at one.
func (f *foresight) undoes() (stops bool) {
	for i := range f.spec.steps {
		st := &f.spec.steps[i]
		key := StepKey{st.Name, PhaseUndo}
		do, _ := f.do(st)
		undo, begun := f.snap.Steps[key]
		if !st.HasUndo || undo.Status.Final() || do.Status != StepCompleted && do.Status != StepRunning {
			continue
		}
		f.needs[key] = true
		awaited := do.Status == StepCompleted && (!begun || undo.Status == StepScheduled)
		if awaited && !f.spec.Fit(f.today, key).Runnable() {
			stops = true
		}
	}
	return stops
}

// lacks are the needs that today's definition does not meet.
func (f *foresight) lacks() []MissingFunction {
	var lacks []MissingFunction
	for i := range f.spec.steps {
		for _, phase := range []Phase{PhaseDo, PhaseUndo} {
			key := StepKey{f.spec.steps[i].Name, phase}
			if !f.needs[key] {
				continue
			}
			switch fit := f.spec.Fit(f.today, key); {
			case fit.Runnable():
			case fit.Known:
				lacks = append(lacks, MissingFunction{key, ReasonFunctionIncompatible, fit.Differs})
			default:
				lacks = append(lacks, MissingFunction{StepKey: key, Reason: ReasonFunctionUnknown})
			}
		}
	}
	return lacks
}
