package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// WrittenFields returns the keys that a result puts into the run's data, below the name of Output if there is one.
func WrittenFields(output string, result *jsontype.Type) []jsontype.Field {
	switch {
	case result == nil:
		return nil
	case output != "":
		return []jsontype.Field{{Name: output, Required: true, Type: *result}}
	case result.Kind != jsontype.Object || result.Open:
		return nil
	case !result.Nullable:
		return result.Fields
	}
	fields := slices.Clone(result.Fields)
	for i := range fields {
		fields[i].Required = false
	}
	return fields
}

// Spec is a compiled workflow. It is immutable and serialisable, and has no functions. Its shape is hashed, and each run is pinned
// to a shape: steps, routes, dependencies, reads, outputs, undo, marks and contracts. Policies are not part of the hash, so a
// deploy can change them under running runs: retry, timeout, queue, priority, wait and log text.
type Spec struct {
	workflow    string
	description string
	triggers    []TriggerSpec
	steps       []StepSpec
	shape       string

	index      map[string]int      // of steps by name
	dependents map[string][]string // within a block: who has the step in After
}

// NewSpec makes a spec of lists that a compiler has checked: names are unique, routes and dependencies lead to steps, and children
// follow their block. The caller must not change the lists afterwards.
func NewSpec(workflow, description string, triggers []TriggerSpec, steps []StepSpec) *Spec {
	s := &Spec{workflow: workflow, description: description, triggers: triggers, steps: steps}
	s.shape = s.hashShape()
	s.link()
	return s
}

// TriggerSpec is a compiled [squidmesh.Trigger].
type TriggerSpec struct {
	Name     string        `json:"name"`
	Cron     string        `json:"cron,omitempty"`
	TimeZone string        `json:"time_zone,omitempty"`
	Payload  jsontype.Type `json:"payload"` // an object
	Defaults Defaults      `json:"defaults,omitempty"`
	Missed   Missed        `json:"missed,omitempty"`
	CatchUp  int           `json:"catch_up,omitempty"`
	Overlap  Overlap       `json:"overlap,omitempty"`
}

// StepSpec is a compiled [squidmesh.Step]. In lists the children of a block follow it.
type StepSpec struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Kind        Kind              `json:"kind"`
	Block       string            `json:"block,omitempty"`    // the block that it is a child of
	Children    []string          `json:"children,omitempty"` // of a block
	After       []string          `json:"after,omitempty"`
	Next        string            `json:"next,omitempty"` // a step or Complete; empty for children and choices
	OnError     string            `json:"on_error,omitempty"`
	Recovery    Recovery          `json:"recovery,omitempty"`
	Routes      map[string]string `json:"routes,omitempty"`

	// Keys are the keys that the input takes from the payload and from the outputs of Sources. Sources are all earlier steps that
	// may write one of the keys, in an order in which they may have run.
	Keys    []string       `json:"keys,omitempty"`
	Sources []string       `json:"sources,omitempty"`
	Input   *jsontype.Type `json:"input,omitempty"`
	Output  string         `json:"output,omitempty"`
	Result  *jsontype.Type `json:"result,omitempty"` // nil for none

	HasUndo          bool           `json:"has_undo,omitempty"`
	UndoKind         Kind           `json:"undo_kind,omitempty"` // func or func_tx
	UndoKeys         []string       `json:"undo_keys,omitempty"`
	UndoSources      []string       `json:"undo_sources,omitempty"` // the step itself among them if it writes one of the keys
	UndoInput        *jsontype.Type `json:"undo_input,omitempty"`
	Irreversible     bool           `json:"irreversible,omitempty"`
	NotCompensatable bool           `json:"not_compensatable,omitempty"`

	Policy     Policy `json:"policy"`
	UndoPolicy Policy `json:"undo_policy"`
}

// Policy is the part of a step that may change under running runs.
type Policy struct {
	Retry     Retry         `json:"retry,omitzero"`
	Timeout   time.Duration `json:"timeout,omitempty"`    // never zero where something executes
	MaxLosses int           `json:"max_losses,omitempty"` // zero is the default
	Queue     string        `json:"queue,omitempty"`      // empty is the runtime's default
	Priority  int           `json:"priority,omitempty"`
	Wait      time.Duration `json:"wait,omitempty"`
	Level     slog.Level    `json:"level,omitempty"`
	Message   string        `json:"message,omitempty"`
}

func (st *StepSpec) PolicyOf(phase Phase) Policy {
	if phase == PhaseUndo {
		return st.UndoPolicy
	}
	return st.Policy
}

// Takes returns the keys that the input of a phase takes, and the steps whose outputs it takes them from besides the payload.
func (st *StepSpec) Takes(phase Phase) (keys, sources []string) {
	if phase == PhaseUndo {
		return st.UndoKeys, st.UndoSources
	}
	return st.Keys, st.Sources
}

// Workflow is the workflow's name.
func (s *Spec) Workflow() string { return s.workflow }

// Description is the workflow's description.
func (s *Spec) Description() string { return s.description }

// Shape is the hash of the spec's shape.
func (s *Spec) Shape() string { return s.shape }

// Entry is the name of the first step.
func (s *Spec) Entry() string { return s.steps[0].Name }

// Triggers returns the compiled triggers. The caller must not change them.
func (s *Spec) Triggers() []TriggerSpec { return s.triggers }

// Steps returns the compiled steps. Children follow their block. The caller must not change them.
func (s *Spec) Steps() []StepSpec { return s.steps }

// Step finds a step by name.
func (s *Spec) Step(name string) (StepSpec, bool) {
	if st := s.Find(name); st != nil {
		return *st, true
	}
	return StepSpec{}, false
}

// Trigger finds a trigger by name. The empty name finds the default trigger: the first manual one, or the first one if none is
// manual.
func (s *Spec) Trigger(name string) (TriggerSpec, bool) {
	for _, t := range s.triggers {
		if t.Name == name || name == "" && t.Cron == "" {
			return t, true
		}
	}
	if name == "" && len(s.triggers) > 0 {
		return s.triggers[0], true
	}
	return TriggerSpec{}, false
}

// Find finds a step without copying it. It returns nil if there is none.
func (s *Spec) Find(name string) *StepSpec {
	if i, ok := s.index[name]; ok {
		return &s.steps[i]
	}
	return nil
}

// WithPolicy returns the spec with policies of today's definition, for the steps that both have. The shape stays.
func (s *Spec) WithPolicy(today *Spec) *Spec {
	merged := *s
	merged.steps = make([]StepSpec, len(s.steps))
	for i, st := range s.steps {
		if t := today.Find(st.Name); t != nil && t.Kind == st.Kind {
			st.Policy, st.UndoPolicy = t.Policy, t.UndoPolicy
		}
		merged.steps[i] = st
	}
	return &merged
}

type specJSON struct {
	Workflow    string        `json:"workflow"`
	Description string        `json:"description,omitempty"`
	Shape       string        `json:"shape"`
	Triggers    []TriggerSpec `json:"triggers"`
	Steps       []StepSpec    `json:"steps"`
}

// MarshalJSON writes the whole spec, policies included.
func (s *Spec) MarshalJSON() ([]byte, error) {
	return json.Marshal(specJSON{s.workflow, s.description, s.shape, s.triggers, s.steps})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Spec) UnmarshalJSON(data []byte) error {
	var j specJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*s = Spec{workflow: j.Workflow, description: j.Description, shape: j.Shape, triggers: j.Triggers, steps: j.Steps}
	s.link()
	return nil
}

// link builds the lookups that follow from the steps.
func (s *Spec) link() {
	s.index = make(map[string]int, len(s.steps))
	s.dependents = map[string][]string{}
	for i, st := range s.steps {
		s.index[st.Name] = i
		for _, dep := range st.After {
			s.dependents[dep] = append(s.dependents[dep], st.Name)
		}
	}
}

// hashShape hashes what a run is pinned to: all of the steps but their descriptions and policies, and the triggers' names and
// payload types.
func (s *Spec) hashShape() string {
	type trigger struct {
		Name    string        `json:"name"`
		Payload jsontype.Type `json:"payload"`
	}
	shape := struct {
		Workflow string     `json:"workflow"`
		Triggers []trigger  `json:"triggers"`
		Steps    []StepSpec `json:"steps"`
	}{Workflow: s.workflow, Steps: slices.Clone(s.steps)}
	for _, t := range s.triggers {
		shape.Triggers = append(shape.Triggers, trigger{t.Name, t.Payload})
	}
	for i := range shape.Steps {
		st := &shape.Steps[i]
		st.Description, st.Policy, st.UndoPolicy = "", Policy{}, Policy{}
	}
	data, err := json.Marshal(shape) // which sorts the keys of maps
	if err != nil {
		panic("squidmesh: a shape is plain data, yet: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
