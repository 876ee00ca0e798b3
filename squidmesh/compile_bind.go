package squidmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// binding is the function of one phase of a registered step.
type binding struct {
	kind flow.Kind
	call callFunc
}

// registry holds the registered workflows: today's specs, the functions by step, and what the payloads of triggers decode
// into. It is immutable after New.
type registry struct {
	specs     map[string]*Spec // by workflow
	functions map[string]map[flow.StepKey]binding
	payloads  map[flow.TriggerKey]jsontype.DecodeCheck
}

// register compiles workflows and binds their functions. The transaction type of FuncTx steps must be tx.
func register(workflows []Workflow, tx reflect.Type) (*registry, error) {
	r := &registry{specs: map[string]*Spec{}, functions: map[string]map[flow.StepKey]binding{}, payloads: map[flow.TriggerKey]jsontype.DecodeCheck{}}
	var problems []error
	for _, w := range workflows {
		spec, err := Compile(w)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if r.specs[w.Name] != nil {
			problems = append(problems, &InputError{
				Field: "Workflows", Code: "duplicate_name", Detail: fmt.Sprintf("workflow %q is registered twice", w.Name),
			})
			continue
		}
		functions := map[flow.StepKey]binding{}
		for _, st := range flatten(w.Steps) {
			for phase, action := range map[flow.Phase]Action{flow.PhaseDo: st.Do, flow.PhaseUndo: st.Undo} {
				if action.tx != nil && action.tx != tx {
					problems = append(problems, &InputError{
						Field: fmt.Sprintf("Workflows: workflow %q: step %q", w.Name, st.Name), Code: "wrong_transaction",
						Detail: fmt.Sprintf("takes a transaction of type %s, this runtime's store gives %s", action.tx, tx),
					})
				}
				if action.call != nil || action.kind == flow.KindLog {
					functions[flow.StepKey{Name: st.Name, Phase: phase}] = binding{action.kind, action.call}
				}
			}
		}
		for _, t := range w.Triggers {
			r.payloads[flow.TriggerKey{Workflow: w.Name, Trigger: t.Name}] = t.Payload.decodes()
		}
		r.specs[w.Name], r.functions[w.Name] = spec, functions
	}
	if len(problems) > 0 {
		return nil, &ConfigError{Problems: problems}
	}
	return r, nil
}

// flatten lists the steps of a workflow, children behind their block.
func flatten(steps []Step) []Step {
	var all []Step
	for _, st := range steps {
		all = append(all, st)
		all = append(all, st.Parallel...)
	}
	return all
}

// pin says how this process runs a shape.
func (r *registry) pin(spec *Spec) *pinned {
	runnable, unfit := spec.Functions(r.specs[spec.Workflow()])
	return &pinned{spec: spec, runnable: runnable, unfit: unfit}
}

// invoke calls a step's function and encodes what it returned.
func (b binding) invoke(ctx context.Context, tx any, input json.RawMessage, limit int) (json.RawMessage, string, error) {
	res, err := b.call(ctx, tx, input)
	if err != nil || !res.some {
		return nil, res.route, err
	}
	output, err := encodeResult(res.output, limit)
	if err != nil {
		return nil, "", Fail(WithCode(flow.CodeInvalidOutput, err))
	}
	if string(output) == "null" {
		return nil, "", nil
	}
	return output, "", nil
}

// encodeResult encodes what a function returned, if the database and every reader will take it.
func encodeResult(result any, limit int) (json.RawMessage, error) {
	output, err := encode.Safely(result)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	if len(output) > limit {
		return nil, fmt.Errorf("result of %d bytes exceeds the limit of %d: store it elsewhere and return a reference", len(output), limit)
	}
	if _, problems := jsontype.Walk(output); len(problems) > 0 {
		return nil, fmt.Errorf("encode result: %w", problems[0])
	}
	if envelope.Is(output) {
		return nil, errors.New("encode result: " + envelope.Reserved)
	}
	return output, nil
}
