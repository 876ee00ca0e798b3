package squidmesh

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// tale is a run whose events a test tells one by one.
type tale struct {
	t    *testing.T
	spec *Spec
	snap Snapshot
	now  time.Time
	last Transition

	audit []AuditEntry
}

func newTale(t *testing.T, steps ...Step) *tale {
	t.Helper()
	spec, err := Compile(Workflow{Name: "tale", Triggers: []Trigger{Manual("manual", Contract{})}, Steps: steps})
	require.NoError(t, err)
	tl := &tale{t: t, spec: spec, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	tl.decide(Started{ID: uuid.UUID{15: 1}, Trigger: "manual"})
	return tl
}

func (tl *tale) decide(e Event) Transition {
	tl.t.Helper()
	tr, err := Decide(tl.spec, tl.snap, e, tl.now)
	require.NoError(tl.t, err)
	tl.snap, tl.last, tl.audit = tl.snap.With(tr), tr, append(tl.audit, tr.Audit...)
	return tr
}

// by is the current attempt of a step, spoken for by a worker.
func (tl *tale) by(worker WorkerID, name string, phase ...Phase) Attempted {
	key := StepKey{name, PhaseDo}
	if len(phase) > 0 {
		key.Phase = phase[0]
	}
	return Attempted{
		StepKey: key, Attempt: tl.snap.Steps[key].Attempt, Worker: worker, Hold: key, Runnable: map[StepKey]bool{key: true},
	}
}

// claim gives the step's delivery to a worker, when it is due.
func (tl *tale) claim(worker WorkerID, name string, phase ...Phase) {
	tl.t.Helper()
	a := tl.by(worker, name, phase...)
	if due := tl.snap.Steps[a.StepKey].DueAt; due.After(tl.now) {
		tl.now = due
	}
	require.NotNil(tl.t, tl.decide(Claimed{Attempted: a}).Claim)
}

func (tl *tale) succeed(name string, phase ...Phase) {
	tl.t.Helper()
	tl.claim(1, name, phase...)
	tl.decide(Succeeded{Attempted: tl.by(1, name, phase...)})
}

func (tl *tale) fail(name string, phase ...Phase) {
	tl.t.Helper()
	tl.claim(1, name, phase...)
	tl.decide(Failed{Attempted: tl.by(1, name, phase...), Error: StepError{Code: CodeError, Message: "no"}})
}

// lose lets a new worker claim the step and die.
func (tl *tale) lose(worker WorkerID, name string, phase ...Phase) {
	tl.t.Helper()
	tl.claim(worker, name, phase...)
	tl.decide(Lost{Worker: worker, Holds: []StepKey{tl.by(worker, name, phase...).StepKey}})
}

func (tl *tale) row(name string, phase ...Phase) StepState {
	return tl.snap.Steps[tl.by(0, name, phase...).StepKey]
}

func doesNothing(context.Context, struct{}) error { return nil }

func doing(name, next string) Step { return Step{Name: name, Do: Effect(doesNothing), Next: next} }

func undoable(name, next string) Step {
	st := doing(name, next)
	st.Undo = Effect(doesNothing)
	return st
}

func TestDecide_SecondTakeOverChangesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*tale){
		"running":   func(*tale) {},
		"completed": func(tl *tale) { tl.succeed("a") },
		"cancelled": func(tl *tale) { tl.decide(Cancelled{}) },
		"retrying":  func(tl *tale) { tl.fail("a") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := doing("a", "")
			st.Retry = Constant(3, time.Minute)
			tl := newTale(t, st)
			tl.lose(7, "a")
			end(tl)
			before := tl.snap

			// Every process takes over, each by the holds that it saw before the first one was done.
			tr := tl.decide(Lost{Worker: 7, Holds: []StepKey{{"a", PhaseDo}}})
			require.True(t, tr.Empty())
			require.Equal(t, before, tl.snap)
			require.Equal(t, name, string(tl.snap.Run.Status))
			require.Equal(t, []Hold{{Worker: 7, Run: tl.snap.Run.ID, StepKey: StepKey{"a", PhaseDo}}}, tr.Unheld,
				"a hold that the first one was not told of must go")
		})
	}
}

// Of steps that take down their fifth worker together, the first in the order of the definition is the failure: for the run, for the
// audit, which the run can be folded from, and for the step that the error route leads to.
func TestDecide_OfStepsLostTogetherTheFirstIsTheFailure(t *testing.T) {
	t.Parallel()
	children := []Step{doing("a", ""), doing("b", ""), doing("c", "")}
	for name, c := range map[string]struct {
		steps  []Step
		route  string
		status RunStatus
	}{
		"with a route": {[]Step{{Name: "block", Parallel: children, OnError: "repair"}, doing("repair", "")}, "repair", RunRunning},
		"without one":  {[]Step{{Name: "block", Parallel: children}}, "", RunFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tl := newTale(t, c.steps...)
			for worker := WorkerID(1); worker <= maxLosses; worker++ {
				for _, step := range []string{"c", "b", "a"} {
					if step != "a" || worker > 1 { // a is not lost often enough
						tl.claim(worker, step)
					}
				}
				tl.decide(Lost{Worker: worker, Holds: []StepKey{{"a", PhaseDo}, {"b", PhaseDo}, {"c", PhaseDo}}})
			}
			require.Equal(t, StepCancelled, tl.row("a").Status)
			require.Equal(t, StepFailed, tl.row("b").Status)
			require.Equal(t, StepFailed, tl.row("c").Status)
			require.Equal(t, c.status, tl.snap.Run.Status)
			require.Equal(t, "b", tl.snap.Run.Reason.Step)
			require.Equal(t, CodeWorkerLost, tl.snap.Run.Reason.Code)

			require.Equal(t, "b", tl.last.Data.Error.Step)
			folded, err := Fold(tl.spec, tl.audit)
			require.NoError(t, err)
			require.Empty(t, differ(tl.snap, folded))
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
	for worker := range WorkerID(5) {
		tl.lose(10+worker, "a", PhaseUndo)
	}
	require.Equal(t, StepPaused, tl.row("a", PhaseUndo).Status)
	tl.decide(UndoRetried{Decision{Actor: "ann"}})
	require.Equal(t, 6, tl.row("a", PhaseUndo).Attempt)
	for worker := range WorkerID(4) {
		tl.lose(20+worker, "a", PhaseUndo)
	}
	tl.succeed("a", PhaseUndo)
	require.Equal(t, RunFailed, tl.snap.Run.Status)
}

func TestDecide_WorkerContinuesOnTheSameRoad(t *testing.T) {
	t.Parallel()
	tl := newTale(t, doing("a", "b"), doing("b", ""))
	tl.claim(1, "a")
	a := tl.by(1, "a")
	a.Runnable = map[StepKey]bool{{"b", PhaseDo}: true}
	tr := tl.decide(Succeeded{Attempted: a})
	require.Equal(t, StepKey{"b", PhaseDo}, tr.Claim.StepKey)
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
	require.Equal(t, RunCompensating, tl.snap.Run.Status)
	require.Equal(t, VerdictFailed, tl.snap.Run.Verdict)
	require.Empty(t, tl.row("a", PhaseUndo).Status)
	tl.succeed("b", PhaseUndo)
	tl.succeed("a", PhaseUndo)
	require.Equal(t, RunFailed, tl.snap.Run.Status)
	require.Equal(t, "c", tl.snap.Run.Reason.Step)
}

func TestDecide_BlockTakesItsErrorRouteOnceDrained(t *testing.T) {
	t.Parallel()
	block := Step{Name: "both", Parallel: []Step{doing("x", ""), doing("y", ""), doing("z", "")}, OnError: "sorry"}
	tl := newTale(t, block, doing("sorry", ""))
	tl.claim(1, "x")
	tl.claim(2, "y")
	tl.decide(Failed{Attempted: tl.by(1, "x"), Error: StepError{Code: CodeError, Message: "no"}})
	require.True(t, tl.last.Interrupt)
	require.Equal(t, StepCancelled, tl.row("z").Status)
	require.Empty(t, tl.row("sorry").Status, "y is still at work")
	tl.decide(Succeeded{Attempted: tl.by(2, "y")})
	require.Equal(t, StepScheduled, tl.row("sorry").Status)
	require.Equal(t, "x", tl.row("sorry").Cause)
	require.Empty(t, tl.snap.Run.Verdict)
}

func TestDecide_FifthLossEndsTheStep(t *testing.T) {
	t.Parallel()
	tl := newTale(t, doing("a", ""))
	for worker := range WorkerID(5) {
		tl.lose(1+worker, "a")
	}
	require.Equal(t, RunFailed, tl.snap.Run.Status)
	require.Equal(t, CodeWorkerLost, tl.snap.Run.Reason.Code)
	require.Equal(t, 19*time.Second+time.Second, tl.now.Sub(tl.snap.Run.CreatedAt), "0, 1, 4 and 15 seconds apart")
}

func TestDecide_FarWaitsGetTheirJobLater(t *testing.T) {
	t.Parallel()
	tl := newTale(t, Step{Name: "long", Do: Wait(30 * time.Hour)})
	require.Empty(t, tl.last.Jobs)
	tl.now = tl.now.Add(7 * time.Hour)
	tr := tl.decide(Redelivered{StepKey: StepKey{"long", PhaseDo}, Attempt: 1})
	require.Len(t, tr.Jobs, 1)
	require.Equal(t, 23*time.Hour, tr.Jobs[0].DueAt.Sub(tl.now))
}

func TestDecide_WaitsNeverEndEarly(t *testing.T) {
	t.Parallel()
	for micros, want := range map[time.Duration]time.Duration{0: 0, 1: 1, 999: 1} {
		tl := newTale(t, doing("a", "w"), Step{Name: "w", Do: Wait(5 * time.Second)})
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
	tl.decide(Lost{Worker: 1, Holds: []StepKey{zombie.StepKey}})
	tl.claim(2, "a")
	require.True(t, tl.decide(Succeeded{Attempted: zombie}).Empty())
	zombie.Attempt = 2
	require.True(t, tl.decide(Succeeded{Attempted: zombie}).Empty())
	require.False(t, tl.decide(Succeeded{Attempted: tl.by(2, "a")}).Empty())
}

func TestDecide_InterruptedIrreversibleStepGuardsReplay(t *testing.T) {
	t.Parallel()
	st := doing("a", "")
	st.Irreversible, st.Retry = true, Constant(2, time.Minute)
	tl := newTale(t, st)
	tl.fail("a")
	tl.decide(Cancelled{})
	require.Equal(t, RunCancelled, tl.snap.Run.Status)
	_, err := Decide(tl.spec, tl.snap, Replayed{}, tl.now)
	require.ErrorIs(t, err, ErrUnsafeReplay)
	tl.decide(Replayed{AllowIrreversible: true})
}

// What a caller of Decide says about a decision is checked as far as the decision depends on it.
func TestDecide_RefusesMetadataThatAreNoJSON(t *testing.T) {
	t.Parallel()
	bad := Decision{Actor: "ann", Metadata: json.RawMessage("{")}
	for _, e := range []Event{
		Cancelled{Decision: bad}, Unblocked{bad}, Approved{bad}, Rejected{bad}, UndoRetried{bad}, UndoAccepted{bad}, Replayed{Decision: bad},
	} {
		for _, gate := range []Step{
			{Name: "gate", Do: Pause(), Next: "a"}, {Name: "gate", Do: Approval(), Next: "a", OnError: "a"}, doing("gate", "a"),
		} {
			tl := newTale(t, gate, doing("a", ""))
			_, err := Decide(tl.spec, tl.snap, e, tl.now)
			var input *InputError
			require.ErrorAs(t, err, &input, "%T", e)
			require.Equal(t, "Metadata", input.Field)
		}
	}
}
