package squidmesh_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// standing is only for what no function does.
func standing(do squidmesh.Action) squidmesh.Workflow {
	w := only(do, "")
	w.Steps[0].Timeout = 0
	return w
}

func TestCommands_OfAnUnknownRun(t *testing.T) {
	t.Parallel()
	rt := startTest(t, standing(squidmesh.Pause()))
	ctx, id, by := t.Context(), uuid.Must(uuid.NewV7()), squidmesh.Decision{Actor: "ann"}
	for name, call := range map[string]func() error{
		"inspect":     func() error { _, err := rt.InspectRun(ctx, id, nil); return err },
		"explain":     func() error { _, err := rt.ExplainRun(ctx, id); return err },
		"cancel":      func() error { _, err := rt.CancelRun(ctx, id, squidmesh.CancelParams{}); return err },
		"unblock":     func() error { _, err := rt.UnblockRun(ctx, id, by); return err },
		"approve":     func() error { _, err := rt.ApproveRun(ctx, id, by); return err },
		"reject":      func() error { _, err := rt.RejectRun(ctx, id, by); return err },
		"retry undo":  func() error { _, err := rt.RetryUndo(ctx, id, by); return err },
		"accept undo": func() error { _, err := rt.AcceptUndo(ctx, id, by); return err },
		"replay":      func() error { _, err := rt.ReplayRun(ctx, id, squidmesh.ReplayParams{}); return err },
	} {
		require.ErrorIs(t, call(), squidmesh.ErrNotFound, name)
	}
}

// What is wrong with a decision is said before anything is decided.
func TestDecision_IsChecked(t *testing.T) {
	t.Parallel()
	w := standing(squidmesh.Approval())
	w.Steps[0].Output, w.Steps[0].OnError = "approval", squidmesh.Complete
	rt := startTest(t, w)
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	ann := func(change func(*squidmesh.Decision)) squidmesh.Decision {
		d := squidmesh.Decision{Actor: "ann"}
		change(&d)
		return d
	}
	for name, tc := range map[string]struct {
		decision    squidmesh.Decision
		field, code string
	}{
		"approve without actor": {squidmesh.Decision{}, "Actor", "required"},
		"long actor":            {squidmesh.Decision{Actor: strings.Repeat("a", 201)}, "Actor", "too_long"},
		"actor with NUL":        {squidmesh.Decision{Actor: "a\x00"}, "Actor", "invalid_text"},
		"actor in no UTF-8":     {squidmesh.Decision{Actor: "a\xff"}, "Actor", "invalid_text"},
		"long comment":          {ann(func(d *squidmesh.Decision) { d.Comment = strings.Repeat("a", 4097) }), "Comment", "too_long"},
		"metadata is a list":    {ann(func(d *squidmesh.Decision) { d.Metadata = json.RawMessage(`[]`) }), "Metadata", "not_an_object"},
		"metadata is no JSON":   {ann(func(d *squidmesh.Decision) { d.Metadata = json.RawMessage(`{"a"`) }), "Metadata", "invalid_json"},
		"long metadata": {ann(func(d *squidmesh.Decision) {
			d.Metadata = json.RawMessage(`{"a":"` + strings.Repeat("a", 16<<10) + `"}`)
		}), "Metadata", "too_long"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, decide := range []func() error{
				func() error { _, err := rt.ApproveRun(t.Context(), run.ID, tc.decision); return err },
				func() error { _, err := rt.RejectRun(t.Context(), run.ID, tc.decision); return err },
			} {
				var bad *squidmesh.InputError
				require.ErrorAs(t, decide(), &bad)
				require.Equal(t, tc.field, bad.Field)
				require.Equal(t, tc.code, bad.Code)
			}
		})
	}

	_, err = rt.ApproveRun(t.Context(), run.ID, squidmesh.Decision{Actor: "ann", Comment: "fine", Metadata: json.RawMessage(`{"ticket":7}`)})
	require.NoError(t, err)
	in, err := rt.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	entry := in.Audit[1]
	require.Equal(t, squidmesh.AuditApproved, entry.Kind)
	require.Equal(t, "ann", entry.Actor)
	var data squidmesh.AuditData
	require.NoError(t, json.Unmarshal(entry.Data, &data))
	require.Equal(t, "fine", data.Comment)
	require.JSONEq(t, `{"ticket":7}`, string(data.Metadata))
	var result squidmesh.ApprovalResult
	require.NoError(t, json.Unmarshal(in.Steps[0].Output, &result))
	require.Equal(t, squidmesh.ApprovalResult{
		Decision: "approved", Actor: "ann", Comment: "fine", Metadata: json.RawMessage(`{"ticket":7}`), DecidedAt: entry.At,
	}, result)
}

// A replay takes the payload as it was, defaults included, and today's definition.
func TestReplayRun_IsANewRunOfItsSource(t *testing.T) {
	t.Parallel()
	w := standing(squidmesh.Pause())
	w.Triggers = []squidmesh.Trigger{
		squidmesh.Manual("other", squidmesh.Contract{}),
		squidmesh.Manual("go", squidmesh.Payload[dated](squidmesh.Defaults{"day": "2026-03-01", "at": squidmesh.Now})),
	}
	rt := startTest(t, w)
	first, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only", Trigger: "go", Key: "k"})
	require.NoError(t, err)
	_, err = rt.CancelRun(t.Context(), first.ID, squidmesh.CancelParams{})
	require.NoError(t, err)
	source, err := rt.InspectRun(t.Context(), first.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)

	replay, err := rt.ReplayRun(t.Context(), first.ID, squidmesh.ReplayParams{Actor: "ann"})
	require.NoError(t, err)
	require.NotEqual(t, first.ID, replay.ID)
	require.False(t, replay.Existing)
	again, err := rt.InspectRun(t.Context(), replay.ID, nil)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.Run.ReplayedFrom)
	require.Equal(t, "go", again.Run.Trigger)
	require.Empty(t, again.Run.Key)
	require.Equal(t, string(source.Run.Payload), string(again.Run.Payload), "Now is not now once more")
	after, err := rt.InspectRun(t.Context(), first.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Equal(t, source, after)

	_, err = rt.db.ExecContext(t.Context(), `update squidmesh_run set payload = '{"day":1}' where id = ?`, first.ID.String())
	require.NoError(t, err)
	_, err = rt.ReplayRun(t.Context(), first.ID, squidmesh.ReplayParams{})
	var bad *squidmesh.PayloadError
	require.ErrorAs(t, err, &bad, "as if the contract had changed")
}
