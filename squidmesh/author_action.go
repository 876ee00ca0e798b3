package squidmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// Action is what a step does. [Func], [FuncTx], [Effect], [EffectTx], [Choose], [Wait], [Log], [Pause] and [Approval] make one. The
// zero Action is nothing.
type Action struct {
	kind    flow.Kind
	in, out reflect.Type // nil where there is none
	tx      reflect.Type // of FuncTx and EffectTx: the transaction that the function takes
	call    callFunc
	missing bool // made from a nil function
	wait    time.Duration
	level   slog.Level
	message string
}

// Kind says what the action is. [flow.StepSpec] has the same kind. It is empty for the zero Action.
func (a Action) Kind() flow.Kind { return a.kind }

// callFunc runs a step's function on its encoded input. Tx is nil except for KindFuncTx.
type callFunc func(ctx context.Context, tx any, input json.RawMessage) (result, error)

// result is what a function returned: a value for KindFunc and KindFuncTx, none for effects, a route for choices.
type result struct {
	output any
	some   bool
	route  string
}

// Func makes a step of a plain function. The function reads its input from the run's data by the JSON keys of In, and its result
// joins the run's data. It runs outside any transaction and at least once, so give [IdempotencyKey] to whatever it calls.
func Func[In, Out any](f func(context.Context, In) (Out, error)) Action {
	decode := decoder[In]()
	return Action{
		kind: flow.KindFunc, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), missing: f == nil,
		call: func(ctx context.Context, _ any, input json.RawMessage) (result, error) {
			in, err := decode(input)
			if err != nil {
				return result{}, err
			}
			out, err := f(ctx, in)
			return result{output: out, some: true}, err
		},
	}
}

// Effect is [Func] for a function without a result.
func Effect[In any](f func(context.Context, In) error) Action {
	decode := decoder[In]()
	return Action{
		kind: flow.KindFunc, in: reflect.TypeFor[In](), missing: f == nil,
		call: func(ctx context.Context, _ any, input json.RawMessage) (result, error) {
			in, err := decode(input)
			if err != nil {
				return result{}, err
			}
			return result{}, f(ctx, in)
		},
	}
}

// FuncTx makes a step of a function that writes to the program's own tables. What the function writes through the transaction
// commits together with the step's result and its successors' jobs. So in the database it happens exactly once. The function must
// not end the transaction, nor use it after it has returned.
//
// The database may give the transaction up, for a deadlock for example. If the function then returns that error, it runs again
// within the same attempt, up to five times more, whatever the step's Retry. If the server ended a statement at a time limit, the
// function runs again with growing pauses until the attempt's time is up.
func FuncTx[TTx, In, Out any](f func(context.Context, TTx, In) (Out, error)) Action {
	decode := decoder[In]()
	return Action{
		kind: flow.KindFuncTx, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), tx: reflect.TypeFor[TTx](), missing: f == nil,
		call: func(ctx context.Context, tx any, input json.RawMessage) (result, error) {
			in, err := decode(input)
			if err != nil {
				return result{}, err
			}
			out, err := f(ctx, tx.(TTx), in)
			return result{output: out, some: true}, err
		},
	}
}

// EffectTx is [FuncTx] for a function without a result.
func EffectTx[TTx, In any](f func(context.Context, TTx, In) error) Action {
	decode := decoder[In]()
	return Action{
		kind: flow.KindFuncTx, in: reflect.TypeFor[In](), tx: reflect.TypeFor[TTx](), missing: f == nil,
		call: func(ctx context.Context, tx any, input json.RawMessage) (result, error) {
			in, err := decode(input)
			if err != nil {
				return result{}, err
			}
			return result{}, f(ctx, tx.(TTx), in)
		},
	}
}

// Choose makes a step of a function that returns the name of one of the step's Routes. Any other answer is a final failure. A
// choice has no output.
func Choose[In any](f func(context.Context, In) (string, error)) Action {
	decode := decoder[In]()
	return Action{
		kind: flow.KindChoose, in: reflect.TypeFor[In](), missing: f == nil,
		call: func(ctx context.Context, _ any, input json.RawMessage) (result, error) {
			in, err := decode(input)
			if err != nil {
				return result{}, err
			}
			route, err := f(ctx, in)
			return result{route: route}, err
		},
	}
}

// Wait makes a step that completes d after the run reached it. D is from a millisecond to ten years. Nothing runs meanwhile, and
// the wait survives restarts.
func Wait(d time.Duration) Action { return Action{kind: flow.KindWait, wait: d} }

// Log makes a step that writes message to the runtime's logger. The message has at most 4 KiB.
func Log(level slog.Level, message string) Action {
	return Action{kind: flow.KindLog, level: level, message: message}
}

// Pause makes a step that waits until an operator calls [Runtime.UnblockRun]. If [Step.Timeout] passes first, the step fails and
// takes its OnError.
func Pause() Action { return Action{kind: flow.KindPause} }

// Approval makes a step that waits for an operator. [Runtime.ApproveRun] goes on to Next. [Runtime.RejectRun] goes on to OnError,
// and so does the run by itself once [Step.Timeout] has passed. An approval needs OnError. Its output is an [ApprovalResult].
func Approval() Action {
	return Action{kind: flow.KindApproval, out: reflect.TypeFor[ApprovalResult]()}
}

// decoder decodes a step's assembled input into its type. Compile has proved that it fits. So an error means that other code wrote
// the data. A number whose type is left open keeps its digits: it is a json.Number.
func decoder[In any]() func(input json.RawMessage) (In, error) {
	typ := jsontype.AsRead(reflect.TypeFor[In]())
	unmarshal := unmarshalFor(&typ)
	return func(input json.RawMessage) (in In, err error) {
		if len(input) == 0 {
			return in, nil
		}
		if err := unmarshal(input, &in); err != nil {
			return in, Fail(WithCode(flow.CodeInvalidInput, fmt.Errorf("decode input: %w", err)))
		}
		return in, nil
	}
}

// unmarshalFor decodes into a type of which that is known.
func unmarshalFor(t *jsontype.Type) func(data []byte, into any) error {
	if t.LeavesOpen() {
		return unmarshalDigits
	}
	return json.Unmarshal
}

// unmarshalDigits decodes one JSON value.
func unmarshalDigits(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(into)
}
