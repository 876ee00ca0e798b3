package squidmesh_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// A result is read by the name of its step as soon as there is one; until then the error says where the step stands.
func TestOutput_IsReadOnceTheStepHasCompleted(t *testing.T) {
	t.Parallel()
	type quote struct{ Cents int }
	rt := startTest(t, squidmesh.Workflow{
		Name: "quoted", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Contract{})},
		Steps: []squidmesh.Step{
			{Name: "price", Output: "quote", Next: "tell", Do: squidmesh.Func(func(context.Context, nothing) (quote, error) { return quote{1250}, nil })},
			{Name: "tell", Next: "agree", Do: squidmesh.Effect(func(context.Context, nothing) error { return nil })},
			{Name: "agree", Output: "agreed", OnError: squidmesh.Complete, Do: squidmesh.Approval()},
		},
	})
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "quoted"})
	require.NoError(t, err)
	_, err = rt.AwaitRun(t.Context(), run.ID, squidmesh.RunPaused)
	require.NoError(t, err)

	var q quote
	require.NoError(t, rt.Output(t.Context(), run.ID, "price", &q))
	require.Equal(t, quote{1250}, q)

	require.ErrorIs(t, rt.Output(t.Context(), run.ID, "tell", &q), squidmesh.ErrNoOutput, "an effect has none")
	err = rt.Output(t.Context(), run.ID, "agree", &q)
	require.ErrorIs(t, err, squidmesh.ErrNoOutput)
	require.ErrorContains(t, err, "it is paused, and the run is paused")

	_, err = rt.ApproveRun(t.Context(), run.ID, squidmesh.Decision{Actor: "ada"})
	require.NoError(t, err)
	var decided squidmesh.ApprovalResult
	require.NoError(t, rt.Output(t.Context(), run.ID, "agree", &decided))
	require.Equal(t, "ada", decided.Actor)
}

// What cannot be read is refused by name.
func TestOutput_NamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	rt := startTest(t, squidmesh.Workflow{
		Name: "quoted", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Contract{})},
		Steps: []squidmesh.Step{
			{Name: "price", Output: "cents", Do: squidmesh.Func(func(context.Context, nothing) (int, error) { return 1250, nil })},
		},
	})
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "quoted"})
	require.NoError(t, err)
	_, err = rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)

	var cents int
	require.ErrorIs(t, rt.Output(t.Context(), uuid.New(), "price", &cents), squidmesh.ErrNotFound)
	err = rt.Output(t.Context(), run.ID, "prise", &cents)
	require.ErrorIs(t, err, squidmesh.ErrUnknownStep)
	require.ErrorContains(t, err, `did you mean "price"`)
	var text string
	require.ErrorContains(t, rt.Output(t.Context(), run.ID, "price", &text), "decode output of step price")
	var input *squidmesh.InputError
	require.ErrorAs(t, rt.Output(t.Context(), run.ID, "price", cents), &input, "no pointer")
	require.ErrorAs(t, rt.Output(t.Context(), run.ID, "price", nil), &input)
	require.ErrorAs(t, rt.Output(t.Context(), run.ID, "price", (*int)(nil)), &input)
}
