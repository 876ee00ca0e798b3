package flow_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// scene is a tale whose first step is due, with a worker that could execute it and a job that would be delivered.
func scene(t *testing.T) (*tale, *flow.Environment) {
	t.Helper()
	tl := newTale(t, squidmesh.Step{Name: "work", Do: squidmesh.Effect(nothing), Undo: squidmesh.Effect(nothing), Queue: "slow", Next: "end"}, squidmesh.Step{Name: "end", Do: squidmesh.Pause()})
	row := tl.row("work")
	row.JobID = "7"
	tl.snap.Steps[row.StepKey] = row
	return tl, &flow.Environment{
		Workers:     []flow.Worker{{ID: 1, Name: "host-1", Queues: []string{"slow"}, Shapes: []string{tl.spec.Shape()}, LeaseUntil: tl.now.Add(time.Hour)}},
		Definitions: map[string]*flow.Spec{tl.spec.Shape(): tl.spec},
		Jobs:        map[string]flow.JobState{"7": {State: "available", Deliverable: true}},
	}
}

func (tl *tale) explain(around *flow.Environment) flow.Explanation {
	s := tl.snap
	s.Environment = around
	return flow.Explain(tl.spec, s, tl.now)
}

func TestExplain_WhyAStepThatIsDueIsNotClaimed(t *testing.T) {
	t.Parallel()
	job := func(change func(j *flow.JobState)) func(*tale, *flow.Environment) {
		return func(_ *tale, around *flow.Environment) {
			j := around.Jobs["7"]
			change(&j)
			around.Jobs["7"] = j
		}
	}
	definition := func(steps ...squidmesh.Step) func(*tale, *flow.Environment) {
		return func(tl *tale, around *flow.Environment) {
			spec, err := squidmesh.Compile(squidmesh.Workflow{Name: "tale", Triggers: []squidmesh.Trigger{squidmesh.Manual("manual", squidmesh.Contract{})}, Steps: steps})
			require.NoError(tl.t, err)
			around.Workers[0].Shapes, around.Definitions = []string{spec.Shape()}, map[string]*flow.Spec{spec.Shape(): spec}
		}
	}
	sentBackUntil := epoch.Add(24 * time.Hour)
	for name, c := range map[string]struct {
		change   func(*tale, *flow.Environment)
		code     flow.ReasonCode
		sentence string
	}{
		"nothing is known": {func(_ *tale, around *flow.Environment) { *around = flow.Environment{} }, flow.ReasonQueuedNoWorker, "Step work is due, and no process is there to execute it."},
		"all is well":      {func(*tale, *flow.Environment) {}, flow.ReasonQueued, "Step work is due and waits in queue slow for a worker."},
		"a line":           {job(func(j *flow.JobState) { j.Ahead = 41 }), flow.ReasonQueuedBehind, "Step work is due and waits in queue slow behind 41 others."},
		"a short line":     {job(func(j *flow.JobState) { j.Ahead = 1 }), flow.ReasonQueuedBehind, "Step work is due and waits in queue slow behind another one."},
		"a long line":      {job(func(j *flow.JobState) { j.Ahead = flow.MaxAhead }), flow.ReasonQueuedBehind, "Step work is due and waits in queue slow behind 100 others or more."},
		"sent back": {
			job(func(j *flow.JobState) { j.At, j.Ahead = sentBackUntil, 41 }), flow.ReasonQueued,
			"Step work is due; its delivery was sent back, and comes again in queue slow; host-1 has the function tale/work.",
		},
		"sent back, by whoever has it": {func(tl *tale, around *flow.Environment) {
			around.Workers[0].Queues = []string{"other"}
			around.Workers = append(around.Workers, flow.Worker{ID: 2, Queues: []string{"slow"}, LeaseUntil: tl.now.Add(time.Hour)})
			around.Jobs["7"] = flow.JobState{Deliverable: true, At: sentBackUntil}
		}, flow.ReasonQueued, "Step work is due; its delivery was sent back, and comes again in queue slow."},
		"sent back by a stranger": {
			job(func(j *flow.JobState) {
				j.At, j.TriedAt, j.BackAt, j.BackFor = sentBackUntil, sentBackUntil.Add(-time.Second), sentBackUntil, flow.DeliveryForeign
			}), flow.ReasonQueued,
			"Step work is due; its delivery was sent back by a program of another store, which works queue slow too, and comes again; " +
				"host-1 has the function tale/work; give each store a queue of its own (Config.Queue), or a River schema of its own.",
		},
		"come again": {func(tl *tale, around *flow.Environment) {
			around.Jobs["7"] = flow.JobState{Deliverable: true, At: tl.now}
		}, flow.ReasonQueued, "Step work is due and waits in queue slow for a worker."},
		"paused":          {job(func(j *flow.JobState) { j.Paused, j.Ahead = true, 3 }), flow.ReasonQueuePaused, "Step work is due and queue slow is paused."},
		"unattended":      {job(func(j *flow.JobState) { j.Unattended = true }), flow.ReasonQueuedNoWorker, "Step work is due and waits in queue slow, which no process works."},
		"discarded":       {job(func(j *flow.JobState) { j.State, j.Deliverable = "discarded", false }), flow.ReasonJobDiscarded, "Step work is due and will not be delivered: its job is discarded. The next tick of a worker sends another."},
		"deleted":         {func(_ *tale, around *flow.Environment) { around.Jobs = map[string]flow.JobState{} }, flow.ReasonJobDiscarded, "Step work is due and will not be delivered: its job is gone. The next tick of a worker sends another."},
		"left queue":      {func(_ *tale, around *flow.Environment) { around.Workers[0].Queues = []string{"orders"} }, flow.ReasonQueuedNoWorker, "Step work is due and waits in queue slow, which no living process uses any more; within seconds host-1 sends it through a queue of its own (orders)."},
		"queue not asked": {func(_ *tale, around *flow.Environment) { around.Jobs, around.Workers[0].Queues = nil, nil }, flow.ReasonQueuedNoWorker, "Step work is due and waits in queue slow, which no process works."},
		"silent worker":   {func(tl *tale, around *flow.Environment) { around.Workers[0].LeaseUntil = tl.now.Add(-time.Second) }, flow.ReasonQueuedNoWorker, "Step work is due, and no process is there to execute it."},
		"lost worker":     {func(tl *tale, around *flow.Environment) { around.Workers[0].LostAt = tl.now }, flow.ReasonQueuedNoWorker, "Step work is due, and no process is there to execute it."},
		"sealed": {func(_ *tale, around *flow.Environment) {
			around.Unopened = map[flow.StepKey]string{{Name: "work", Phase: flow.PhaseDo}: "k1"}
			around.Jobs["7"] = flow.JobState{Deliverable: true, Ahead: 3}
		}, flow.ReasonPayloadUnreadable, "Step work is due, and its input is sealed with key \"k1\", which this process cannot open: give that key to the Codec of the workers, or cancel the run."},
		"no such function": {definition(squidmesh.Step{Name: "end", Do: squidmesh.Pause()}), flow.ReasonFunctionUnknown, "Step work is due, and no living process has the function tale/work."},
		"no such workflow": {func(_ *tale, around *flow.Environment) { around.Workers[0].Shapes = nil }, flow.ReasonFunctionUnknown, "Step work is due, and no living process has the function tale/work."},
		"another function": {definition(squidmesh.Step{Name: "work", Do: squidmesh.EffectTx(nothingTx)}), flow.ReasonFunctionIncompatible, "Step work is due, and the function tale/work does not fit the run any more: it is func_tx and was func (on host-1)."},
		"one worker has it": {func(tl *tale, around *flow.Environment) {
			definition(squidmesh.Step{Name: "work", Do: squidmesh.EffectTx(nothingTx)})(tl, around)
			around.Definitions[tl.spec.Shape()] = tl.spec
			around.Workers = append(around.Workers, flow.Worker{ID: 2, Shapes: []string{tl.spec.Shape()}, LeaseUntil: tl.now})
		}, flow.ReasonQueued, "Step work is due and waits in queue slow for a worker."},
		"no job": {func(tl *tale, _ *flow.Environment) {
			row := tl.row("work")
			row.JobID = ""
			tl.snap.Steps[row.StepKey] = row
		}, flow.ReasonDispatchMissing, "Step work is due and has no job; the next tick of a worker enqueues it."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tl, around := scene(t)
			c.change(tl, around)
			ex := tl.explain(around)
			require.Equal(t, c.code, ex.Code)
			require.Equal(t, c.sentence, ex.Sentence)
			require.Equal(t, tl.row("work").DueAt, ex.Since)
			if strings.Contains(c.sentence, "sent back") {
				require.Equal(t, sentBackUntil, ex.Until)
			} else {
				require.Zero(t, ex.Until)
			}
			require.Equal(t, []flow.Command{flow.CommandCancel}, ex.Commands)
			var living []flow.Worker // are evidence of what nobody can do
			for _, w := range around.Workers {
				if w.Lives(tl.now) && slices.Contains([]flow.ReasonCode{
					flow.ReasonQueuedNoWorker, flow.ReasonFunctionUnknown,
					flow.ReasonFunctionIncompatible,
				}, c.code) {
					living = append(living, w)
				}
			}
			require.Equal(t, living, ex.Evidence.Workers)
		})
	}
}

func TestExplain_AnAttemptWhoseWorkerIsGone(t *testing.T) {
	t.Parallel()
	tl, around := scene(t)
	tl.claim(1, "work")
	ex := tl.explain(around)
	require.Equal(t, flow.ReasonRunning, ex.Code)
	require.Equal(t, around.Workers, ex.Evidence.Workers)

	silent := tl.now.Add(-time.Second)
	around.Workers[0].LeaseUntil = silent
	ex = tl.explain(around)
	require.Equal(t, flow.ReasonClaimExpired, ex.Code)
	require.Equal(t, "Step work was running on host-1, which is gone, and no process is there to take it over.", ex.Sentence)
	require.Equal(t, silent, ex.Since)
	require.Zero(t, ex.Until)

	around.Workers = append(around.Workers, flow.Worker{ID: 2, LeaseUntil: tl.now})
	ex = tl.explain(around)
	require.Equal(t, "Step work was running on host-1, which is gone; another process takes it over within seconds.", ex.Sentence)
	require.Equal(t, silent.Add(flow.TakenOverWithin), ex.Until)

	tl.decide(flow.Cancelled{Decision: flow.Decision{Actor: "ann"}})
	ex = tl.explain(around)
	require.Equal(t, flow.ReasonClaimExpired, ex.Code)
	require.Equal(t, "The run was cancelled. Step work was running on host-1, which is gone; another process takes it over within seconds.", ex.Sentence)
}

// A step that does not stop is named with its process, since somebody has to look there.
func TestExplain_ACancelledRunWhoseStepDoesNotStop(t *testing.T) {
	t.Parallel()
	tl, around := scene(t)
	tl.claim(1, "work")
	tl.decide(flow.Cancelled{Decision: flow.Decision{Actor: "ann"}})
	ex := tl.explain(around)
	require.Equal(t, flow.ReasonCancelling, ex.Code)
	require.Equal(t, "The run was cancelled; the run waits for work on host-1 to stop.", ex.Sentence)

	deadline := tl.row("work").DeadlineAt
	tl.now = deadline.Add(time.Second)
	ex = tl.explain(around)
	require.Equal(t, flow.ReasonRunningPastTimeout, ex.Code)
	require.Equal(t, "The run was cancelled. Step work has been running on host-1 past its timeout, attempt 1.", ex.Sentence)
	require.Equal(t, deadline.Add(flow.ExpireAfter), ex.Until)
}

func TestExplain_ADecisionPastItsDeadline(t *testing.T) {
	t.Parallel()
	for onError, follows := range map[string]string{"": "the run fails", "end": "it goes on to end", flow.Complete: "the run completes"} {
		tl := newTale(t, squidmesh.Step{Name: "gate", Do: squidmesh.Pause(), Timeout: time.Hour, Next: "end", OnError: onError}, doing("end", ""))
		around := &flow.Environment{Workers: []flow.Worker{{ID: 1, Name: "host-1", LeaseUntil: tl.now.Add(24 * time.Hour)}}}
		says := func(until time.Time, then string) {
			t.Helper()
			ex := tl.explain(around)
			require.Equal(t, flow.ReasonWaitingUnblock, ex.Code)
			require.Equal(t, "The run is paused at gate until somebody unblocks it; "+then+follows+".", ex.Sentence)
			require.Equal(t, until, ex.Until)
		}
		deadline := tl.row("gate").DeadlineAt
		says(deadline, "past its deadline ")
		tl.now = deadline
		says(deadline.Add(flow.TakenOverWithin), "its deadline has passed, and within seconds ")
		tl.now = deadline.Add(time.Minute)
		says(time.Time{}, "its deadline has passed, and within seconds ")
		around.Workers = nil
		says(time.Time{}, "its deadline has passed, and once a process is there ")
	}
}

func TestExplain_AnUndoThatCannotBeExecuted(t *testing.T) {
	t.Parallel()
	tl, around := scene(t)
	tl.succeed("work")
	tl.decide(flow.Cancelled{Decision: flow.Decision{Actor: "ann"}, Compensate: true})
	row := tl.row("work", flow.PhaseUndo)
	row.JobID = "8"
	tl.snap.Steps[row.StepKey] = row
	around.Jobs["8"] = flow.JobState{Deliverable: true}
	require.Equal(t, flow.ReasonCompensating, tl.explain(around).Code)
	around.Workers[0].Shapes = nil
	ex := tl.explain(around)
	require.Equal(t, flow.ReasonFunctionUnknown, ex.Code)
	require.Equal(t, flow.PhaseUndo, ex.Phase)
	require.Equal(t, "The run undoes what it did. The undo of work is due, and no living process has the function tale/work.", ex.Sentence)
}

func TestExplain_StepsThatWaitNameWhatTheyWaitFor(t *testing.T) {
	t.Parallel()
	tl := newTale(t, squidmesh.Step{Name: "a", Do: squidmesh.Effect(nothing)}, squidmesh.Step{Name: "b", Do: squidmesh.Effect(nothing)},
		squidmesh.Step{Name: "c", Do: squidmesh.Effect(nothing), After: []string{"a", "b"}})
	tl.succeed("a")
	ex := tl.explain(nil)
	require.Equal(t, "b", ex.Step)
	require.Len(t, ex.Steps, 2)
	require.Equal(t, flow.ReasonWaitingDependencies, ex.Steps[1].Code)
	require.Equal(t, "Step c waits for b.", ex.Steps[1].Sentence)
}

func TestExplain_ARunWhoseShapeIsMissing(t *testing.T) {
	t.Parallel()
	tl, around := scene(t)
	s := tl.snap
	s.Environment = around
	ex := flow.Explain(nil, s, tl.now)
	require.Equal(t, flow.ReasonDefinitionUnknown, ex.Code)
	require.Equal(t, "The run is pinned to shape "+s.Run.Shape+" of tale, which the database does not hold: put it back.", ex.Sentence)
	require.Empty(t, ex.Commands)

	tl.claim(1, "work")
	tl.decide(flow.Failed{Attempted: tl.by(1, "work"), Error: flow.StepError{Code: flow.CodeError, Message: "no"}})
	require.Equal(t, flow.ReasonStepFailed, flow.Explain(nil, tl.snap, tl.now).Code)
}

// However much goes on at once, the sentence is about one step; the evidence holds all that is open, in the order of the definition.
func TestExplain_EvidenceIsWhatIsOpen(t *testing.T) {
	t.Parallel()
	after := func(name string, names ...string) squidmesh.Step {
		st := doing(name, "")
		st.After = names
		return st
	}
	retried := doing("retried", "")
	retried.Retry = flow.Constant(2, time.Minute)
	tl := newTale(t, retried, squidmesh.Step{Name: "nap", Do: squidmesh.Wait(time.Hour)}, doing("busy", ""), doing("quick", ""), after("end", "nap", "quick"))
	tl.fail("retried")
	tl.claim(7, "busy")
	tl.succeed("quick")

	ex := flow.Explain(tl.spec, tl.snap, tl.now)
	require.Equal(t, flow.ReasonRunning, ex.Code)
	require.Equal(t, "busy", ex.Step)
	require.Equal(t, []flow.StepState{tl.row("retried"), tl.row("nap"), tl.row("busy")}, ex.Evidence.Steps, "end waits for others, and is not open")
	tl.decide(flow.Succeeded{Attempted: tl.by(7, "busy")})
	require.Equal(t, "nap", flow.Explain(tl.spec, tl.snap, tl.now).Step, "a timer says more than a retry")
}
