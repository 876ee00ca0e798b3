package e2e

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/scenariotest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// workflows are those that the scripts speak of.
func workflows[TTx any](p *scenariotest.Plays) []squidmesh.Workflow {
	write := scenariotest.EffectTx[TTx](p, nil)
	const aWhile = time.Minute // the bodies of write wait for the script: longer than SQLite would lend them its transaction
	manual := []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Contract{})}
	once, twice := squidmesh.Constant(1, 0), squidmesh.Constant(2, time.Second)

	var eight []squidmesh.Step
	for i := range 8 {
		eight = append(eight, squidmesh.Step{Name: fmt.Sprintf("s%d", i+1), Do: p.Effect()})
	}
	return []squidmesh.Workflow{
		{Name: "sequence", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "first", Do: p.Func(), Output: "first", Next: "second"},
			{Name: "second", Do: write, Timeout: aWhile, Next: "note"},
			{Name: "note", Do: squidmesh.Log(slog.LevelDebug, "nearly there"), Next: "third"},
			{Name: "third", Do: p.Effect()},
		}},
		{Name: "retried", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "charge", Do: p.Func(), Output: "charge", Retry: squidmesh.Retry{MaxAttempts: 3, Base: time.Second}, Next: "ship"},
			{Name: "ship", Do: p.Effect()},
		}},
		{Name: "asked", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "charge", Do: p.Effect(), MaxLosses: 1, Irreversible: true, Next: "ship", OnError: "ask"},
			{Name: "ask", Do: squidmesh.Approval(), Next: "ship", OnError: "give_up"},
			{Name: "ship", Do: p.Effect()},
			{Name: "give_up", Do: p.Effect()},
		}},
		{Name: "routed", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "charge", Do: write, Timeout: aWhile, Retry: twice, Next: "ship", OnError: "decline", Recovery: squidmesh.RecoveryCompensation, Undo: p.Effect()},
			{Name: "ship", Do: p.Effect(), OnError: squidmesh.Complete},
			{Name: "decline", Do: p.Func(), Output: "decline"},
		}},
		{Name: "choice", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "decide", Do: p.Choose(), Routes: map[string]string{"left": "left", "right": "right", "none": squidmesh.Complete}},
			{Name: "left", Do: p.Effect()},
			{Name: "right", Do: p.Effect()},
		}},
		{Name: "pair", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "both", Next: "done", Parallel: []squidmesh.Step{
				{Name: "a", Do: p.Func(), Output: "a"},
				{Name: "b", Do: p.Func(), Output: "b"},
			}},
			{Name: "done", Do: p.Effect()},
		}},
		{Name: "eight", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "all", Next: "done", Parallel: eight},
			{Name: "done", Do: p.Effect()},
		}},
		{Name: "diamond", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "top", Do: p.Effect()},
			{Name: "left", Do: p.Effect(), After: []string{"top"}},
			{Name: "right", Do: p.Effect(), After: []string{"top"}},
			{Name: "bottom", Do: write, Timeout: aWhile, After: []string{"left", "right"}},
		}},
		{Name: "uneven", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "slow", Do: p.Effect()},
			{Name: "quick", Do: p.Effect()},
			{Name: "after_quick", Do: p.Effect(), After: []string{"quick"}},
			{Name: "nap", Do: squidmesh.Wait(time.Second), After: []string{"after_quick"}},
			{Name: "after_nap", Do: p.Effect(), After: []string{"nap"}},
			{Name: "end", Do: p.Effect(), After: []string{"slow", "after_nap"}},
		}},
		{Name: "guarded", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "block", Next: "done", OnError: "repair", Recovery: squidmesh.RecoveryUndo, Parallel: []squidmesh.Step{
				{Name: "a", Do: p.Effect(), Retry: twice, Undo: p.Effect()},
				{Name: "b", Do: p.Effect(), Retry: twice},
				{Name: "c", Do: p.Effect(), After: []string{"a"}},
			}},
			{Name: "done", Do: p.Effect()},
			{Name: "repair", Do: p.Func(), Output: "repair"},
		}},
		{Name: "nap", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "first", Do: p.Effect(), Next: "nap"},
			{Name: "nap", Do: squidmesh.Wait(time.Second), Next: "last"},
			{Name: "last", Do: p.Effect()},
		}},
		{Name: "month", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "month", Do: squidmesh.Wait(30 * 24 * time.Hour)},
		}},
		{Name: "gate", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "first", Do: p.Effect(), Next: "gate"},
			{Name: "gate", Do: squidmesh.Pause(), Next: "last"},
			{Name: "last", Do: p.Effect()},
		}},
		{Name: "stop", Triggers: manual, Steps: []squidmesh.Step{{Name: "gate", Do: squidmesh.Pause()}}},
		{Name: "review", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "prepare", Do: p.Effect(), Undo: p.Effect(), UndoRetry: once, Next: "review"},
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Next: "capture", OnError: "decline"},
			{Name: "capture", Do: p.Effect()},
			{Name: "decline", Do: p.Func(), Output: "decline"},
		}},
		{Name: "patient", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "first", Do: p.Effect(), Undo: p.Effect(), Next: "gate"},
			{Name: "gate", Do: squidmesh.Pause(), Timeout: 24 * time.Hour, Next: "review", OnError: "remind", Recovery: squidmesh.RecoveryCompensation},
			{Name: "remind", Do: p.Func(), Output: "remind", Next: "review"},
			{Name: "review", Do: squidmesh.Approval(), Timeout: 48 * time.Hour, Output: "review", Next: "last", OnError: "appeal"},
			{Name: "appeal", Do: squidmesh.Pause(), Timeout: time.Hour, Next: "last"},
			{Name: "last", Do: p.Effect()},
		}},
		{Name: "saga", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "reserve", Do: p.Effect(), Undo: write, Timeout: aWhile, UndoRetry: twice, Next: "prepare"},
			{Name: "prepare", Next: "charge", Parallel: []squidmesh.Step{
				{Name: "pick", Do: p.Effect(), Undo: p.Effect(), UndoRetry: once},
				{Name: "pack", Do: p.Effect(), Undo: p.Effect(), Retry: twice},
				{Name: "label", Do: p.Effect()},
			}},
			{Name: "charge", Do: p.Effect(), Undo: p.Effect(), UndoRetry: once, Next: "ship"},
			{Name: "ship", Do: p.Effect()},
		}},
		{Name: "capture", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "prepare", Do: p.Effect(), Next: "capture"},
			{Name: "capture", Do: p.Effect(), Irreversible: true, Next: "mail"},
			{Name: "mail", Do: p.Effect(), NotCompensatable: true},
		}},
		{Name: "ordered", Steps: []squidmesh.Step{{Name: "note", Do: p.Effect()}}, Triggers: []squidmesh.Trigger{
			squidmesh.Manual("order", squidmesh.Payload[order]()),
			squidmesh.Cron("nightly", "0 2 * * *", "", squidmesh.Payload[order](squidmesh.Defaults{"number": "none", "lines": 0})),
		}},
	}
}

// order is a payload with a required field of each sort.
type order struct {
	Number string `json:"number"`
	Lines  int    `json:"lines"`
}

// variants are definitions that a script may deploy in the place of others.
func variants[TTx any](p *scenariotest.Plays) map[string]squidmesh.Workflow {
	manual := []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Contract{})}
	once := squidmesh.Constant(1, 0)
	byName := map[string]squidmesh.Workflow{
		"sequence_without_second": {Name: "sequence", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "first", Do: p.Func(), Output: "first", Next: "third"},
			{Name: "third", Do: p.Effect()},
		}},
		"sequence_with_plain_second": {Name: "sequence", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "first", Do: p.Func(), Output: "first", Next: "second"},
			{Name: "second", Do: p.Effect(), Next: "note"},
			{Name: "note", Do: squidmesh.Log(slog.LevelDebug, "nearly there"), Next: "third"},
			{Name: "third", Do: p.Effect()},
		}},
		"retried_patiently": {Name: "retried", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "charge", Do: p.Func(), Output: "charge", Retry: squidmesh.Constant(10, time.Minute), Next: "ship"},
			{Name: "ship", Do: p.Effect()},
		}},
		"gate_with_a_detour": {Name: "gate", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "first", Do: p.Effect(), Next: "gate"},
			{Name: "gate", Do: squidmesh.Pause(), Next: "detour"},
			{Name: "detour", Do: p.Effect(), Next: "last"},
			{Name: "last", Do: p.Effect()},
		}},
		"review_with_a_detour": {Name: "review", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "prepare", Do: p.Effect(), Undo: p.Effect(), UndoRetry: once, Next: "review"},
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Next: "capture", OnError: "detour"},
			{Name: "detour", Do: p.Effect(), Next: "decline"},
			{Name: "capture", Do: p.Effect()},
			{Name: "decline", Do: p.Func(), Output: "decline"},
		}},
		"capture_without_marks": {Name: "capture", Triggers: manual, Steps: []squidmesh.Step{
			{Name: "prepare", Do: p.Effect(), Next: "capture"},
			{Name: "capture", Do: p.Effect(), Next: "mail"},
			{Name: "mail", Do: p.Effect()},
		}},
	}
	for _, w := range workflows[TTx](p) {
		byName[w.Name] = w
	}
	return byName
}
