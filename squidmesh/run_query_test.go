package squidmesh_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Inspection lists every step of the definition, and reads results, attempts and the audit only when asked for.
func TestInspectRun_ShowsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	rt := startTest(t, squidmesh.Workflow{
		Name: "shown", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "first", Output: "shelf", Next: "both", Do: squidmesh.Func(func(context.Context, nothing) (string, error) { return "B7", nil })},
			{Name: "both", Next: "last", Parallel: []squidmesh.Step{
				{Name: "left", Do: squidmesh.Effect(func(context.Context, nothing) error { return errors.New("jammed") })},
			}},
			{Name: "last", Do: squidmesh.Pause()},
		},
	})
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "shown", Payload: Order{ID: "7", Cents: 1}})
	require.NoError(t, err)
	_, err = rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)

	shown := func(in *squidmesh.Inspection) (names, statuses []string) {
		for _, st := range in.Steps {
			names, statuses = append(names, st.Name), append(statuses, st.Status)
		}
		return names, statuses
	}
	brief, err := rt.InspectRun(t.Context(), run.ID, nil)
	require.NoError(t, err)
	names, statuses := shown(brief)
	require.Equal(t, []string{"first", "both", "left", "last"}, names, "children behind their block")
	require.Equal(t, []string{"completed", "failed", "failed", "skipped"}, statuses)
	require.JSONEq(t, `{"id":"7","cents":1}`, string(brief.Run.Payload))
	require.Equal(t, "both", brief.Steps[2].Block)
	require.Nil(t, brief.Steps[3].Do)
	require.Empty(t, brief.Attempts)
	require.Empty(t, brief.Audit)
	for _, st := range brief.Steps {
		require.Empty(t, st.Output)
		require.Nil(t, st.Error)
	}

	full, err := rt.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Equal(t, `"B7"`, string(full.Steps[0].Output))
	require.Equal(t, "jammed", full.Steps[2].Error.Message)
	require.Len(t, full.Attempts, 1)
	require.Len(t, full.Audit, full.Run.Seq)
	for i, entry := range full.Audit {
		require.Equal(t, i+1, entry.Seq)
	}
}
