package drivertest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func applyTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Apply_LoadEqualsTheModel":             loadEqualsTheModel[TTx],
		"Apply_WritesWhatGoesOn":               writesWhatGoesOn[TTx],
		"Apply_LeavesImmutableColumnsAlone":    leavesImmutableColumnsAlone[TTx],
		"Apply_NothingToWrite":                 nothingToWrite[TTx],
		"Apply_AChangeOfAMissingRowIsAnError":  changeOfAMissingRowIsAnError[TTx],
		"Apply_ASecondEntryOfANumberIsAnError": secondEntryOfANumberIsAnError[TTx],
		"Apply_ManyRunsAtOnce":                 manyRunsAtOnce[TTx],
		"Load_ReadsWhatIsNamed":                loadReadsWhatIsNamed[TTx],
		"Load_OutputsOfCompletedSteps":         loadOutputsOfCompletedSteps[TTx],
		"History_IsInOrder":                    historyIsInOrder[TTx],
	}
}

// loadEqualsTheModel drives a store and a Snapshot with the same transitions, each of which changes everything it may change.
func loadEqualsTheModel[TTx any](b *storeBench[TTx]) {
	seed := rand.Uint64()
	b.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	models := make([]flow.Snapshot, 3)
	histories := make([]driver.History, len(models))
	for i := range models {
		models[i] = flow.Snapshot{Run: newRun("model"), Steps: map[flow.StepKey]flow.StepState{}}
		models[i].Run.Payload = json.RawMessage(sampleJSON)
		b.insert(models[i].Run)
	}
	for range 40 {
		var batch []flow.Transition
		for i := range models {
			if r.IntN(3) == 0 {
				continue
			}
			t := randomTransition(r, flow.Snapshot{Run: models[i].Run, Steps: maps.Clone(models[i].Steps)})
			models[i] = models[i].With(t)
			histories[i].Attempts = append(histories[i].Attempts, t.Attempts...)
			histories[i].Audit = append(histories[i].Audit, t.Audit...)
			t.Run.Payload = nil // as a locked row has none
			batch = append(batch, t)
		}
		b.apply(batch...)
	}
	for i, model := range models {
		require.Equal(b, model.Run, b.run(model.Run.ID))
		require.Equal(b, model.Steps, b.load(model.Run.ID, flow.Reads{All: true}).Steps)
		require.Equal(b, histories[i], b.history(model.Run.ID))
		b.write(func(ctx context.Context, tx TTx) {
			locked, err := b.store.Lock(ctx, tx, driver.LockQuery{Runs: []flow.RunID{model.Run.ID}})
			require.NoError(b, err)
			model.Run.Payload = nil
			require.Equal(b, model.Run, locked.Runs[model.Run.ID])
		})
	}
}

// writesWhatGoesOn applies the commonest transition, and all that are nearly it, each to a run of its own.
func writesWhatGoesOn[TTx any](b *storeBench[TTx]) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range goesOn(newRun("model"), randomStep(r, newRunID(), "step_1")) {
		run := newRun("model")
		stored := randomStep(r, run.ID, "step_1")
		stored.Phase = flow.PhaseDo
		run.Status, run.Compensate, run.Open, run.Retrying = flow.RunRetrying, true, 4, 3
		run.Reason = &flow.StepError{Step: "b", Code: "error", Message: "before", At: sampleTime}
		b.insert(run)
		first := next(run)
		first.Steps = []flow.StepChange{{StepState: stored, New: true}}
		b.apply(first)
		from := first.Run
		from.Compensate, from.Retrying, from.Reason = false, 0, nil
		t := goesOn(from, stored)[i]
		b.apply(t)
		model := flow.Snapshot{Run: first.Run, Steps: map[flow.StepKey]flow.StepState{stored.StepKey: stored}}.With(t)
		model.Run.Payload = run.Payload
		require.Equal(b, model.Run, b.run(run.ID), "difference %d", i-1)
		require.Equal(b, model.Steps, b.load(run.ID, flow.Reads{All: true}).Steps, "difference %d", i-1)
		require.Equal(b, append(first.Audit, t.Audit...), b.history(run.ID).Audit, "difference %d", i-1)
	}
}

func leavesImmutableColumnsAlone[TTx any](b *storeBench[TTx]) {
	run := newRun("checkout")
	run.Key, run.Payload = "key", json.RawMessage(sampleJSON)
	b.insert(run)
	t := next(run)
	t.Run.Workflow, t.Run.Trigger, t.Run.Shape, t.Run.Key, t.Run.KeyHash = "other", "other", "other", "other", "other"
	t.Run.Payload, t.Run.CreatedAt, t.Run.SignalID = nil, time.Time{}, "other"
	b.apply(t)
	run.Version, run.Seq, run.LastAt = t.Run.Version, t.Run.Seq, t.Run.LastAt
	require.Equal(b, run, b.run(run.ID))
}

func nothingToWrite[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.insert(run)
	b.apply()
	b.apply(flow.Transition{Run: flow.Run{ID: run.ID, Status: flow.RunFailed, Version: 9}})
	require.Equal(b, run, b.run(run.ID), "an empty transition writes nothing")
}

func changeOfAMissingRowIsAnError[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.insert(run)

	unknown := next(newRun("a"))
	require.Error(b, b.tryApply(unknown), "no such run")

	step := next(run)
	step.Steps = []flow.StepChange{{StepState: scheduled(run.ID, "never", sampleTime).StepState}}
	require.Error(b, b.tryApply(step), "no such step")

	stale := next(run)
	stale.Run.Version = run.Version
	require.Error(b, b.tryApply(stale), "the version does not rise")

	twice := next(run)
	twice.Steps = []flow.StepChange{scheduled(run.ID, "a", sampleTime)}
	b.apply(twice)
	again := next(twice.Run)
	again.Steps = twice.Steps
	require.Error(b, b.tryApply(again), "the new row is there already")

	require.Equal(b, twice.Run.Version, b.run(run.ID).Version, "and none of them has left anything")
	require.Len(b, b.history(run.ID).Audit, 1)
}

func secondEntryOfANumberIsAnError[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.insert(run)
	first := next(run)
	b.apply(first)
	second := next(first.Run)
	second.Audit[0].Seq = first.Audit[0].Seq
	require.Error(b, b.tryApply(second))
}

func manyRunsAtOnce[TTx any](b *storeBench[TTx]) {
	const n = 50
	var starts, ends []flow.Transition
	for i := range n {
		run := newRun("many")
		b.insert(run)
		t := next(run)
		t.Steps = []flow.StepChange{scheduled(run.ID, "a", sampleTime), scheduled(run.ID, "b", time.Time{})}
		t.Held = []flow.Hold{{Worker: 7, Run: run.ID, StepKey: do("a")}}
		starts = append(starts, t)

		end := next(t.Run)
		done := t.Steps[0]
		done.New, done.Status, done.DoneSeq, done.DueAt = false, flow.StepCompleted, end.Run.Seq, time.Time{}
		end.Steps = []flow.StepChange{done}
		end.Audit[0].Kind, end.Audit[0].Output = flow.AuditSucceeded, json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))
		end.Unheld = t.Held
		ends = append(ends, end)
	}
	b.apply(starts...)
	b.apply(ends...)
	for i, end := range ends {
		loaded := b.load(end.Run.ID, flow.Reads{All: true, Outputs: []string{"a", "b"}})
		require.Equal(b, map[string]json.RawMessage{"a": json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}, loaded.Outputs)
		require.Equal(b, end.Steps[0].StepState, loaded.Steps[do("a")])
		require.Equal(b, starts[i].Steps[1].StepState, loaded.Steps[do("b")])
	}
}

func loadReadsWhatIsNamed[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.insert(run)
	t := next(run)
	undo := scheduled(run.ID, "one", time.Time{})
	undo.Phase = flow.PhaseUndo
	t.Steps = []flow.StepChange{scheduled(run.ID, "one", sampleTime), undo, scheduled(run.ID, "two", sampleTime)}
	b.apply(t)

	loaded := b.load(run.ID, flow.Reads{Steps: []flow.StepKey{undo.StepKey, do("two"), do("none")}})
	require.Equal(b, map[flow.StepKey]flow.StepState{
		undo.StepKey: undo.StepState, do("two"): t.Steps[2].StepState,
	}, loaded.Steps)
	require.Empty(b, loaded.Payload)
	require.Empty(b, loaded.Outputs)

	require.Len(b, b.load(run.ID, flow.Reads{All: true}).Steps, 3)
	require.Empty(b, b.load(run.ID, flow.Reads{}).Steps)
	require.Empty(b, b.load(newRunID(), flow.Reads{All: true, Payload: true, Outputs: []string{"one"}}).Steps)
}

// loadOutputsOfCompletedSteps: an output is the one of the audit entry that DoneSeq names, of completed do-steps only.
func loadOutputsOfCompletedSteps[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.insert(run)
	finish := func(before flow.Run, key flow.StepKey, status flow.StepStatus, output string) flow.Run {
		t := next(before)
		row := scheduled(run.ID, key.Name, time.Time{})
		row.StepKey, row.Status, row.DoneSeq = key, status, t.Run.Seq
		t.Steps = []flow.StepChange{row}
		t.Audit[0].StepKey = key
		if output != "" {
			t.Audit[0].Output = json.RawMessage(output)
		}
		b.apply(t)
		return t.Run
	}
	last := finish(run, do("exact"), flow.StepCompleted, sampleJSON)
	last = finish(last, do("silent"), flow.StepCompleted, "")
	last = finish(last, do("null"), flow.StepCompleted, "null")
	last = finish(last, do("failed"), flow.StepFailed, `{"not":"this"}`)
	last = finish(last, do("unasked"), flow.StepCompleted, `{"not":"this"}`)
	last = finish(last, flow.StepKey{Name: "undone", Phase: flow.PhaseUndo}, flow.StepCompleted, `{"not":"this"}`)

	// An entry about a step that is not its completion, as an earlier failed attempt would leave it.
	other := next(last)
	other.Audit[0].StepKey, other.Audit[0].Output = do("exact"), json.RawMessage(`{"not":"this"}`)
	b.apply(other)

	loaded := b.load(run.ID, flow.Reads{Outputs: []string{"exact", "silent", "null", "failed", "undone", "missing"}})
	require.Equal(b, map[string]json.RawMessage{
		"exact": json.RawMessage(sampleJSON), "null": json.RawMessage("null"),
	}, loaded.Outputs)
}

func historyIsInOrder[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.insert(run)
	last := run
	var want driver.History
	for i := range 12 {
		t := next(last)
		last = t.Run
		t.Audit[0].Data = json.RawMessage(fmt.Sprintf(`{"comment":"%d"}`, i))
		t.Attempts = []flow.AttemptRecord{{
			Run: run.ID, StepKey: do("a"), Attempt: 1 + i, Worker: 5, Outcome: flow.AttemptLost, StartedAt: sampleTime, EndedAt: t.Run.LastAt,
		}}
		want.Attempts = append(want.Attempts, t.Attempts...)
		want.Audit = append(want.Audit, t.Audit...)
		b.apply(t)
	}
	require.Equal(b, want, b.history(run.ID))
	nothing := b.history(newRunID())
	require.Empty(b, nothing.Attempts)
	require.Empty(b, nothing.Audit)
}
