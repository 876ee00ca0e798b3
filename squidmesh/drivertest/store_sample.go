package drivertest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Values that make a store show whether it keeps what it is given.

// sampleTime has microseconds, and lies on no round one.
var sampleTime = time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC)

// sampleJSON is lost or changed by whatever parses it and writes it anew: big numbers, duplicate keys, white space, escapes, the order
// of keys, text outside the basic plane.
const sampleJSON = `{"z": 1.0, "big":12345678901234567890123, "exp":1E400, "a":"\u00e9\u0000\ud83d", "a":"é 漢字 😀 <&> ' \\ \"", "e":[ ],` +
	`"n":null,"tiny":-0.0000000000000000001 }`

// newRunID makes an id as the runtime does.
func newRunID() flow.RunID { return uuid.Must(uuid.NewV7()) }

// newRun is the row of a run as a start leaves it.
func newRun(workflow string) flow.Run {
	return flow.Run{
		ID: newRunID(), Workflow: workflow, Trigger: "manual", Shape: "shape-1", Payload: json.RawMessage(`{}`), CreatedAt: sampleTime,
		Status: flow.RunPending, Version: 1, Seq: 1, LastAt: sampleTime, Open: 1,
	}
}

// do names a step's own work.
func do(name string) flow.StepKey {
	return flow.StepKey{Name: name, Phase: flow.PhaseDo}
}

// next is the transition that follows a run's row and does nothing yet.
func next(run flow.Run) flow.Transition {
	run.Version++
	run.Seq++
	run.LastAt = run.LastAt.Add(time.Millisecond)
	return flow.Transition{Run: run, Audit: []flow.AuditEntry{{
		Run: run.ID, Seq: run.Seq, StepKey: do("a"), Kind: flow.AuditClaimed, Attempt: 1, At: run.LastAt,
	}}}
}

// scheduled is a new step row that is due.
func scheduled(run flow.RunID, name string, due time.Time) flow.StepChange {
	return flow.StepChange{New: true, StepState: flow.StepState{
		Run: run, StepKey: do(name), Status: flow.StepScheduled, Attempt: 1, DueAt: due, JobID: "1", Queue: "default",
	}}
}

// goesOn is the commonest transition of all, for which a store may have a way of its own: the stored step has ended well and the next one
// runs; and that transition with one thing about it different each time, so that a store which takes it for given is found out.
func goesOn(run flow.Run, stored flow.StepState) []flow.Transition {
	all := []flow.Transition{}
	for i := -1; ; i++ {
		t, more := goesOnBut(run, stored, i)
		if !more {
			return all
		}
		all = append(all, t)
	}
}

// goesOnBut makes the difference of a number; none if that is negative. It reports whether there is such a difference.
func goesOnBut(run flow.Run, ended flow.StepState, difference int) (flow.Transition, bool) {
	t := next(run)
	t.Run.Status, t.Run.Open = flow.RunRunning, 2
	stored := ended
	ended.Status, ended.DoneSeq, ended.FinishedAt = flow.StepCompleted, t.Run.Seq, t.Run.LastAt
	ended.DueAt, ended.DeadlineAt = time.Time{}, time.Time{}
	following := flow.StepState{
		Run: t.Run.ID, StepKey: do(fmt.Sprintf("after_%d", t.Run.Seq)), Status: flow.StepRunning, Attempt: 1, Worker: 7,
		DeadlineAt: t.Run.LastAt.Add(time.Minute), StartedAt: t.Run.LastAt, Queue: "default",
	}
	entry := &t.Audit[0]
	entry.Kind, entry.StepKey, entry.Data, entry.Output = flow.AuditSucceeded, ended.StepKey, json.RawMessage(`{"a":1}`), json.RawMessage(sampleJSON)
	change := flow.StepChange{StepState: ended, Ended: true}
	different := []func(){
		func() { t.Run.Status = flow.RunRetrying },
		func() { t.Run.Verdict = flow.VerdictFailed },
		func() { t.Run.Compensate = true },
		func() { t.Run.Retrying = 1 },
		func() { t.Run.Reason = &flow.StepError{Step: "a", Code: "error", Message: "no", At: sampleTime} },
		func() { t.Run.FinishedAt = t.Run.LastAt },
		func() { t.Run.Version++ },
		func() { change.Status, change.DoneSeq = flow.StepFailed, stored.DoneSeq },
		func() { change.FinishedAt = change.FinishedAt.Add(time.Second) },
		func() { change.DoneSeq-- },
		func() { change.DueAt = t.Run.LastAt },
		func() { change.DeadlineAt = t.Run.LastAt },
		func() { change.Worker, change.Ended = change.Worker+1, false },
		func() { entry.Actor = "somebody" },
		func() { entry.Attempt = 2 },
		func() { entry.Kind = flow.AuditUndone },
		func() { entry.StepKey = following.StepKey },
		func() { entry.At = entry.At.Add(time.Second) },
		func() { following.Status = flow.StepScheduled },
		func() { following.Attempt = 2 },
		func() { following.Missing, following.Losses, following.Failures = 1, 2, 3 },
		func() { following.DueAt = t.Run.LastAt },
		func() { following.StartedAt = t.Run.LastAt.Add(-time.Second) },
		func() { following.Cause = "step_1" },
		func() { following.JobID = "77" },
		func() { following.Phase = flow.PhaseUndo },
		func() { following.Worker, following.Queue, following.DeadlineAt = 0, "", time.Time{} },
		func() { t.Held = []flow.Hold{{Worker: 7, Run: t.Run.ID, StepKey: following.StepKey}} },
	}
	if difference >= len(different) {
		return t, false
	}
	if difference >= 0 {
		different[difference]()
	}
	t.Steps = []flow.StepChange{change, {StepState: following, New: true}}
	if difference%2 == 0 {
		slices.Reverse(t.Steps)
	}
	return t, true
}

// randomTransition changes everything that a transition may change, in ways that no rule of the core would.
func randomTransition(r *rand.Rand, before flow.Snapshot) flow.Transition {
	t := next(before.Run)
	t.Run.Status = pick(r, flow.RunStatuses)
	t.Run.Verdict = pick(r, []flow.Verdict{flow.VerdictNone, flow.VerdictFailed, flow.VerdictCancelled})
	t.Run.Compensate, t.Run.Open, t.Run.Retrying = r.IntN(2) == 0, r.IntN(5), r.IntN(5)
	t.Run.Reason, t.Run.FinishedAt = randomFailure(r), randomTime(r)
	for range r.IntN(4) {
		row := randomStep(r, t.Run.ID, fmt.Sprintf("step_%d", r.IntN(6)))
		_, known := before.Steps[row.StepKey]
		t.Steps = append(t.Steps, flow.StepChange{StepState: row, New: !known})
		before.Steps[row.StepKey] = row
	}
	t.Steps = lastOfEach(t.Steps)
	entry := &t.Audit[0]
	entry.StepKey, entry.Attempt, entry.Actor = do(fmt.Sprintf("step_%d", r.IntN(6))), r.IntN(9), randomText(r)
	entry.Data, entry.Output = randomJSON(r), randomJSON(r)
	if r.IntN(2) == 0 {
		t.Attempts = append(t.Attempts, flow.AttemptRecord{
			Run: t.Run.ID, StepKey: do("step_1"), Attempt: t.Run.Seq, Worker: flow.WorkerID(r.Int64N(1 << 62)),
			Outcome: flow.AttemptFailed, StartedAt: randomTime(r), EndedAt: t.Run.LastAt, Error: randomFailure(r),
		})
	}
	return t
}

// lastOfEach keeps the last change of each row, new if the first one was.
func lastOfEach(changes []flow.StepChange) []flow.StepChange {
	place := map[flow.StepKey]int{}
	var kept []flow.StepChange
	for _, c := range changes {
		if i, ok := place[c.StepKey]; ok {
			c.New = kept[i].New
			kept[i] = c
			continue
		}
		place[c.StepKey] = len(kept)
		kept = append(kept, c)
	}
	return kept
}

func randomStep(r *rand.Rand, run flow.RunID, name string) flow.StepState {
	return flow.StepState{
		Run: run, StepKey: flow.StepKey{Name: name, Phase: pick(r, []flow.Phase{flow.PhaseDo, flow.PhaseUndo})},
		Status: pick(r, []flow.StepStatus{
			flow.StepScheduled, flow.StepRunning, flow.StepPaused, flow.StepCompleted, flow.StepFailed, flow.StepCancelled,
		}),
		Attempt: r.IntN(9), Failures: r.IntN(9), Losses: r.IntN(9), Missing: r.IntN(9), DoneSeq: r.IntN(9),
		Worker: flow.WorkerID(r.IntN(2)) * flow.WorkerID(r.Int64N(1<<62)), Cause: randomText(r),
		DueAt: randomTime(r), DeadlineAt: randomTime(r), StartedAt: randomTime(r), FinishedAt: randomTime(r),
		JobID: randomText(r), Queue: randomText(r),
	}
}

func randomTime(r *rand.Rand) time.Time {
	if r.IntN(3) == 0 {
		return time.Time{}
	}
	return sampleTime.Add(time.Duration(r.Int64N(1e12)) * time.Microsecond)
}

func randomText(r *rand.Rand) string {
	return pick(r, []string{"", "a", "it's", "漢字 😀", `"quoted" \ <&>`, "line\nbreak", "{}", "null", "12", "1e5"})
}

func randomJSON(r *rand.Rand) json.RawMessage {
	return pick(r, []json.RawMessage{nil, json.RawMessage(`{}`), json.RawMessage(sampleJSON), json.RawMessage(`"text"`), json.RawMessage(`null`), json.RawMessage(`12`)})
}

func randomFailure(r *rand.Rand) *flow.StepError {
	if r.IntN(2) == 0 {
		return nil
	}
	return &flow.StepError{
		Step: "a", Attempt: r.IntN(9), Code: "error", Message: randomText(r), Causes: []string{randomText(r)}, At: sampleTime,
	}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
