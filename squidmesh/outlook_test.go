package squidmesh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What lies before runs that stand where histories seldom bring them; the properties do the rest.
func TestForesee(t *testing.T) {
	t.Parallel()
	block := Step{Name: "both", Parallel: []Step{undoable("left", ""), undoable("right", "")}, OnError: "mend"}
	saga := []Step{undoable("first", "second"), undoable("second", "third"), undoable("third", "last"), {Name: "last", Do: Pause()}}
	do := func(name string) Lack { return Lack{StepKey: StepKey{name, PhaseDo}, Reason: ReasonFunctionUnknown} }
	undo := func(name string) Lack {
		return Lack{StepKey: StepKey{name, PhaseUndo}, Reason: ReasonFunctionUnknown}
	}
	drain := func(tl *tale) {
		tl.claim(2, "left")
		tl.fail("right")
	}
	gate := Step{Name: "gate", Do: Pause(), Timeout: time.Minute, Next: "end", OnError: "mend"}
	end := Step{Name: "end", Do: Pause()}
	cancel := func(tl *tale) { tl.decide(Cancelled{Decision: Decision{Actor: "ann"}, Compensate: true}) }
	for name, c := range map[string]struct {
		steps, today []Step
		tell         func(tl *tale)
		code         OutlookCode
		lacks        []Lack
	}{
		"a block that drains comes to its error route": {
			[]Step{block, doing("mend", "")},
			[]Step{{Name: "both", Parallel: block.Parallel, Next: Complete}},
			drain, OutlookWillWait,
			[]Lack{do("mend")},
		},
		"a child that drains may have to be undone": {
			[]Step{block, doing("mend", "")},
			[]Step{{Name: "both", Parallel: []Step{doing("left", ""), undoable("right", "")}, OnError: "mend"}, doing("mend", "")},
			drain, OutlookMayWait,
			[]Lack{undo("left")},
		},
		"what is undone is not undone again": {
			saga,
			[]Step{undoable("first", "second"), doing("second", "third"), doing("third", "last"), saga[3]},
			func(tl *tale) {
				tl.succeed("first")
				tl.succeed("second")
				tl.succeed("third")
				cancel(tl)
				tl.succeed("third", PhaseUndo)
			},
			OutlookWillWait,
			[]Lack{undo("second")},
		},
		"all is undone but what can be": {
			saga,
			[]Step{undoable("first", "second"), doing("second", "third"), doing("third", "last"), saga[3]},
			func(tl *tale) {
				tl.succeed("first")
				tl.succeed("second")
				cancel(tl)
				tl.succeed("second", PhaseUndo)
			},
			OutlookFinishes,
			nil,
		},
		"an attempt may be handed back": {
			[]Step{doing("work", "")}, []Step{doing("labour", "")}, func(tl *tale) { tl.claim(1, "work") }, OutlookMayWait, []Lack{do("work")},
		},
		"a wait cannot fail": {
			[]Step{{Name: "rest", Do: Wait(time.Second), Next: "end", OnError: "mend"}, end, doing("mend", "")},
			[]Step{end},
			func(*tale) {},
			OutlookFinishes,
			nil,
		},
		"an open decision may expire": {
			[]Step{gate, end, doing("mend", "")}, []Step{end}, func(*tale) {}, OutlookMayWait, []Lack{do("mend")},
		},
		"one to come may expire too": {
			[]Step{doing("work", "gate"), gate, end, doing("mend", "")},
			[]Step{doing("work", "gate"), gate, end, {Name: "mend", Do: Pause()}},
			func(*tale) {}, OutlookMayWait,
			[]Lack{do("mend")},
		},
		"an ended run needs nothing": {
			[]Step{doing("work", "")}, []Step{doing("labour", "")}, func(tl *tale) { tl.succeed("work") }, OutlookFinishes, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tl := newTale(t, c.steps...)
			c.tell(tl)
			today := newTale(t, c.today...).spec
			o := Foresee(tl.spec.WithPolicy(today), today, tl.snap)
			require.Equal(t, Outlook{Run: tl.snap.Run.ID, Workflow: "tale", Shape: tl.spec.shape, Status: tl.snap.Run.Status, Code: c.code, Lacks: c.lacks}, o)
		})
	}

	tl := newTale(t, doing("work", ""))
	require.Equal(t, OutlookContinues, Foresee(tl.spec, tl.spec, tl.snap).Code)
	require.Equal(t, []Lack{do("work")}, Foresee(tl.spec, nil, tl.snap).Lacks, "the workflow is gone")
	require.Equal(t, []Lack{{Reason: ReasonDefinitionUnknown}}, Foresee(nil, tl.spec, tl.snap).Lacks, "the shape is gone")
}
