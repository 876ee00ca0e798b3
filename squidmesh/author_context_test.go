package squidmesh_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// An attempt knows which one it is and when it ends. Its idempotency key is that of all attempts of the same step, phase and run,
// and of no others.
func TestInfo_TellsAnAttemptAboutItself(t *testing.T) {
	t.Parallel()
	infos := make(chan squidmesh.StepInfo, 10)
	tell := func(err func(squidmesh.StepInfo) error) squidmesh.Action {
		return squidmesh.Effect(func(ctx context.Context, _ nothing) error {
			info, ok := squidmesh.Info(ctx)
			require.True(t, ok)
			require.Equal(t, info.IdempotencyKey, squidmesh.IdempotencyKey(ctx))
			_, bounded := ctx.Deadline()
			require.True(t, bounded)
			infos <- info
			return err(info)
		})
	}
	busyOnce := func(info squidmesh.StepInfo) error {
		if info.Attempt == 1 {
			return errors.New("busy")
		}
		return nil
	}
	rt := startTest(t, squidmesh.Workflow{
		Name: "told", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Contract{})},
		Steps: []squidmesh.Step{
			{
				Name: "first", Do: tell(busyOnce), Retry: squidmesh.Constant(2, 0), Timeout: time.Hour, Next: "second",
				Undo: tell(busyOnce), UndoRetry: squidmesh.Constant(2, 0),
			},
			{Name: "second", Do: tell(func(squidmesh.StepInfo) error { return errors.New("no") })},
		},
	})
	keys := map[string]bool{}
	for range 2 {
		run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "told"})
		require.NoError(t, err)
		_, err = rt.AwaitRun(t.Context(), run.ID)
		require.NoError(t, err)

		first, again, second, undo, undoAgain := <-infos, <-infos, <-infos, <-infos, <-infos
		require.Equal(t, []int{1, 2, 1, 1, 2}, []int{first.Attempt, again.Attempt, second.Attempt, undo.Attempt, undoAgain.Attempt})
		require.Equal(t, []string{"first", "first", "second", "first", "first"}, []string{first.Step, again.Step, second.Step, undo.Step, undoAgain.Step})
		require.Equal(t, flow.PhaseUndo, undo.Phase)
		require.Equal(t, flow.PhaseUndo, undoAgain.Phase)
		for _, info := range []squidmesh.StepInfo{first, again, second, undo, undoAgain} {
			require.Equal(t, run.ID, info.RunID)
			require.Equal(t, "told", info.Workflow)
			require.Equal(t, "go", info.Trigger)
			require.Regexp(t, `^[ -~]{36,110}$`, info.IdempotencyKey)
		}
		require.WithinDuration(t, time.Now().Add(time.Hour), first.Deadline, 30*time.Minute)
		require.Equal(t, first.IdempotencyKey, again.IdempotencyKey)
		require.Equal(t, undo.IdempotencyKey, undoAgain.IdempotencyKey)
		for _, key := range []string{first.IdempotencyKey, second.IdempotencyKey, undo.IdempotencyKey} {
			require.False(t, keys[key], "%s was another one's", key)
			keys[key] = true
		}
	}

	_, ok := squidmesh.Info(t.Context())
	require.False(t, ok)
	require.Empty(t, squidmesh.IdempotencyKey(t.Context()))
}
