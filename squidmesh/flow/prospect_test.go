package flow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// What lies before runs that stand where histories seldom bring them; the properties do the rest.
func TestForesee(t *testing.T) {
	t.Parallel()
	block := squidmesh.Step{Name: "both", Parallel: []squidmesh.Step{undoable("left", ""), undoable("right", "")}, OnError: "mend"}
	saga := []squidmesh.Step{undoable("first", "second"), undoable("second", "third"), undoable("third", "last"), {Name: "last", Do: squidmesh.Pause()}}
	do := func(name string) flow.MissingFunction {
		return flow.MissingFunction{StepKey: flow.StepKey{Name: name, Phase: flow.PhaseDo}, Reason: flow.ReasonFunctionUnknown}
	}
	undo := func(name string) flow.MissingFunction {
		return flow.MissingFunction{StepKey: flow.StepKey{Name: name, Phase: flow.PhaseUndo}, Reason: flow.ReasonFunctionUnknown}
	}
	drain := func(tl *tale) {
		tl.claim(2, "left")
		tl.fail("right")
	}
	gate := squidmesh.Step{Name: "gate", Do: squidmesh.Pause(), Timeout: time.Minute, Next: "end", OnError: "mend"}
	end := squidmesh.Step{Name: "end", Do: squidmesh.Pause()}
	cancel := func(tl *tale) { tl.decide(flow.Cancelled{Decision: flow.Decision{Actor: "ann"}, Compensate: true}) }
	for name, c := range map[string]struct {
		steps, today []squidmesh.Step
		tell         func(tl *tale)
		code         flow.ProspectCode
		lacks        []flow.MissingFunction
	}{
		"a block that drains comes to its error route": {
			[]squidmesh.Step{block, doing("mend", "")},
			[]squidmesh.Step{{Name: "both", Parallel: block.Parallel, Next: flow.Complete}},
			drain, flow.ProspectWillWait,
			[]flow.MissingFunction{do("mend")},
		},
		"a child that drains may have to be undone": {
			[]squidmesh.Step{block, doing("mend", "")},
			[]squidmesh.Step{{Name: "both", Parallel: []squidmesh.Step{doing("left", ""), undoable("right", "")}, OnError: "mend"}, doing("mend", "")},
			drain, flow.ProspectMayWait,
			[]flow.MissingFunction{undo("left")},
		},
		"what is undone is not undone again": {
			saga,
			[]squidmesh.Step{undoable("first", "second"), doing("second", "third"), doing("third", "last"), saga[3]},
			func(tl *tale) {
				tl.succeed("first")
				tl.succeed("second")
				tl.succeed("third")
				cancel(tl)
				tl.succeed("third", flow.PhaseUndo)
			},
			flow.ProspectWillWait,
			[]flow.MissingFunction{undo("second")},
		},
		"all is undone but what can be": {
			saga,
			[]squidmesh.Step{undoable("first", "second"), doing("second", "third"), doing("third", "last"), saga[3]},
			func(tl *tale) {
				tl.succeed("first")
				tl.succeed("second")
				cancel(tl)
				tl.succeed("second", flow.PhaseUndo)
			},
			flow.ProspectFinishes,
			nil,
		},
		"an attempt may be handed back": {
			[]squidmesh.Step{doing("work", "")}, []squidmesh.Step{doing("labour", "")}, func(tl *tale) { tl.claim(1, "work") }, flow.ProspectMayWait, []flow.MissingFunction{do("work")},
		},
		"a wait cannot fail": {
			[]squidmesh.Step{{Name: "rest", Do: squidmesh.Wait(time.Second), Next: "end", OnError: "mend"}, end, doing("mend", "")},
			[]squidmesh.Step{end},
			func(*tale) {},
			flow.ProspectFinishes,
			nil,
		},
		"an open decision may expire": {
			[]squidmesh.Step{gate, end, doing("mend", "")}, []squidmesh.Step{end}, func(*tale) {}, flow.ProspectMayWait, []flow.MissingFunction{do("mend")},
		},
		"one to come may expire too": {
			[]squidmesh.Step{doing("work", "gate"), gate, end, doing("mend", "")},
			[]squidmesh.Step{doing("work", "gate"), gate, end, {Name: "mend", Do: squidmesh.Pause()}},
			func(*tale) {}, flow.ProspectMayWait,
			[]flow.MissingFunction{do("mend")},
		},
		"an ended run needs nothing": {
			[]squidmesh.Step{doing("work", "")}, []squidmesh.Step{doing("labour", "")}, func(tl *tale) { tl.succeed("work") }, flow.ProspectFinishes, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tl := newTale(t, c.steps...)
			c.tell(tl)
			today := newTale(t, c.today...).spec
			o := flow.PredictDeploy(tl.spec.WithPolicy(today), today, tl.snap)
			require.Equal(t, flow.Prospect{Run: tl.snap.Run.ID, Workflow: "tale", Shape: tl.spec.Shape(), Status: tl.snap.Run.Status, Code: c.code, Lacks: c.lacks}, o)
		})
	}

	tl := newTale(t, doing("work", ""))
	require.Equal(t, flow.ProspectContinues, flow.PredictDeploy(tl.spec, tl.spec, tl.snap).Code)
	require.Equal(t, []flow.MissingFunction{do("work")}, flow.PredictDeploy(tl.spec, nil, tl.snap).Lacks, "the workflow is gone")
	require.Equal(t, []flow.MissingFunction{{Reason: flow.ReasonDefinitionUnknown}}, flow.PredictDeploy(nil, tl.spec, tl.snap).Lacks, "the shape is gone")
}
