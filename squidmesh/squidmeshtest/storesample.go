package squidmeshtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Values that make a store show whether it keeps what it is given.

// sampleTime has microseconds, and lies on no round one.
var sampleTime = time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC)

// sampleJSON is lost or changed by whatever parses it and writes it anew: big numbers, duplicate keys, white space, escapes, the order
// of keys, text outside the basic plane.
const sampleJSON = `{"z": 1.0, "big":12345678901234567890123, "exp":1E400, "a":"\u00e9\u0000\ud83d", "a":"é 漢字 😀 <&> ' \\ \"", "e":[ ],` +
	`"n":null,"tiny":-0.0000000000000000001 }`

// newRunID makes an id as the runtime does.
func newRunID() squidmesh.RunID { return uuid.Must(uuid.NewV7()) }

// newRun is the row of a run as a start leaves it.
func newRun(workflow string) squidmesh.Run {
	return squidmesh.Run{
		ID: newRunID(), Workflow: workflow, Trigger: "manual", Shape: "shape-1", Payload: json.RawMessage(`{}`), CreatedAt: sampleTime,
		Status: squidmesh.RunPending, Version: 1, Seq: 1, LastAt: sampleTime, Open: 1,
	}
}

// do names a step's own work.
func do(name string) squidmesh.StepKey {
	return squidmesh.StepKey{Name: name, Phase: squidmesh.PhaseDo}
}

// next is the transition that follows a run's row and does nothing yet.
func next(run squidmesh.Run) squidmesh.Transition {
	run.Version++
	run.Seq++
	run.LastAt = run.LastAt.Add(time.Millisecond)
	return squidmesh.Transition{Run: run, Audit: []squidmesh.AuditEntry{{
		Run: run.ID, Seq: run.Seq, StepKey: do("a"), Kind: squidmesh.AuditClaimed, Attempt: 1, At: run.LastAt,
	}}}
}

// scheduled is a new step row that is due.
func scheduled(run squidmesh.RunID, name string, due time.Time) squidmesh.StepChange {
	return squidmesh.StepChange{New: true, StepState: squidmesh.StepState{
		Run: run, StepKey: do(name), Status: squidmesh.StepScheduled, Attempt: 1, DueAt: due, JobID: "1", Queue: "default",
	}}
}

// randomTransition changes everything that a transition may change, in ways that no rule of the core would.
func randomTransition(r *rand.Rand, before squidmesh.Snapshot) squidmesh.Transition {
	t := next(before.Run)
	t.Run.Status = pick(r, squidmesh.RunStatuses)
	t.Run.Verdict = pick(r, []squidmesh.Verdict{squidmesh.VerdictNone, squidmesh.VerdictFailed, squidmesh.VerdictCancelled})
	t.Run.Compensate, t.Run.Open, t.Run.Retrying = r.IntN(2) == 0, r.IntN(5), r.IntN(5)
	t.Run.Reason, t.Run.FinishedAt = randomFailure(r), randomTime(r)
	for range r.IntN(4) {
		row := randomStep(r, t.Run.ID, fmt.Sprintf("step_%d", r.IntN(6)))
		_, known := before.Steps[row.StepKey]
		t.Steps = append(t.Steps, squidmesh.StepChange{StepState: row, New: !known})
		before.Steps[row.StepKey] = row
	}
	t.Steps = lastOfEach(t.Steps)
	entry := &t.Audit[0]
	entry.StepKey, entry.Attempt, entry.Actor = do(fmt.Sprintf("step_%d", r.IntN(6))), r.IntN(9), randomText(r)
	entry.Data, entry.Output = randomJSON(r), randomJSON(r)
	if r.IntN(2) == 0 {
		t.Attempts = append(t.Attempts, squidmesh.AttemptRecord{
			Run: t.Run.ID, StepKey: do("step_1"), Attempt: t.Run.Seq, Worker: squidmesh.WorkerID(r.Int64N(1 << 62)),
			Outcome: squidmesh.AttemptFailed, StartedAt: randomTime(r), EndedAt: t.Run.LastAt, Error: randomFailure(r),
		})
	}
	return t
}

// lastOfEach keeps the last change of each row, new if the first one was.
func lastOfEach(changes []squidmesh.StepChange) []squidmesh.StepChange {
	place := map[squidmesh.StepKey]int{}
	var kept []squidmesh.StepChange
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

func randomStep(r *rand.Rand, run squidmesh.RunID, name string) squidmesh.StepState {
	return squidmesh.StepState{
		Run: run, StepKey: squidmesh.StepKey{Name: name, Phase: pick(r, []squidmesh.Phase{squidmesh.PhaseDo, squidmesh.PhaseUndo})},
		Status: pick(r, []squidmesh.StepStatus{
			squidmesh.StepScheduled, squidmesh.StepRunning, squidmesh.StepPaused, squidmesh.StepCompleted, squidmesh.StepFailed, squidmesh.StepCancelled,
		}),
		Attempt: r.IntN(9), Failures: r.IntN(9), Losses: r.IntN(9), Missing: r.IntN(9), DoneSeq: r.IntN(9),
		Worker: squidmesh.WorkerID(r.IntN(2)) * squidmesh.WorkerID(r.Int64N(1<<62)), Cause: randomText(r),
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

func randomFailure(r *rand.Rand) *squidmesh.StepError {
	if r.IntN(2) == 0 {
		return nil
	}
	return &squidmesh.StepError{
		Step: "a", Attempt: r.IntN(9), Code: "error", Message: randomText(r), Causes: []string{randomText(r)}, At: sampleTime,
	}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
