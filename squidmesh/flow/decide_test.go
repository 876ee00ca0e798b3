package flow_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/difference"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// tale is a run whose events a test tells one by one.
type tale struct {
	t    *testing.T
	spec *flow.Spec
	snap flow.Snapshot
	now  time.Time
	last flow.Transition

	audit []flow.AuditEntry
}

func newTale(t *testing.T, steps ...squidmesh.Step) *tale {
	t.Helper()
	spec, err := squidmesh.Compile(squidmesh.Workflow{Name: "tale", Triggers: []squidmesh.Trigger{squidmesh.Manual("manual", squidmesh.Contract{})}, Steps: steps})
	require.NoError(t, err)
	tl := &tale{t: t, spec: spec, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	tl.decide(flow.Started{ID: uuid.UUID{15: 1}, Trigger: "manual"})
	return tl
}

func (tl *tale) decide(e flow.Event) flow.Transition {
	tl.t.Helper()
	tr, err := flow.Decide(tl.spec, tl.snap, e, tl.now)
	require.NoError(tl.t, err)
	tl.snap, tl.last, tl.audit = tl.snap.With(tr), tr, append(tl.audit, tr.Audit...)
	return tr
}

// by is the current attempt of a step, spoken for by a worker.
func (tl *tale) by(worker flow.WorkerID, name string, phase ...flow.Phase) flow.Attempted {
	key := flow.StepKey{Name: name, Phase: flow.PhaseDo}
	if len(phase) > 0 {
		key.Phase = phase[0]
	}
	return flow.Attempted{
		StepKey: key, Attempt: tl.snap.Steps[key].Attempt, Worker: worker, Hold: key, Runnable: map[flow.StepKey]bool{key: true},
	}
}

// claim gives the step's delivery to a worker, when it is due.
func (tl *tale) claim(worker flow.WorkerID, name string, phase ...flow.Phase) {
	tl.t.Helper()
	a := tl.by(worker, name, phase...)
	if due := tl.snap.Steps[a.StepKey].DueAt; due.After(tl.now) {
		tl.now = due
	}
	require.NotNil(tl.t, tl.decide(flow.Claimed{Attempted: a}).Claim)
}

func (tl *tale) succeed(name string, phase ...flow.Phase) {
	tl.t.Helper()
	tl.claim(1, name, phase...)
	tl.decide(flow.Succeeded{Attempted: tl.by(1, name, phase...)})
}

func (tl *tale) fail(name string, phase ...flow.Phase) {
	tl.t.Helper()
	tl.claim(1, name, phase...)
	tl.decide(flow.Failed{Attempted: tl.by(1, name, phase...), Error: flow.StepError{Code: flow.CodeError, Message: "no"}})
}

// lose lets a new worker claim the step and die.
func (tl *tale) lose(worker flow.WorkerID, name string, phase ...flow.Phase) {
	tl.t.Helper()
	tl.claim(worker, name, phase...)
	tl.decide(flow.Lost{Worker: worker, Holds: []flow.StepKey{tl.by(worker, name, phase...).StepKey}})
}

func (tl *tale) row(name string, phase ...flow.Phase) flow.StepState {
	return tl.snap.Steps[tl.by(0, name, phase...).StepKey]
}

func doesNothing(context.Context, struct{}) error { return nil }

func doing(name, next string) squidmesh.Step {
	return squidmesh.Step{Name: name, Do: squidmesh.Effect(doesNothing), Next: next}
}

func undoable(name, next string) squidmesh.Step {
	st := doing(name, next)
	st.Undo = squidmesh.Effect(doesNothing)
	return st
}

func TestDecide_SecondTakeOverChangesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*tale){
		"running":   func(*tale) {},
		"completed": func(tl *tale) { tl.succeed("a") },
		"cancelled": func(tl *tale) { tl.decide(flow.Cancelled{}) },
		"retrying":  func(tl *tale) { tl.fail("a") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := doing("a", "")
			st.Retry = flow.Constant(3, time.Minute)
			tl := newTale(t, st)
			tl.lose(7, "a")
			end(tl)
			before := tl.snap

			// Every process takes over, each by the holds that it saw before the first one was done.
			tr := tl.decide(flow.Lost{Worker: 7, Holds: []flow.StepKey{{Name: "a", Phase: flow.PhaseDo}}})
			require.True(t, tr.Empty())
			require.Equal(t, before, tl.snap)
			require.Equal(t, name, string(tl.snap.Run.Status))
			require.Equal(t, []flow.Hold{{Worker: 7, Run: tl.snap.Run.ID, StepKey: flow.StepKey{Name: "a", Phase: flow.PhaseDo}}}, tr.Unheld,
				"a hold that the first one was not told of must go")
		})
	}
}

// Of steps that take down their fifth worker together, the first in the order of the definition is the failure: for the run, for the
// audit, which the run can be folded from, and for the step that the error route leads to.
func TestDecide_OfStepsLostTogetherTheFirstIsTheFailure(t *testing.T) {
	t.Parallel()
	children := []squidmesh.Step{doing("a", ""), doing("b", ""), doing("c", "")}
	for name, c := range map[string]struct {
		steps  []squidmesh.Step
		route  string
		status flow.RunStatus
	}{
		"with a route": {[]squidmesh.Step{{Name: "block", Parallel: children, OnError: "repair"}, doing("repair", "")}, "repair", flow.RunRunning},
		"without one":  {[]squidmesh.Step{{Name: "block", Parallel: children}}, "", flow.RunFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tl := newTale(t, c.steps...)
			for worker := flow.WorkerID(1); worker <= flow.DefaultMaxLosses; worker++ {
				for _, step := range []string{"c", "b", "a"} {
					if step != "a" || worker > 1 { // a is not lost often enough
						tl.claim(worker, step)
					}
				}
				tl.decide(flow.Lost{Worker: worker, Holds: []flow.StepKey{{Name: "a", Phase: flow.PhaseDo}, {Name: "b", Phase: flow.PhaseDo}, {Name: "c", Phase: flow.PhaseDo}}})
			}
			require.Equal(t, flow.StepCancelled, tl.row("a").Status)
			require.Equal(t, flow.StepFailed, tl.row("b").Status)
			require.Equal(t, flow.StepFailed, tl.row("c").Status)
			require.Equal(t, c.status, tl.snap.Run.Status)
			require.Equal(t, "b", tl.snap.Run.Reason.Step)
			require.Equal(t, flow.CodeWorkerLost, tl.snap.Run.Reason.Code)

			require.Equal(t, "b", tl.last.Data.Error.Step)
			folded, err := flow.Fold(tl.spec, tl.audit)
			require.NoError(t, err)
			require.Empty(t, difference.Of(tl.snap, folded))
			if c.route != "" {
				tl.claim(9, c.route)
				require.Equal(t, "b", tl.last.Claim.Cause.Step)
			}
		})
	}
}

func TestDecide_RetriedUndoMayBeLostAsOftenAgain(t *testing.T) {
	t.Parallel()
	tl := newTale(t, undoable("a", "b"), doing("b", ""))
	tl.succeed("a")
	tl.fail("b")
	for worker := range flow.WorkerID(5) {
		tl.lose(10+worker, "a", flow.PhaseUndo)
	}
	require.Equal(t, flow.StepPaused, tl.row("a", flow.PhaseUndo).Status)
	tl.decide(flow.UndoRetried{Decision: flow.Decision{Actor: "ann"}})
	require.Equal(t, 6, tl.row("a", flow.PhaseUndo).Attempt)
	for worker := range flow.WorkerID(4) {
		tl.lose(20+worker, "a", flow.PhaseUndo)
	}
	tl.succeed("a", flow.PhaseUndo)
	require.Equal(t, flow.RunFailed, tl.snap.Run.Status)
}

func TestDecide_WorkerContinuesOnTheSameRoad(t *testing.T) {
	t.Parallel()
	tl := newTale(t, doing("a", "b"), doing("b", ""))
	tl.claim(1, "a")
	a := tl.by(1, "a")
	a.Runnable = map[flow.StepKey]bool{{Name: "b", Phase: flow.PhaseDo}: true}
	tr := tl.decide(flow.Succeeded{Attempted: a})
	require.Equal(t, flow.StepKey{Name: "b", Phase: flow.PhaseDo}, tr.Claim.StepKey)
	require.Equal(t, a.Hold, tr.Claim.Hold, "one hold covers what one delivery led to")
	require.Empty(t, tr.Jobs)
	require.Empty(t, tr.Unheld)
}

func TestDecide_FailureWithoutRouteUndoesInReverse(t *testing.T) {
	t.Parallel()
	tl := newTale(t, undoable("a", "b"), undoable("b", "c"), doing("c", ""))
	tl.succeed("a")
	tl.succeed("b")
	tl.fail("c")
	require.Equal(t, flow.RunCompensating, tl.snap.Run.Status)
	require.Equal(t, flow.VerdictFailed, tl.snap.Run.Verdict)
	require.Empty(t, tl.row("a", flow.PhaseUndo).Status)
	tl.succeed("b", flow.PhaseUndo)
	tl.succeed("a", flow.PhaseUndo)
	require.Equal(t, flow.RunFailed, tl.snap.Run.Status)
	require.Equal(t, "c", tl.snap.Run.Reason.Step)
}

func TestDecide_BlockTakesItsErrorRouteOnceDrained(t *testing.T) {
	t.Parallel()
	block := squidmesh.Step{Name: "both", Parallel: []squidmesh.Step{doing("x", ""), doing("y", ""), doing("z", "")}, OnError: "sorry"}
	tl := newTale(t, block, doing("sorry", ""))
	tl.claim(1, "x")
	tl.claim(2, "y")
	tl.decide(flow.Failed{Attempted: tl.by(1, "x"), Error: flow.StepError{Code: flow.CodeError, Message: "no"}})
	require.True(t, tl.last.Interrupt)
	require.Equal(t, flow.StepCancelled, tl.row("z").Status)
	require.Empty(t, tl.row("sorry").Status, "y is still at work")
	tl.decide(flow.Succeeded{Attempted: tl.by(2, "y")})
	require.Equal(t, flow.StepScheduled, tl.row("sorry").Status)
	require.Equal(t, "x", tl.row("sorry").Cause)
	require.Empty(t, tl.snap.Run.Verdict)
}

func TestDecide_FifthLossEndsTheStep(t *testing.T) {
	t.Parallel()
	tl := newTale(t, doing("a", ""))
	for worker := range flow.WorkerID(5) {
		tl.lose(1+worker, "a")
	}
	require.Equal(t, flow.RunFailed, tl.snap.Run.Status)
	require.Equal(t, flow.CodeWorkerLost, tl.snap.Run.Reason.Code)
	require.Equal(t, 19*time.Second+time.Second, tl.now.Sub(tl.snap.Run.CreatedAt), "0, 1, 4 and 15 seconds apart")
}

func TestDecide_FarWaitsGetTheirJobLater(t *testing.T) {
	t.Parallel()
	tl := newTale(t, squidmesh.Step{Name: "long", Do: squidmesh.Wait(30 * time.Hour)})
	require.Empty(t, tl.last.Jobs)
	tl.now = tl.now.Add(7 * time.Hour)
	tr := tl.decide(flow.Redelivered{StepKey: flow.StepKey{Name: "long", Phase: flow.PhaseDo}, Attempt: 1})
	require.Len(t, tr.Jobs, 1)
	require.Equal(t, 23*time.Hour, tr.Jobs[0].DueAt.Sub(tl.now))
}

func TestDecide_WaitsNeverEndEarly(t *testing.T) {
	t.Parallel()
	for micros, want := range map[time.Duration]time.Duration{0: 0, 1: 1, 999: 1} {
		tl := newTale(t, doing("a", "w"), squidmesh.Step{Name: "w", Do: squidmesh.Wait(5 * time.Second)})
		tl.now = tl.now.Add(micros * time.Microsecond)
		tl.succeed("a")
		require.Equal(t, 5*time.Second+want*time.Millisecond, tl.row("w").DueAt.Sub(tl.now.Truncate(time.Millisecond)), "%d us", micros)
	}
}

func TestDecide_ZombieChangesNothing(t *testing.T) {
	t.Parallel()
	tl := newTale(t, doing("a", ""))
	tl.claim(1, "a")
	zombie := tl.by(1, "a")
	tl.decide(flow.Lost{Worker: 1, Holds: []flow.StepKey{zombie.StepKey}})
	tl.claim(2, "a")
	require.True(t, tl.decide(flow.Succeeded{Attempted: zombie}).Empty())
	zombie.Attempt = 2
	require.True(t, tl.decide(flow.Succeeded{Attempted: zombie}).Empty())
	require.False(t, tl.decide(flow.Succeeded{Attempted: tl.by(2, "a")}).Empty())
}

func TestDecide_InterruptedIrreversibleStepGuardsReplay(t *testing.T) {
	t.Parallel()
	st := doing("a", "")
	st.Irreversible, st.Retry = true, flow.Constant(2, time.Minute)
	tl := newTale(t, st)
	tl.fail("a")
	tl.decide(flow.Cancelled{})
	require.Equal(t, flow.RunCancelled, tl.snap.Run.Status)
	_, err := flow.Decide(tl.spec, tl.snap, flow.Replayed{}, tl.now)
	require.ErrorIs(t, err, flow.ErrUnsafeReplay)
	tl.decide(flow.Replayed{AllowIrreversible: true})
}

// What a caller of Decide says about a decision is checked as far as the decision depends on it.
func TestDecide_RefusesMetadataThatAreNoJSON(t *testing.T) {
	t.Parallel()
	bad := flow.Decision{Actor: "ann", Metadata: json.RawMessage("{")}
	for _, e := range []flow.Event{
		flow.Cancelled{Decision: bad},
		flow.Unblocked{Decision: bad},
		flow.Approved{Decision: bad},
		flow.Rejected{Decision: bad},
		flow.UndoRetried{Decision: bad},
		flow.UndoAccepted{Decision: bad},
		flow.Replayed{Decision: bad},
	} {
		for _, gate := range []squidmesh.Step{
			{Name: "gate", Do: squidmesh.Pause(), Next: "a"}, {Name: "gate", Do: squidmesh.Approval(), Next: "a", OnError: "a"}, doing("gate", "a"),
		} {
			tl := newTale(t, gate, doing("a", ""))
			_, err := flow.Decide(tl.spec, tl.snap, e, tl.now)
			var input *flow.InputError
			require.ErrorAs(t, err, &input, "%T", e)
			require.Equal(t, "Metadata", input.Field)
		}
	}
}
