package squidmesh_test

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// temper writes and reads itself by methods of its pointer.
type temper struct{ degrees int }

func (m *temper) MarshalJSON() ([]byte, error) { return json.Marshal([]int{m.degrees}) }

func (m *temper) UnmarshalJSON(data []byte) error {
	var in []int
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	m.degrees = in[0]
	return nil
}

// byValue holds what encodes by methods of its pointer only.
type byValue struct {
	Sum    big.Int             `json:"sum"`
	Parts  []big.Int           `json:"parts"`
	ByName map[string]*big.Int `json:"by_name"`
	Pair   [2]temper           `json:"pair"`
	Text   string              `json:"text"`
	Any    any                 `json:"any"`
}

func aByValue() byValue {
	n := big.NewInt(1)
	n.Lsh(n, 80)
	return byValue{
		Sum: *n, Parts: []big.Int{*n}, ByName: map[string]*big.Int{"a": n}, Pair: [2]temper{{1}, {2}}, Text: "<a href='?x&y'>",
		Any: map[string]any{"n": json.Number("12345678901234567890.5")},
	}
}

// What goes in comes out: as payload, as result, and as what an undo, a replay or somebody who inspects the run is told.
func TestValues_ComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	want := aByValue()
	same := func(got byValue) {
		require.Equal(t, want.Sum.String(), got.Sum.String())
		require.Equal(t, want.Parts[0].String(), got.Parts[0].String())
		require.Equal(t, want.ByName["a"].String(), got.ByName["a"].String())
		require.Equal(t, want.Pair, got.Pair)
		require.Equal(t, want.Text, got.Text)
		require.Equal(t, want.Any, got.Any, "a number whose type is open keeps its digits")
	}
	type kept struct {
		Kept byValue `json:"kept"`
	}
	heard := make(chan byValue, 8)
	rt := startTest(t, squidmesh.Workflow{
		Name:     "values",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[byValue]())},
		Steps: []squidmesh.Step{
			{
				Name: "copy", Output: "kept", Next: "look",
				Do: squidmesh.Func(func(_ context.Context, in byValue) (byValue, error) { heard <- in; return in, nil }),
				Undo: squidmesh.Effect(func(_ context.Context, in kept) error {
					heard <- in.Kept
					return nil
				}),
			},
			{Name: "look", Next: "end", Do: squidmesh.Effect(func(_ context.Context, in kept) error { heard <- in.Kept; return nil })},
			{Name: "end", Do: squidmesh.Effect(func(context.Context, nothing) error {
				return squidmesh.Fail(squidmesh.WithDetails(aByValue(), context.Canceled))
			})},
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	runs := func(started squidmesh.StartResult, err error) *squidmesh.Inspection {
		require.NoError(t, err)
		for range 3 {
			select {
			case got := <-heard:
				same(got)
			case <-ctx.Done():
				require.NoError(t, ctx.Err())
			}
		}
		run, err := rt.AwaitRun(ctx, started.ID)
		require.NoError(t, err)
		require.Equal(t, squidmesh.RunFailed, run.Status)
		require.JSONEq(t, string(started.Payload), string(run.Reason.Details))
		in, err := rt.InspectRun(ctx, started.ID, &squidmesh.InspectOptions{History: true})
		require.NoError(t, err)
		return in
	}
	in := runs(rt.StartRun(ctx, squidmesh.StartParams{Workflow: "values", Payload: want}))
	for _, stored := range []json.RawMessage{in.Run.Payload, in.Steps[0].Output, in.Run.Reason.Details} {
		require.Contains(t, string(stored), `"sum":1208925819614629174706176`)
		require.Contains(t, string(stored), `"<a href='?x&y'>"`, "without the escapes that only HTML needs")
	}
	runs(rt.ReplayRun(ctx, in.Run.ID, squidmesh.ReplayParams{}))
}

// The limits are those of what is stored, so that HTML takes the bytes that it has.
func TestValues_AreMeasuredAsTheyAreStored(t *testing.T) {
	t.Parallel()
	html := strings.Repeat("<&>", 80_000) // 240 kB, of which escapes would make 1.4 MB
	type page struct {
		HTML string `json:"html"`
	}
	rt := startTest(t, squidmesh.Workflow{
		Name:     "page",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[page]())},
		Steps: []squidmesh.Step{{
			Name: "copy", Output: "copied", Do: squidmesh.Func(func(_ context.Context, in page) (page, error) { return in, nil }),
		}},
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	started, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "page", Payload: page{html}})
	require.NoError(t, err)
	run, err := rt.AwaitRun(ctx, started.ID)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, run.Status, "%+v", run.Reason)
}
