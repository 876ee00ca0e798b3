package flow_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// world is all that there is besides the core: the run's rows, the queue, the workers and what they execute, and the clock.
type world struct {
	t    *rapid.T
	spec *flow.Spec
	snap flow.Snapshot
	now  time.Time

	queue   []queued         // jobs that will be delivered
	sent    []flow.Job       // all that ever were, for deliveries that come twice
	missing map[sending]bool // current attempts whose job got lost or was refused, or which are due too far ahead for one
	refuse  bool             // the queue refuses the jobs of the next transition
	jobs    int

	workers []flow.WorkerID
	next    flow.WorkerID
	lost    map[flow.WorkerID]bool
	live    []flow.Claim // what processes execute, or believe to
	past    []flow.Claim // what they have ended
	holds   map[flow.Hold]bool
	work    map[flow.StepKey]flow.Hold // of each running row: the delivery under which it runs
	swept   []flow.Lost                // for take-overs that come twice
	cut     map[flow.WorkerID]bool     // take-overs of these were told of some holds only

	audit   []flow.AuditEntry
	folding *flow.Folding // of the audit so far

	ever everything
	last *moment // the one before, unless holds have changed since
}

// queued is a job with the time of its next delivery.
type queued struct {
	flow.Job
	at time.Time
}

// sending is one attempt's delivery.
type sending struct {
	flow.StepKey
	attempt int
}

// everything is what the rules remember of a run's past.
type everything struct {
	claimed  bool                 // something was claimed, or a wait has ended
	sent     map[sending]bool     // attempts that got a job, or were due beyond the horizon
	attempts map[sending]bool     // attempts with a record
	tries    map[flow.StepKey]int // the most attempts that any policy granted
	doneSeqs map[int]flow.StepKey
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123_456_000, time.UTC)

func newWorld(t *rapid.T, spec *flow.Spec) *world {
	w := &world{
		t: t, spec: spec, now: epoch, workers: []flow.WorkerID{1, 2, 3}, next: 4,
		missing: map[sending]bool{}, lost: map[flow.WorkerID]bool{}, cut: map[flow.WorkerID]bool{},
		holds: map[flow.Hold]bool{}, work: map[flow.StepKey]flow.Hold{},
		ever: everything{
			sent: map[sending]bool{}, attempts: map[sending]bool{}, tries: map[flow.StepKey]int{}, doneSeqs: map[int]flow.StepKey{},
		},
	}
	w.learn()
	w.decide(flow.Started{
		ID: uuid.UUID{15: 7}, Trigger: "manual", Payload: []byte("{}"), Key: "key", KeyHash: "hash", Actor: "somebody",
		SignalID: "signal", WindowAt: w.now.Add(-time.Hour), WindowEnd: w.now, ReceivedAt: w.now,
	})
	return w
}

// learn notes what the policies grant.
func (w *world) learn() {
	for i := range w.spec.Steps() {
		st := &w.spec.Steps()[i]
		do, undo := flow.StepKey{Name: st.Name, Phase: flow.PhaseDo}, flow.StepKey{Name: st.Name, Phase: flow.PhaseUndo}
		w.ever.tries[do] = max(w.ever.tries[do], 1, st.Policy.Retry.MaxAttempts)
		w.ever.tries[undo] = max(w.ever.tries[undo], 1, st.UndoPolicy.Retry.MaxAttempts)
	}
}

// speaker is the worker on whose behalf an event comes; zero for operators and sweeps.
func speaker(e flow.Event) (flow.Attempted, bool) {
	switch e := e.(type) {
	case flow.Claimed:
		return e.Attempted, true
	case flow.Succeeded:
		return e.Attempted, true
	case flow.Failed:
		return e.Attempted, true
	case flow.Released:
		return e.Attempted, true
	default:
		return flow.Attempted{}, false
	}
}

// decide lets the core decide, holds the answer to every rule, and applies it.
func (w *world) decide(e flow.Event) (flow.Transition, error) {
	m := &moment{world: w, spec: w.spec, event: e, now: w.now, before: w.snap, held: maps.Clone(w.holds)}
	if a, ok := speaker(e); ok {
		m.before.WorkerLost = w.lost[a.Worker]
	}
	m.t, m.err = flow.Decide(w.spec, m.before, e, w.now)
	m.after = m.before.With(m.t)
	m.after.WorkerLost = false
	w.t.Logf("%s %T%+v: %v", w.now.Sub(epoch), e, e, m)
	if m.err == nil && len(m.t.Audit) == 1 {
		m.read()
	}
	for _, rule := range rules {
		if broken := rule.check(m); broken != "" {
			w.t.Fatalf("%s: %s", rule.name, broken)
		}
	}
	if m.err == nil {
		w.apply(m)
	}
	for _, rule := range standing {
		if broken := rule.check(m); broken != "" {
			w.t.Fatalf("%s: %s", rule.name, broken)
		}
	}
	switch {
	case m.err == nil && !m.t.Empty():
		w.last = m
	case len(m.t.Unheld) > 0:
		w.last = nil
	}
	return m.t, m.err
}

// apply does what the shell, the store and the queue do with a transition.
func (w *world) apply(m *moment) {
	t := m.t
	for _, h := range t.Unheld {
		delete(w.holds, h)
	}
	for _, h := range t.Held {
		w.holds[h] = true
	}
	if t.Empty() {
		return
	}
	w.snap = m.after
	for key, row := range w.snap.Steps {
		if row.Status != flow.StepRunning {
			delete(w.work, key)
		}
		if row.Status == flow.StepScheduled && row.Missing == 0 && row.DueAt.After(m.now.Add(flow.JobHorizon)) && !m.same(key) {
			s := sending{key, row.Attempt}
			w.ever.sent[s], w.missing[s] = true, true
		}
	}
	for _, a := range t.Attempts {
		w.ever.attempts[sending{a.StepKey, a.Attempt}] = true
	}
	for _, c := range t.Steps {
		if c.DoneSeq != 0 && c.Status == flow.StepCompleted {
			if w.spec.Find(c.Name).Kind != flow.KindBlock {
				w.ever.doneSeqs[c.DoneSeq] = c.StepKey
			}
			w.ever.claimed = w.ever.claimed || w.spec.Find(c.Name).Kind == flow.KindWait
		}
	}
	if t.Claim != nil {
		w.ever.claimed = true
		w.live = append(w.live, *t.Claim)
		w.work[t.Claim.StepKey] = flow.Hold{Worker: t.Claim.Worker, Run: t.Claim.Run, StepKey: t.Claim.Hold}
	}
	w.enqueue(m)
}

func (w *world) enqueue(m *moment) {
	w.snap.Steps = maps.Clone(w.snap.Steps)
	for _, job := range m.t.Jobs {
		s := sending{job.StepKey, job.Attempt}
		w.ever.sent[s] = true
		if w.refuse {
			w.missing[s] = true
			continue
		}
		delete(w.missing, s)
		w.jobs++
		row := w.snap.Steps[job.StepKey]
		row.JobID = fmt.Sprintf("job-%d", w.jobs)
		w.snap.Steps[job.StepKey] = row
		w.sent = append(w.sent, job)
		w.queue = append(w.queue, queued{job, latest(job.DueAt, m.now)})
	}
	w.refuse = false
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// deliver hands a queued job to a worker, which drops it from the queue unless it is told to come again.
func (w *world) deliver(i int, a flow.Attempted) {
	job := w.queue[i]
	a.StepKey, a.Attempt, a.Hold = job.StepKey, job.Attempt, job.StepKey
	t, _ := w.decide(flow.Claimed{Attempted: a, Elsewhere: chance(w.t, 30, "elsewhere")})
	if t.Outcome.Kind == flow.OutcomeAgain {
		w.queue[i].at = t.Outcome.At
		return
	}
	w.queue = slices.Delete(w.queue, i, i+1)
}

// drop loses a job.
func (w *world) drop(i int) {
	job := w.queue[i]
	w.queue = slices.Delete(w.queue, i, i+1)
	w.missing[sending{job.StepKey, job.Attempt}] = true
}

// end closes an execution. What follows in the same delivery is a new one.
func (w *world) end(i int, e flow.Event) {
	claim := w.live[i]
	w.live = slices.Delete(w.live, i, i+1)
	w.past = append(w.past, claim)
	_, _ = w.decide(e)
}

// knows is what a worker with all functions could go on with.
func (w *world) knows() map[flow.StepKey]bool {
	all := map[flow.StepKey]bool{}
	for i := range w.spec.Steps() {
		st := &w.spec.Steps()[i]
		switch st.Kind {
		case flow.KindFunc, flow.KindFuncTx, flow.KindChoose, flow.KindLog:
			all[flow.StepKey{Name: st.Name, Phase: flow.PhaseDo}] = true
		}
		if st.HasUndo {
			all[flow.StepKey{Name: st.Name, Phase: flow.PhaseUndo}] = true
		}
	}
	return all
}

func (w *world) attempted(c flow.Claim, runnable map[flow.StepKey]bool) flow.Attempted {
	return flow.Attempted{StepKey: c.StepKey, Attempt: c.Attempt, Worker: c.Worker, Hold: c.Hold, Runnable: runnable, Stuck: w.drawStuck()}
}

// holdsOf lists what a worker holds, in a fixed order.
func (w *world) holdsOf(worker flow.WorkerID) []flow.StepKey {
	var keys []flow.StepKey
	for i := range w.spec.Steps() {
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			key := flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: phase}
			if w.holds[flow.Hold{Worker: worker, Run: w.snap.Run.ID, StepKey: key}] {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// declare marks a worker as lost; another one takes its place.
func (w *world) declare(worker flow.WorkerID) {
	w.lost[worker] = true
	w.workers[slices.Index(w.workers, worker)] = w.next
	w.next++
}

// sweep takes over what lost workers held, all of it.
func (w *world) sweep() {
	for worker := flow.WorkerID(1); worker < w.next; worker++ {
		if holds := w.holdsOf(worker); w.lost[worker] && len(holds) > 0 {
			e := flow.Lost{Worker: worker, Holds: holds}
			w.swept = append(w.swept, e)
			_, _ = w.decide(e)
		}
	}
}
