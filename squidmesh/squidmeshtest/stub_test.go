package squidmeshtest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// database stands for a driver's transaction, which a kit in memory does not have.
type database struct{ _ int }

// booking has steps on the program's own database, within a block and as an undo too.
func booking() squidmesh.Workflow {
	book := squidmesh.FuncTx(func(context.Context, *database, order) (struct {
		Seat string `json:"seat"`
	}, error,
	) {
		panic("needs the database")
	})
	free := squidmesh.EffectTx(func(context.Context, *database, order) error { panic("needs the database") })
	return squidmesh.Workflow{
		Name: "booking", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[order]())},
		Steps: []squidmesh.Step{
			{Name: "both", Next: "pay", Parallel: []squidmesh.Step{{Name: "book", Do: book, Undo: free}}},
			{Name: "pay", Do: squidmesh.Effect(func(context.Context, order) error { return errors.New("no money") })},
		},
	}
}

// A workflow on the program's own transactions runs in memory once its steps on them are stubbed.
func TestStub_StandsInForStepsOnADatabase(t *testing.T) {
	t.Parallel()
	type seat struct {
		Seat string `json:"seat"`
	}
	original, freed := booking(), ""
	kit := squidmeshtest.New(t, squidmeshtest.Stub(t, original, squidmeshtest.Stubs{
		Do: map[string]squidmesh.Action{
			"book": squidmesh.Func(func(context.Context, order) (seat, error) { return seat{"12A"}, nil }),
		},
		Undo: map[string]squidmesh.Action{
			"book": squidmesh.Effect(func(_ context.Context, in seat) error { freed = in.Seat; return nil }),
		},
	}))
	run := kit.Start("booking", order{"1001", 4990})
	kit.RunUntilIdle()
	require.Equal(t, flow.RunFailed, run.Status())
	require.Equal(t, "12A", freed)

	spec, err := squidmesh.Compile(original)
	require.NoError(t, err)
	st, _ := spec.Step("book")
	require.Equal(t, flow.KindFuncTx, st.Kind, "the original stays as it is")
}

// What stands in for nothing fails the test: the step was renamed, or lost its undo.
func TestStub_RefusesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	nop := squidmesh.Effect(func(context.Context, order) error { return nil })
	for name, stubs := range map[string]squidmeshtest.Stubs{
		"no such step": {Do: map[string]squidmesh.Action{"bock": nop}},
		"no undo":      {Undo: map[string]squidmesh.Action{"pay": nop}},
		"a block":      {Do: map[string]squidmesh.Action{"both": nop}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{TB: t}
			squidmeshtest.Stub(r, booking(), stubs)
			require.Contains(t, r.failure, "workflow booking has no step with")
		})
	}
}
