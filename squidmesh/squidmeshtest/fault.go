package squidmeshtest

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/standin"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// faults are what attempts do instead of what their functions would.
type faults map[faultKey]faultFunc

// faultKey is an attempt of a step; attempt 0 is each that has no fault of its own.
type faultKey struct {
	workflow string
	flow.StepKey
	attempt int
}

type faultFunc func(ctx context.Context, call standin.Call) ([]byte, string, error)

// Attempts says which attempts of a step a fault is for. Its methods say what these attempts do. The last one called counts.
type Attempts[TTx any] struct {
	kit *Kit[TTx]
	key faultKey
}

// On begins to say what a step does instead of calling its function, or besides. The workflow stays as it is. If several workflows
// have a step of that name, call it workflow/step. Steps without a function, such as waits and approvals, cannot be replaced.
func (k *Kit[TTx]) On(step string) *Attempts[TTx] {
	k.t.Helper()
	workflow, name, named := strings.Cut(step, "/")
	if !named {
		workflow, name = "", step
	}
	var found []string
	functions := k.functions(workflow)
	for _, place := range functions {
		if strings.HasSuffix(place, "/"+name) {
			found = append(found, place)
		}
	}
	if len(found) != 1 {
		k.t.Fatalf("squidmeshtest: On(%q) names %d steps with a function, of %s", step, len(found), strings.Join(functions, ", "))
	}
	workflow, _, _ = strings.Cut(found[0], "/")
	return &Attempts[TTx]{kit: k, key: faultKey{workflow: workflow, StepKey: flow.StepKey{Name: name, Phase: flow.PhaseDo}}}
}

// callable reports whether steps of a kind call a function.
func callable(kind flow.Kind) bool {
	return kind == flow.KindFunc || kind == flow.KindFuncTx || kind == flow.KindChoose
}

// Attempt selects the nth attempt alone, from 1. An attempt that was lost with its worker counts.
func (a *Attempts[TTx]) Attempt(n int) *Attempts[TTx] {
	key := a.key
	key.attempt = n
	return &Attempts[TTx]{kit: a.kit, key: key}
}

// Undo selects the step's undo instead.
func (a *Attempts[TTx]) Undo() *Attempts[TTx] {
	key := a.key
	key.Phase = flow.PhaseUndo
	return &Attempts[TTx]{kit: a.kit, key: key}
}

func (a *Attempts[TTx]) do(f faultFunc) { a.kit.faults[a.key] = f }

// Call calls the step's function, as without any fault.
func (a *Attempts[TTx]) Call() { delete(a.kit.faults, a.key) }

// Return gives the step a result without calling its function. Nil is no result.
func (a *Attempts[TTx]) Return(result any) {
	a.kit.t.Helper()
	output, err := json.Marshal(result)
	if err != nil {
		a.kit.t.Fatalf("squidmeshtest: result of %s: %v", a.key.Name, err)
	}
	if result == nil {
		output = nil
	}
	a.do(func(context.Context, standin.Call) ([]byte, string, error) { return output, "", nil })
}

// Route lets a choice answer with a route, without calling its function.
func (a *Attempts[TTx]) Route(name string) {
	a.do(func(context.Context, standin.Call) ([]byte, string, error) { return nil, name, nil })
}

// Fail returns an error without calling the function. It may be made by squidmesh.Fail, RetryAfter or WithCode.
func (a *Attempts[TTx]) Fail(err error) {
	a.do(func(context.Context, standin.Call) ([]byte, string, error) { return nil, "", err })
}

// FailAfter calls the function and returns an error whatever the function returned: its effect has happened, and nobody was told.
func (a *Attempts[TTx]) FailAfter(err error) {
	a.do(func(_ context.Context, call standin.Call) ([]byte, string, error) {
		_, _, _ = call()
		return nil, "", err
	})
}

// Panic panics instead of calling the function.
func (a *Attempts[TTx]) Panic(value any) {
	a.do(func(context.Context, standin.Call) ([]byte, string, error) { panic(value) })
}

// TimeOut moves the clock to the attempt's deadline without calling the function. The attempt then fails as any attempt at its
// deadline.
func (a *Attempts[TTx]) TimeOut() {
	a.do(func(ctx context.Context, _ standin.Call) ([]byte, string, error) {
		info, _ := squidmesh.Info(ctx)
		a.kit.clock.Set(info.Deadline)
		return nil, "", squidmesh.WithCode(flow.CodeTimeout, context.DeadlineExceeded)
	})
}

// Take lets the function's call take time on the clock.
func (a *Attempts[TTx]) Take(d time.Duration) {
	a.do(func(_ context.Context, call standin.Call) ([]byte, string, error) {
		output, route, err := call()
		a.kit.clock.Advance(d)
		return output, route, err
	})
}

// Die lets the process die before it calls the function. Another process takes the step over.
func (a *Attempts[TTx]) Die() {
	a.do(func(context.Context, standin.Call) ([]byte, string, error) {
		a.kit.process.Die()
		return nil, "", ErrCrashed
	})
}

// DieAfter lets the process die after the function has returned and before its result is written.
func (a *Attempts[TTx]) DieAfter() {
	a.do(func(_ context.Context, call standin.Call) ([]byte, string, error) {
		output, route, err := call()
		a.kit.process.Die()
		return output, route, err
	})
}

// standIn is what the runtime calls instead of a step's function.
func (k *Kit[TTx]) standIn(ctx context.Context, call standin.Call) ([]byte, string, error) {
	info, _ := squidmesh.Info(ctx)
	key := faultKey{workflow: info.Workflow, StepKey: flow.StepKey{Name: info.Step, Phase: info.Phase}, attempt: info.Attempt}
	f := k.faults[key]
	if f == nil {
		key.attempt = 0
		f = k.faults[key]
	}
	if f == nil {
		return call()
	}
	return f(ctx, call)
}
