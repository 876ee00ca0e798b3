package squidmesh_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func TestCommands_OfAnUnknownRun(t *testing.T) {
	t.Parallel()
	rt := startTest(t, only(squidmesh.Pause(), ""))
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
	w := only(squidmesh.Approval(), "")
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
		"actor turned around":   {squidmesh.Decision{Actor: "a\u202e"}, "Actor", "invalid_text"},
		"actor isolated":        {squidmesh.Decision{Actor: "a\u2066"}, "Actor", "invalid_text"},
		"comment turned round":  {squidmesh.Decision{Actor: "a", Comment: "a\u202eb"}, "Comment", "invalid_text"},
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
	require.Equal(t, flow.AuditApproved, entry.Kind)
	require.Equal(t, "ann", entry.Actor)
	var data flow.AuditData
	require.NoError(t, json.Unmarshal(entry.Data, &data))
	require.Equal(t, "fine", data.Comment)
	require.JSONEq(t, `{"ticket":7}`, string(data.Metadata))
	var result squidmesh.ApprovalResult
	require.NoError(t, json.Unmarshal(in.Steps[0].Output, &result))
	require.Equal(t, squidmesh.ApprovalResult{
		Decision: "approved", Actor: "ann", Comment: "fine", Metadata: json.RawMessage(`{"ticket":7}`), DecidedAt: entry.At,
	}, result)
}

// Whoever decides too late is told who came first. The refusal costs a transaction nothing.
func TestDecision_TooLateSaysWhoWasFirst(t *testing.T) {
	t.Parallel()
	fail := squidmesh.Effect(func(context.Context, nothing) error { return squidmesh.Fail(errors.New("no")) })
	act := squidmesh.Effect(func(context.Context, nothing) error { return nil })
	named := func(name string, steps ...squidmesh.Step) squidmesh.Workflow {
		return squidmesh.Workflow{Name: name, Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[nothing]())}, Steps: steps}
	}
	rt := startTest(t,
		named("asks", squidmesh.Step{Name: "ask", Do: squidmesh.Approval(), Output: "asked", Next: "gate", OnError: squidmesh.Complete},
			squidmesh.Step{Name: "gate", Do: squidmesh.Pause()}),
		named("late", squidmesh.Step{Name: "gate", Do: squidmesh.Pause(), Timeout: time.Millisecond, OnError: squidmesh.Complete}),
		named("saga", squidmesh.Step{Name: "one", Do: act, Undo: fail, Next: "two"}, squidmesh.Step{Name: "two", Do: act, Undo: fail, Next: "three"},
			squidmesh.Step{Name: "three", Do: act, Undo: fail, Next: "fail"}, squidmesh.Step{Name: "fail", Do: fail}))
	ctx := t.Context()
	by := func(actor string) squidmesh.Decision { return squidmesh.Decision{Actor: actor} }
	began := func(workflow string, until ...squidmesh.RunStatus) squidmesh.RunID {
		run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: workflow})
		require.NoError(t, err)
		_, err = rt.AwaitRun(ctx, run.ID, until...)
		require.NoError(t, err)
		return run.ID
	}
	refused := func(err error, is error) *squidmesh.RefusedError {
		t.Helper()
		require.ErrorIs(t, err, is)
		var refused *squidmesh.RefusedError
		require.ErrorAs(t, err, &refused)
		return refused
	}
	first := func(err error, is error, kind flow.AuditKind, step, actor, text string) {
		t.Helper()
		earlier := refused(err, is).Earlier
		require.NotNil(t, earlier)
		require.Equal(t, flow.EarlierDecision{Kind: kind, Step: step, Actor: actor, At: earlier.At}, *earlier)
		require.ErrorContains(t, err, "; "+text+" at "+earlier.At.UTC().Format(time.RFC3339))
	}

	id := began("asks", squidmesh.RunPaused)
	_, err := rt.UnblockRun(ctx, id, by("bob"))
	require.Nil(t, refused(err, squidmesh.ErrNotWaiting).Earlier, "nobody has unblocked anything")
	approved, err := rt.ApproveRun(ctx, id, by("ann"))
	require.NoError(t, err)
	_, err = rt.RejectRun(ctx, id, by("bob"))
	first(err, squidmesh.ErrNotWaiting, flow.AuditApproved, "ask", "ann", "ask was approved by ann")
	require.Equal(t, approved.LastAt, refused(err, squidmesh.ErrNotWaiting).Earlier.At)
	tx, err := rt.db.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = rt.ApproveRunTx(ctx, tx, id, by("bob"))
	first(err, squidmesh.ErrNotWaiting, flow.AuditApproved, "ask", "ann", "ask was approved by ann")
	_, err = rt.CancelRunTx(ctx, tx, id, squidmesh.CancelParams{})
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	_, err = rt.UnblockRun(ctx, id, by("bob"))
	first(err, squidmesh.ErrFinished, flow.AuditCancelled, "", "", "the run was cancelled")
	_, err = rt.ApproveRun(ctx, id, squidmesh.Decision{Actor: "bob", Step: "ask"})
	first(err, squidmesh.ErrFinished, flow.AuditApproved, "ask", "ann", "ask was approved by ann")

	id = began("late")
	_, err = rt.UnblockRun(ctx, id, by("bob"))
	first(err, squidmesh.ErrFinished, flow.AuditExpired, "gate", "", "gate expired")
	_, err = rt.CancelRun(ctx, id, squidmesh.CancelParams{})
	require.Nil(t, refused(err, squidmesh.ErrFinished).Earlier, "nobody has cancelled it")

	id = began("saga", squidmesh.RunCompensating)
	accept := func(actor, step string) error {
		_, err := rt.AcceptUndo(ctx, id, squidmesh.Decision{Actor: actor, Step: step})
		return err
	}
	require.Eventually(t, func() bool { return accept("ann", "one") == nil }, time.Minute, time.Millisecond) // the last to be undone
	err = accept("bob", "")
	require.ErrorContains(t, err, "several are open")
	require.Nil(t, refused(err, squidmesh.ErrNotWaiting).Earlier, "it is not too late for these")
	first(accept("bob", "one"), squidmesh.ErrNotWaiting, flow.AuditAccepted, "one", "ann", "the undo of one was accepted by ann")
	require.NoError(t, accept("cyd", "two"))
	require.NoError(t, accept("dan", "three"))
	_, err = rt.RetryUndo(ctx, id, by("bob"))
	first(err, squidmesh.ErrFinished, flow.AuditAccepted, "three", "dan", "the undo of three was accepted by dan")
}

// A replay takes the payload as it was, defaults included, and today's definition.
func TestReplayRun_IsANewRunOfItsSource(t *testing.T) {
	t.Parallel()
	w := only(squidmesh.Pause(), "")
	w.Triggers = []squidmesh.Trigger{
		squidmesh.Manual("other", squidmesh.Contract{}),
		squidmesh.Manual("go", squidmesh.Payload[dated](squidmesh.Defaults{"day": "2026-03-01", "at": squidmesh.DefaultNow})),
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
