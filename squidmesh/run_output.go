package squidmesh

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/internal/nearest"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Output decodes the result of a completed step into the variable that into points to. It decodes as a step's input is decoded: a
// number whose type is open becomes a json.Number. The result of an approval is an [ApprovalResult]. An output can be read from the
// step's completion until the run is deleted.
//
// Errors: [ErrNotFound]; [ErrUnknownStep]; [ErrNoOutput] if the step has not completed, or its function returns nothing;
// [ErrUnreadable] if this process does not have the key of a sealed output; [*InputError] if into is no pointer; that of
// encoding/json if the variable has another type; [ErrUnknownShape], [ErrInsideTransaction].
func (rt *Runtime[TTx]) Output(ctx context.Context, id RunID, step string, into any) error {
	if err := cmp.Or(checkCall(ctx), checkInto(into)); err != nil {
		return err
	}
	var output json.RawMessage
	err := rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		output, err = rt.readOutput(ctx, tx, id, step)
		return err
	})
	if err != nil {
		return err
	}
	if err := unmarshalDigits(output, into); err != nil {
		return fmt.Errorf("decode output of step %s of run %s: %w", step, id, err)
	}
	return nil
}

func checkInto(into any) error {
	if v := reflect.ValueOf(into); v.Kind() != reflect.Pointer || v.IsNil() {
		return &InputError{Field: "into", Code: "required", Detail: "is not a pointer to a variable"}
	}
	return nil
}

func (rt *Runtime[TTx]) readOutput(ctx context.Context, tx TTx, id RunID, step string) (json.RawMessage, error) {
	run, err := rt.findRun(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	p, err := rt.definitions.pin(ctx, tx, run)
	if err != nil {
		return nil, err
	}
	if p.spec.Find(step) == nil {
		var names []string
		for i := range p.spec.Steps() {
			names = append(names, p.spec.Steps()[i].Name)
		}
		return nil, fmt.Errorf("output of run %s: %w %s of workflow %q%s", id, ErrUnknownStep, echo.Quote(step), run.Workflow, nearest.Hint(step, names))
	}
	key := flow.StepKey{Name: step, Phase: flow.PhaseDo}
	loaded, err := rt.loadRun(ctx, tx, id, flow.Reads{Steps: []flow.StepKey{key}, Outputs: []string{step}})
	if err != nil {
		return nil, err
	}
	output, ok := loaded.Outputs[step]
	switch row, reached := loaded.Steps[key]; {
	case ok && envelope.Is(output):
		return nil, fmt.Errorf("output of step %s of run %s: %w", step, id, unreadable(output))
	case ok:
		return output, nil
	case reached && row.Status == flow.StepCompleted:
		return nil, fmt.Errorf("output of step %s of run %s: %w: it completed without one", step, id, ErrNoOutput)
	default:
		var do *flow.StepState
		if reached {
			do = &row
		}
		return nil, fmt.Errorf("output of step %s of run %s: %w: it is %s, and the run is %s", step, id, ErrNoOutput, inspectedStatus(run, do), run.Status)
	}
}
