package squidmesh

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

type (
	fitOrder struct{ A string }
	fitMore  struct{ A, B string }
	fitMaybe struct {
		A string
		B string `json:",omitempty"`
	}
	fitNumber struct{ A int }
	fitNone   struct{}
	fitX      struct{ X string }
	fitXY     struct{ X, Y string }
	fitXMaybe struct {
		X string `json:",omitempty"`
	}
	fitY struct{ Y string }
)

// The workflow of which one function changes: it reads the payload, and others read what it writes.
func fitSpec(t *testing.T, change func(w *Workflow)) *Spec {
	t.Helper()
	w := Workflow{
		Name: "fit", Triggers: []Trigger{Manual("manual", Payload[fitMore]())},
		Steps: []Step{
			{Name: "early", Do: Func(returns[fitNone, fitY]()), Next: "work"},
			{Name: "work", Do: Func(returns[fitOrder, fitX]()), Undo: Effect(takes1[fitX]()), Next: "choose"},
			{Name: "choose", Do: Choose(func(context.Context, fitNone) (string, error) { return "", nil }), Routes: map[string]string{"go": "read"}},
			{Name: "read", Do: Effect(takes1[fitXY]())},
		},
	}
	if change != nil {
		change(&w)
	}
	spec, err := Compile(w)
	require.NoError(t, err)
	return spec
}

func takes1[In any]() func(context.Context, In) error {
	return func(context.Context, In) error { return nil }
}

func TestFit(t *testing.T) {
	t.Parallel()
	const early, work, choose, read = 0, 1, 2, 3
	do, undo := flow.PhaseDo, flow.PhaseUndo
	for name, c := range map[string]struct {
		change func(w *Workflow)
		key    flow.StepKey
		known  bool
		want   string
	}{
		"same":           {nil, flow.StepKey{Name: "work", Phase: do}, true, ""},
		"another retry":  {func(w *Workflow) { w.Steps[work].Retry = Constant(2, 0) }, flow.StepKey{Name: "work", Phase: do}, true, ""},
		"reads less":     {func(w *Workflow) { w.Steps[work].Do = Func(returns[fitNone, fitX]()) }, flow.StepKey{Name: "work", Phase: do}, true, ""},
		"may read more":  {func(w *Workflow) { w.Steps[work].Do = Func(returns[fitMaybe, fitX]()) }, flow.StepKey{Name: "work", Phase: do}, true, ""},
		"must read more": {func(w *Workflow) { w.Steps[work].Do = Func(returns[fitMore, fitX]()) }, flow.StepKey{Name: "work", Phase: do}, true, "of its input, B is missing"},
		"reads any object": {func(w *Workflow) {
			w.Steps[work].Do, w.Steps[work].Input = Func(returns[json.RawMessage, fitX]()), []string{"A"}
		}, flow.StepKey{Name: "work", Phase: do}, true, ""},
		"reads otherwise": {func(w *Workflow) {
			w.Triggers[0] = Manual("manual", Payload[struct {
				fitNumber
				B string
			}]())
			w.Steps[work].Do = Func(returns[fitNumber, fitX]())
		}, flow.StepKey{Name: "work", Phase: do}, true, "of its input, A is string, read as integer"},
		"writes more": {func(w *Workflow) {
			w.Steps[work].Do = Func(returns[fitOrder, struct{ X, Z string }]())
		}, flow.StepKey{Name: "work", Phase: do}, true, ""},
		"writes less": {func(w *Workflow) {
			w.Steps[work].Do, w.Steps[work].Undo = Func(returns[fitOrder, fitNone]()), Action{}
			w.Steps[read].Do = Effect(takes1[fitY]())
		}, flow.StepKey{Name: "work", Phase: do}, true, "of its result, which the undo of work reads, X is missing"},
		"may write less": {func(w *Workflow) {
			w.Steps[work].Do, w.Steps[work].Undo = Func(returns[fitOrder, fitXMaybe]()), Action{}
			w.Steps[read].Do = Effect(takes1[fitY]())
		}, flow.StepKey{Name: "work", Phase: do}, true, "of its result, which the undo of work reads, X may be missing"},
		"writes what is read from elsewhere": {func(w *Workflow) {
			w.Steps[early].Do = Func(returns[fitNone, struct{ W string }]())
			w.Steps[work].Do = Func(returns[fitOrder, fitXY]())
		}, flow.StepKey{Name: "work", Phase: do}, true, `its result has key "Y", which step read reads from elsewhere`},
		"nobody reads what changed": {
			func(w *Workflow) { w.Steps[read].Do = Func(returns[fitXY, fitNumber]()); w.Steps[read].Output = "end" },
			flow.StepKey{Name: "read", Phase: do},
			true, "",
		},
		"another kind": {func(w *Workflow) {
			w.Steps[work].Do = FuncTx(func(context.Context, fakeTx, fitOrder) (fitX, error) { return fitX{}, nil })
		}, flow.StepKey{Name: "work", Phase: do}, true, "it is func_tx and was func"},
		"no function any more": {func(w *Workflow) {
			w.Steps[read] = Step{Name: "read", Do: Pause()}
		}, flow.StepKey{Name: "read", Phase: do}, false, ""},
		"no step any more": {func(w *Workflow) {
			w.Steps[choose].Routes["go"] = Complete
			w.Steps = w.Steps[:read]
		}, flow.StepKey{Name: "read", Phase: do}, false, ""},
		"no undo any more": {func(w *Workflow) { w.Steps[work].Undo = Action{} }, flow.StepKey{Name: "work", Phase: undo}, false, ""},
		"undo reads less":  {func(w *Workflow) { w.Steps[work].Undo = Effect(takes1[fitNone]()) }, flow.StepKey{Name: "work", Phase: undo}, true, ""},
		"undo reads more":  {func(w *Workflow) { w.Steps[work].Undo = Effect(takes1[fitXY]()) }, flow.StepKey{Name: "work", Phase: undo}, true, "of its input, Y is missing"},
		"undo of another kind": {func(w *Workflow) {
			w.Steps[work].Undo = EffectTx(func(context.Context, fakeTx, fitX) error { return nil })
		}, flow.StepKey{Name: "work", Phase: undo}, true, "it is func_tx and was func"},
		"fewer routes": {func(w *Workflow) { w.Steps[early].Next = Complete; w.Steps = w.Steps[:1] }, flow.StepKey{Name: "choose", Phase: do}, false, ""},
		"more routes": {
			func(w *Workflow) { w.Steps[choose].Routes["stop"] = Complete },
			flow.StepKey{Name: "choose", Phase: do},
			true,
			`it may answer "stop", which was no route`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pinned, today := fitSpec(t, nil), fitSpec(t, c.change)
			require.Equal(t, flow.Fit{Known: c.known, Differs: c.want}, pinned.Fit(today, c.key))
			runnable, unfit := pinned.Functions(today)
			require.Equal(t, c.known && c.want == "", runnable[c.key])
			require.Equal(t, c.known && c.want != "", unfit[c.key])
		})
	}
	require.Equal(t, flow.Fit{}, fitSpec(t, nil).Fit(nil, flow.StepKey{Name: "work", Phase: do}), "no definition")
}
