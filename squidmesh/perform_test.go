package squidmesh_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Whatever a queue delivers, Perform has an answer for it, and only what may succeed later is to come again.
func TestPerform_AnswersWhatItCannotDo(t *testing.T) {
	t.Parallel()
	rt := startTest(t, only(squidmesh.Wait(time.Hour), ""))
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	stranded, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	_, err = rt.db.ExecContext(t.Context(), `update squidmesh_run set shape = 'gone' where id = ?`, stranded.ID.String())
	require.NoError(t, err)

	delivery := func(change func(*driver.Delivery)) driver.Delivery {
		d := driver.StepJob{RunID: run.ID, Step: "act", Attempt: 1}.Delivery()
		change(&d)
		return d
	}
	for name, tc := range map[string]struct {
		change func(*driver.Delivery)
		kind   flow.OutcomeKind
		reason string
	}{
		"unknown kind":       {func(d *driver.Delivery) { d.Kind = "stop" }, flow.OutcomeDrop, "bad_delivery"},
		"later version":      {func(d *driver.Delivery) { d.Version = 2 }, flow.OutcomeDrop, "bad_delivery"},
		"no attempt":         {func(d *driver.Delivery) { d.Attempt = 0 }, flow.OutcomeDrop, "bad_delivery"},
		"malformed run id":   {func(d *driver.Delivery) { d.RunID = "17" }, flow.OutcomeDrop, "bad_delivery"},
		"unknown run":        {func(d *driver.Delivery) { d.RunID = uuid.NewString() }, flow.OutcomeDrop, "unknown_run"},
		"unknown step":       {func(d *driver.Delivery) { d.Step = "other" }, flow.OutcomeDone, "stale"},
		"unknown attempt":    {func(d *driver.Delivery) { d.Attempt = 7 }, flow.OutcomeDone, "stale"},
		"early":              {func(*driver.Delivery) {}, flow.OutcomeAgain, "early"},
		"undo of nothing":    {func(d *driver.Delivery) { d.Kind = driver.DeliverCompensation }, flow.OutcomeDone, "stale"},
		"definition is gone": {func(d *driver.Delivery) { d.RunID = stranded.ID.String() }, flow.OutcomeAgain, "definition_unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			outcome, err := rt.Perform(t.Context(), delivery(tc.change))
			require.NoError(t, err)
			require.Equal(t, tc.kind, outcome.Kind)
			require.Contains(t, outcome.Reason, tc.reason)
			if tc.kind == flow.OutcomeAgain {
				require.Positive(t, outcome.After)
			}
		})
	}

	_, err = rt.InspectRun(t.Context(), stranded.ID, nil)
	require.ErrorIs(t, err, squidmesh.ErrUnknownShape)
	ex, err := rt.ExplainRun(t.Context(), stranded.ID)
	require.NoError(t, err)
	require.Equal(t, flow.ReasonDefinitionUnknown, ex.Code)
	require.Empty(t, ex.Commands)
	_, err = rt.CancelRun(t.Context(), stranded.ID, squidmesh.CancelParams{})
	require.ErrorIs(t, err, squidmesh.ErrUnknownShape)

	require.NoError(t, rt.Stop(t.Context()))
	outcome, err := rt.Perform(t.Context(), delivery(func(*driver.Delivery) {}))
	require.NoError(t, err)
	require.Equal(t, flow.Outcome{Kind: flow.OutcomeAgain, After: time.Second, Reason: "not_started"}, outcome)
}

// What a queue keeps of a job is the same text in every version of a program, for one that is deployed must read what the one before it
// has enqueued.
func TestDelivery_IsPlainJSON(t *testing.T) {
	t.Parallel()
	run := uuid.MustParse("0190b0a0-0000-7000-8000-000000000000")
	window := &driver.Window{StartAt: time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC), EndAt: time.Date(2026, 3, 3, 7, 0, 0, 0, time.UTC)}
	place := driver.Schedule{Now: window.StartAt, DueAt: window.EndAt, Delay: 24 * time.Hour, Queue: "slow", Priority: 3}
	for want, d := range map[string]driver.Delivery{
		`{"v":1,"kind":"step","run_id":"0190b0a0-0000-7000-8000-000000000000","step":"charge","attempt":3}`: driver.StepJob{
			Schedule: place, RunID: run, Workflow: "checkout", Step: "charge", Attempt: 3,
		}.Delivery(),
		`{"v":1,"kind":"compensation","scope":"shop","run_id":"0190b0a0-0000-7000-8000-000000000000","step":"charge","attempt":2}`: driver.CompensationJob{
			Schedule: driver.Schedule{Queue: "slow", Priority: 3, Scope: "shop"}, RunID: run, Workflow: "checkout", Step: "charge", Attempt: 2,
		}.Delivery(),
		`{"v":1,"kind":"compensation","run_id":"0190b0a0-0000-7000-8000-000000000000"}`: driver.CompensationJob{RunID: run}.Delivery(),
		`{"v":1,"kind":"cron","workflow":"digest","trigger":"nightly","signal_id":"abc",` +
			`"intended_window":{"start_at":"2026-03-02T07:00:00Z","end_at":"2026-03-03T07:00:00Z"}}`: driver.CronJob{
			Schedule: place, Workflow: "digest", Trigger: "nightly", SignalID: "abc", IntendedWindow: window,
		}.Delivery(),
	} {
		got, err := json.Marshal(d)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		parsed, err := driver.ParseDelivery(got)
		require.NoError(t, err)
		require.Equal(t, d, parsed)
	}
}
