package squidmesh

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type order struct {
	OrderID string `json:"order_id"`
	Total   int    `json:"total"`
}

type reservation struct {
	ReservationID string `json:"reservation_id"`
}

type score struct {
	Risk float64 `json:"risk"`
}

type receipt struct {
	ReceiptID string  `json:"receipt_id"`
	Note      *string `json:"note"`
}

type fakeTx struct{}

// returns makes a function that is only compiled, never called.
func returns[In, Out any]() func(context.Context, In) (Out, error) {
	return func(context.Context, In) (out Out, err error) { return out, err }
}

func does[In any]() func(context.Context, In) error {
	return func(context.Context, In) error { return nil }
}

func chooses[In any]() func(context.Context, In) (string, error) {
	return func(context.Context, In) (string, error) { return "", nil }
}

func returnsTx[In, Out any]() func(context.Context, fakeTx, In) (Out, error) {
	return func(context.Context, fakeTx, In) (out Out, err error) { return out, err }
}

func doesTx[In any]() func(context.Context, fakeTx, In) error {
	return func(context.Context, fakeTx, In) error { return nil }
}

func checkout() Workflow {
	type decision struct {
		OrderID string  `json:"order_id"`
		Risk    float64 `json:"risk"`
	}
	type capture struct {
		OrderID       string `json:"order_id"`
		ReservationID string `json:"reservation_id"`
	}
	return Workflow{
		Name:        "checkout",
		Description: "takes an order",
		Triggers:    []Trigger{Manual("checkout", Payload[order]())},
		Steps: []Step{
			{Name: "prepare", Next: "decide", OnError: "decline", Parallel: []Step{
				{Name: "reserve", Do: FuncTx(returnsTx[order, reservation]()), Undo: EffectTx(doesTx[reservation]())},
				{Name: "score", Do: Func(returns[order, score]()), Retry: Exponential(5, time.Second, 30*time.Second)},
			}},
			{Name: "decide", Do: Choose(chooses[decision]()), Routes: map[string]string{"review": "review", "pass": "capture"}},
			{Name: "review", Do: Approval(), Output: "approval", Next: "capture", OnError: "decline"},
			{Name: "capture", Do: Func(returns[capture, receipt]()), Irreversible: true, OnError: "decline", Recovery: RecoveryCompensation},
			{Name: "decline", Do: Effect(does[order]())},
		},
	}
}

func TestCompile_FillsInTheSpec(t *testing.T) {
	t.Parallel()
	spec, err := Compile(checkout())
	require.NoError(t, err)

	capture, ok := spec.Step("capture")
	require.True(t, ok)
	require.Equal(t, []string{"order_id", "reservation_id"}, capture.Keys)
	require.Equal(t, []string{"reserve"}, capture.Sources)
	require.Equal(t, Complete, capture.Next)
	require.Equal(t, DefaultTimeout, capture.Policy.Timeout)
	require.Equal(t, 1, capture.Policy.Priority)

	reserve, _ := spec.Step("reserve")
	require.Equal(t, "prepare", reserve.Block)
	require.Empty(t, reserve.Next)
	require.Equal(t, []string{"reservation_id"}, reserve.UndoKeys)
	require.Equal(t, []string{"reserve"}, reserve.UndoSources)

	decide, _ := spec.Step("decide")
	require.Empty(t, decide.Next)
	require.Equal(t, []string{"score"}, decide.Sources)
}

func TestAssembleInput_TakesKeysFromPayloadAndOutputs(t *testing.T) {
	t.Parallel()
	spec, err := Compile(checkout())
	require.NoError(t, err)
	st, _ := spec.Step("capture")
	outputs := map[string]json.RawMessage{"reserve": json.RawMessage(`{"reservation_id":"r1","x":1}`)}
	input := spec.Input(st.Keys, st.Sources, json.RawMessage(`{"order_id":"o<1>","total":12345678901234567890}`), outputs)
	require.Equal(t, `{"order_id":"o<1>","reservation_id":"r1"}`, string(input))
	require.Equal(t, `{}`, string(spec.Input(nil, nil, nil, nil)))
}
