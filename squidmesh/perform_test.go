package squidmesh_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Whatever a queue delivers, Perform has an answer for it, and only what may succeed later is to come again.
func TestPerform_AnswersWhatItCannotDo(t *testing.T) {
	t.Parallel()
	rt := startTest(t, standing(squidmesh.Wait(time.Hour)))
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	stranded, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	_, err = rt.db.ExecContext(t.Context(), `update squidmesh_run set shape = 'gone' where id = ?`, stranded.ID.String())
	require.NoError(t, err)

	delivery := func(change func(*squidmesh.Delivery)) squidmesh.Delivery {
		d := squidmesh.StepJob{RunID: run.ID, Step: "act", Attempt: 1}.Delivery()
		change(&d)
		return d
	}
	for name, tc := range map[string]struct {
		change func(*squidmesh.Delivery)
		kind   squidmesh.OutcomeKind
		reason string
	}{
		"unknown kind":       {func(d *squidmesh.Delivery) { d.Kind = "stop" }, squidmesh.Drop, "bad_delivery"},
		"later version":      {func(d *squidmesh.Delivery) { d.Version = 2 }, squidmesh.Drop, "bad_delivery"},
		"no attempt":         {func(d *squidmesh.Delivery) { d.Attempt = 0 }, squidmesh.Drop, "bad_delivery"},
		"malformed run id":   {func(d *squidmesh.Delivery) { d.RunID = "17" }, squidmesh.Drop, "bad_delivery"},
		"unknown run":        {func(d *squidmesh.Delivery) { d.RunID = uuid.NewString() }, squidmesh.Drop, "unknown_run"},
		"unknown step":       {func(d *squidmesh.Delivery) { d.Step = "other" }, squidmesh.Done, "stale"},
		"unknown attempt":    {func(d *squidmesh.Delivery) { d.Attempt = 7 }, squidmesh.Done, "stale"},
		"early":              {func(*squidmesh.Delivery) {}, squidmesh.Again, "early"},
		"undo of nothing":    {func(d *squidmesh.Delivery) { d.Kind = squidmesh.DeliverCompensation }, squidmesh.Done, "stale"},
		"definition is gone": {func(d *squidmesh.Delivery) { d.RunID = stranded.ID.String() }, squidmesh.Again, "definition_unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			outcome, err := rt.Perform(t.Context(), delivery(tc.change))
			require.NoError(t, err)
			require.Equal(t, tc.kind, outcome.Kind)
			require.Contains(t, outcome.Reason, tc.reason)
			if tc.kind == squidmesh.Again {
				require.Positive(t, outcome.After)
			}
		})
	}

	_, err = rt.InspectRun(t.Context(), stranded.ID, nil)
	require.ErrorIs(t, err, squidmesh.ErrUnknownShape)
	ex, err := rt.ExplainRun(t.Context(), stranded.ID)
	require.NoError(t, err)
	require.Equal(t, squidmesh.ReasonDefinitionUnknown, ex.Code)
	require.Empty(t, ex.Actions)
	_, err = rt.CancelRun(t.Context(), stranded.ID, squidmesh.CancelParams{})
	require.ErrorIs(t, err, squidmesh.ErrUnknownShape)

	require.NoError(t, rt.Stop(t.Context()))
	outcome, err := rt.Perform(t.Context(), delivery(func(*squidmesh.Delivery) {}))
	require.NoError(t, err)
	require.Equal(t, squidmesh.Outcome{Kind: squidmesh.Again, After: time.Second, Reason: "not_started"}, outcome)
}
