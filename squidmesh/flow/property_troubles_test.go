package flow_test

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// actSweep takes over from a lost worker; sometimes it is told of some holds only, sometimes it comes twice.
func (w *world) actSweep() {
	if e, ok := pick(w.t, "again", w.swept); ok && chance(w.t, 15, "sweep again") {
		_, _ = w.decide(e)
		return
	}
	for worker := flow.WorkerID(1); worker < w.next; worker++ {
		holds := w.holdsOf(worker)
		if !w.lost[worker] || len(holds) == 0 {
			continue
		}
		if chance(w.t, 20, "some holds") {
			holds = holds[:number(w.t, "holds", 1, len(holds))]
			w.cut[worker] = true
		}
		e := flow.Lost{Worker: worker, Holds: holds}
		w.swept = append(w.swept, e)
		_, _ = w.decide(e)
		return
	}
}

func (w *world) drawBy() flow.Decision {
	by := flow.Decision{Actor: "operator"}
	if chance(w.t, 30, "named") {
		by.Step = w.drawKey().Name
	}
	if chance(w.t, 20, "told why") {
		by.Comment, by.Metadata = "because", json.RawMessage(`{"ticket":7}`)
	}
	return by
}

// actResolve takes an open decision.
func (w *world) actResolve() {
	var open []flow.Event
	for i := range w.spec.Steps() {
		st := &w.spec.Steps()[i]
		by := flow.Decision{Actor: "operator", Step: st.Name}
		if w.snap.Steps[flow.StepKey{Name: st.Name, Phase: flow.PhaseUndo}].Status == flow.StepPaused {
			open = append(open, flow.UndoRetried{Decision: by}, flow.UndoAccepted{Decision: by})
		}
		if w.snap.Steps[flow.StepKey{Name: st.Name, Phase: flow.PhaseDo}].Status == flow.StepPaused {
			open = append(open, flow.Approved{Decision: by}, flow.Rejected{Decision: by}, flow.Unblocked{Decision: by})
		}
	}
	if e, ok := pick(w.t, "decision", open); ok {
		_, _ = w.decide(e)
	}
}

// actExpire sweeps a row that has a deadline, when it has passed or too early; sometimes for another attempt.
func (w *world) actExpire() {
	var rows []flow.StepState
	for i := range w.spec.Steps() {
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			if row := w.snap.Steps[flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: phase}]; !row.DeadlineAt.IsZero() {
				rows = append(rows, row)
			}
		}
	}
	row, ok := pick(w.t, "row", rows)
	if !ok {
		return
	}
	switch number(w.t, "moment", 0, 9) {
	case 0:
		w.now = latest(w.now, row.DeadlineAt.Add(-time.Microsecond))
	case 1:
		w.now = latest(w.now, row.DeadlineAt)
	default:
		w.now = latest(w.now, row.DeadlineAt.Add(flow.ExpireAfter))
	}
	e := flow.Expired{StepKey: row.StepKey, Attempt: row.Attempt, Holds: w.holdsOf(row.Worker)}
	if chance(w.t, 10, "another attempt") {
		e.Attempt += oneOf(w.t, "by", -1, 1)
	}
	if row.Status == flow.StepRunning && len(e.Holds) > 1 {
		w.cut[row.Worker] = true
	}
	_, _ = w.decide(e)
}

func (w *world) actCancel() {
	if chance(w.t, 60, "cancel after all") {
		_, _ = w.decide(flow.Cancelled{Decision: w.drawBy(), Compensate: chance(w.t, 60, "compensate")})
	}
}

// actCommand tries any command.
func (w *world) actCommand() {
	by := w.drawBy()
	_, _ = w.decide(oneOf[flow.Event](w.t, "command",
		flow.Approved{Decision: by}, flow.Rejected{Decision: by}, flow.Unblocked{Decision: by}, flow.UndoRetried{Decision: by},
		flow.UndoAccepted{Decision: by},
		flow.Replayed{Decision: by}, flow.Replayed{Decision: by, AllowIrreversible: true}))
}

// actDuplicate delivers a job again that was sent before.
func (w *world) actDuplicate() {
	job, ok := pick(w.t, "job", w.sent)
	if !ok {
		return
	}
	_, _ = w.decide(flow.Claimed{Attempted: flow.Attempted{
		StepKey: job.StepKey, Attempt: job.Attempt, Hold: job.StepKey, Worker: w.drawWorker(), Runnable: w.drawRunnable(false),
	}})
}

// actForge delivers what nobody sent.
func (w *world) actForge() {
	key := w.drawKey()
	if chance(w.t, 10, "no such step") {
		key.Name = "no_such_step"
	}
	_, _ = w.decide(flow.Claimed{Attempted: flow.Attempted{
		StepKey: key, Hold: key, Attempt: max(1, w.snap.Steps[key].Attempt+number(w.t, "attempt", -1, 1)),
		Worker: w.drawWorker(), Runnable: w.drawRunnable(false),
	}})
}

// actZombie reports an end that is not, or not any more, the worker's to report.
func (w *world) actZombie() {
	all := slices.Concat(w.past, w.live)
	c, ok := pick(w.t, "execution", all)
	if !ok {
		return
	}
	a := w.attempted(c, w.drawRunnable(true))
	if slices.ContainsFunc(w.live, func(l flow.Claim) bool {
		return l.StepKey == c.StepKey && l.Attempt == c.Attempt && l.Worker == c.Worker
	}) {
		// Somebody executes this at the moment, so another one must lie.
		switch number(w.t, "lie", 0, 3) {
		case 0:
			a.Attempt++
		case 1:
			a.Attempt--
		case 2:
			a.Worker++
		default:
			a.Phase = map[flow.Phase]flow.Phase{flow.PhaseDo: flow.PhaseUndo, flow.PhaseUndo: flow.PhaseDo}[a.Phase]
		}
	}
	for _, l := range w.live {
		if l.StepKey == a.StepKey && l.Attempt == a.Attempt && l.Worker == a.Worker {
			return
		}
	}
	_, _ = w.decide(oneOf[flow.Event](w.t, "zombie", w.drawSuccess(a), w.drawFailure(a), flow.Released{Attempted: a, Reason: "stop"}))
}

func (w *world) actDrop() {
	if len(w.queue) > 0 {
		w.drop(number(w.t, "job", 0, len(w.queue)-1))
	}
}

// actRedeliver sends a row's attempt again, whether or not its job still exists.
func (w *world) actRedeliver() {
	var scheduled []flow.StepState
	for i := range w.spec.Steps() {
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			if row := w.snap.Steps[flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: phase}]; row.Status == flow.StepScheduled {
				scheduled = append(scheduled, row)
			}
		}
	}
	e := flow.Redelivered{StepKey: w.drawKey(), Attempt: number(w.t, "attempt", 1, 3)}
	if row, ok := pick(w.t, "row", scheduled); ok && chance(w.t, 80, "scheduled") {
		e = flow.Redelivered{StepKey: row.StepKey, Attempt: row.Attempt, JobID: row.JobID}
		if chance(w.t, 20, "too late") {
			e.JobID = oneOf(w.t, "another job", "", "job-1")
		}
	}
	_, _ = w.decide(e)
}

func (w *world) actCompensated() { _, _ = w.decide(flow.Compensated{}) }

// actClock moves the clock, sometimes back.
func (w *world) actClock() {
	w.now = w.now.Add(oneOf(w.t, "by", time.Millisecond, 700*time.Microsecond, time.Second, time.Minute, 13*time.Hour, -2*time.Second, -time.Hour))
}

// actRefuse lets the queue refuse the next jobs.
func (w *world) actRefuse() { w.refuse = true }

// actDeploy changes the policies under the run.
func (w *world) actDeploy() {
	var steps []flow.StepSpec
	for _, st := range w.spec.Steps() {
		policies := []*flow.Policy{&st.Policy}
		if st.HasUndo {
			policies = append(policies, &st.UndoPolicy)
		}
		for _, p := range policies {
			if st.Kind == flow.KindBlock || !chance(w.t, 30, "another policy") {
				continue
			}
			p.Queue = oneOf(w.t, "queue", "", "slow", "new")
			p.Priority = number(w.t, "priority", 1, 4)
			if p.Retry.MaxAttempts > 0 {
				p.Retry.MaxAttempts = number(w.t, "tries", 1, 4)
			}
			if p.Wait > 0 {
				p.Wait = oneOf(w.t, "wait", time.Second, 50*time.Hour)
			}
		}
		steps = append(steps, st)
	}
	w.spec = w.spec.WithPolicy(flow.NewSpec(w.spec.Workflow(), "", nil, steps))
	w.learn()
	w.t.Logf("policies change")
}
