package squidmesh_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// A key whose run has failed belongs to that run, unless the caller says that it may be used again.
func TestStartRun_ReusesTheKeyOfARunThatFailed(t *testing.T) {
	t.Parallel()
	rt := startTest(t, squidmesh.Workflow{
		Name: "charge", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[word]())},
		Steps: []squidmesh.Step{
			{Name: "pay", Next: "wait", Do: squidmesh.Effect(func(_ context.Context, in word) error {
				if in.Word == "broken card" {
					return errors.New("declined")
				}
				return nil
			})},
			{Name: "wait", Do: squidmesh.Pause()},
		},
	})
	ctx := t.Context()
	start := func(text string, reuse squidmesh.KeyReuse) (squidmesh.StartResult, error) {
		return rt.StartRun(ctx, squidmesh.StartParams{Workflow: "charge", Payload: word{text}, Key: "order-1", Reuse: reuse})
	}
	failed, err := start("broken card", squidmesh.KeyReuseAfterFailure)
	require.NoError(t, err)
	require.False(t, failed.Existing)
	_, err = rt.AwaitRun(ctx, failed.ID)
	require.NoError(t, err)

	again, err := start("broken card", squidmesh.KeyReuseNever)
	require.NoError(t, err)
	require.True(t, again.Existing)
	require.Equal(t, failed.ID, again.ID)
	require.Equal(t, squidmesh.RunFailed, again.Status, "which is for the caller to look at")
	_, err = start("good card", squidmesh.KeyReuseNever)
	require.ErrorIs(t, err, squidmesh.ErrKeyConflict)

	tx, err := rt.db.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = rt.StartRunTx(ctx, tx, squidmesh.StartParams{
		Workflow: "charge", Payload: word{"good card"}, Key: "order-1", Reuse: squidmesh.KeyReuseAfterFailure,
	})
	require.NoError(t, err)
	require.NoError(t, tx.Rollback())
	again, err = start("broken card", squidmesh.KeyReuseNever)
	require.NoError(t, err)
	require.Equal(t, failed.ID, again.ID, "it has its key back")

	second, err := start("good card", squidmesh.KeyReuseAfterFailure)
	require.NoError(t, err)
	require.False(t, second.Existing)
	third, err := start("good card", squidmesh.KeyReuseAfterFailure)
	require.NoError(t, err)
	require.True(t, third.Existing, "one that goes on keeps its key")
	require.Equal(t, second.ID, third.ID)
	_, err = rt.CancelRun(ctx, second.ID, squidmesh.CancelParams{Decision: squidmesh.Decision{Actor: "ann"}})
	require.NoError(t, err)
	_, err = rt.AwaitRun(ctx, second.ID)
	require.NoError(t, err)
	fourth, err := start("good card", squidmesh.KeyReuseAfterFailure)
	require.NoError(t, err)
	require.False(t, fourth.Existing)

	page, err := rt.ListRuns(ctx, squidmesh.ListParams{Workflow: "charge", Key: "order-1"})
	require.NoError(t, err)
	var ids []squidmesh.RunID
	for _, run := range page.Runs {
		require.Equal(t, "order-1", run.Key)
		ids = append(ids, run.ID)
	}
	require.Equal(t, []squidmesh.RunID{fourth.ID, second.ID, failed.ID}, ids)

	_, err = start("good card", "always")
	var input *squidmesh.InputError
	require.ErrorAs(t, err, &input)
	require.Equal(t, "unknown_policy", input.Code)
}
