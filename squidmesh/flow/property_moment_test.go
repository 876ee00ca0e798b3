package flow_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// moment is one decision, as the rules see it.
type moment struct {
	world         *world
	spec          *flow.Spec
	event         flow.Event
	now           time.Time
	before, after flow.Snapshot
	t             flow.Transition
	err           error
	held          map[flow.Hold]bool // before

	data    flow.AuditData // of the transition, unless it is empty
	broken  error          // data that cannot be read
	changes []change       // what rows answers
	reason  *flow.Explanation
}

// rule is one invariant of the core. Its check answers with a sentence if it does not hold.
type rule struct {
	name  string
	check func(m *moment) string
}

func (m *moment) read() {
	m.broken = json.Unmarshal(m.t.Audit[0].Data, &m.data)
}

// String says for the log what the core answered.
func (m *moment) String() string {
	switch {
	case m.err != nil:
		return m.err.Error()
	case m.t.Empty():
		return fmt.Sprintf("nothing, %+v unheld=%v", m.t.Outcome, m.t.Unheld)
	}
	s := fmt.Sprintf("run %s verdict=%s open=%d;", m.after.Run.Status, m.after.Run.Verdict, m.after.Run.Open)
	for _, c := range m.t.Steps {
		s += fmt.Sprintf(" %s/%s %s #%d missing=%d due=%s", c.Name, c.Phase, c.Status, c.Attempt, c.Missing, c.DueAt.Sub(epoch))
	}
	return fmt.Sprintf("%s; %d jobs", s, len(m.t.Jobs))
}

// change is a row before and after a decision.
type change struct {
	flow.StepKey
	st            *flow.StepSpec
	block, isNew  bool
	before, after flow.StepState
}

func (c change) policy() flow.Policy {
	if c.Phase == flow.PhaseUndo {
		return c.st.UndoPolicy
	}
	return c.st.Policy
}

// worked reports whether an attempt was being executed before the decision.
func (c change) worked() bool { return !c.isNew && !c.block && c.before.Status == flow.StepRunning }

// works reports whether an attempt is being executed after it.
func (c change) works() bool { return !c.block && c.after.Status == flow.StepRunning }

// rows lists every row that exists after the decision, in the order of the spec.
func (m *moment) rows() []change {
	if m.changes != nil {
		return m.changes
	}
	for i := range m.spec.Steps() {
		st := &m.spec.Steps()[i]
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			key := flow.StepKey{Name: st.Name, Phase: phase}
			after, ok := m.after.Steps[key]
			if !ok {
				continue
			}
			before, existed := m.before.Steps[key]
			m.changes = append(m.changes, change{
				StepKey: key, st: st, block: st.Kind == flow.KindBlock, isNew: !existed, before: before, after: after,
			})
		}
	}
	return m.changes
}

// explain explains the run as it stands after the decision.
func (m *moment) explain() flow.Explanation {
	if m.reason == nil {
		s := m.world.snap
		s.Environment = m.world.surroundings(m.now)
		ex := flow.Explain(m.spec, s, m.now)
		m.reason = &ex
	}
	return *m.reason
}

// surroundings are the living workers, which have every function, and the jobs that will be delivered. What second attempts read
// cannot be opened.
func (w *world) surroundings(now time.Time) *flow.Environment {
	around := &flow.Environment{
		Definitions: map[string]*flow.Spec{w.spec.Shape(): w.spec}, Jobs: map[string]flow.JobState{},
		Unopened: map[flow.StepKey]string{},
	}
	for key, row := range w.snap.Steps {
		if row.Attempt == 2 {
			around.Unopened[key] = "key"
		}
	}
	for _, id := range w.workers {
		around.Workers = append(around.Workers, flow.Worker{
			ID: id, Name: fmt.Sprintf("host-%d", id), Shapes: []string{w.spec.Shape()}, LeaseUntil: now.Add(time.Second),
		})
	}
	for _, q := range w.queue {
		if row := w.snap.Steps[q.StepKey]; row.Attempt == q.Attempt {
			around.Jobs[row.JobID] = flow.JobState{State: "available", Deliverable: true}
		}
	}
	return around
}

// same reports whether the row was scheduled for the same attempt before.
func (m *moment) same(key flow.StepKey) bool {
	before, ok := m.before.Steps[key]
	after := m.after.Steps[key]
	return ok && before.Status == flow.StepScheduled && before.Missing == 0 && before.Attempt == after.Attempt
}

// passes reports whether an event may speak for the attempt that is running: the fence, in other words than the core's.
func (m *moment) passes(a flow.Attempted) bool {
	row := m.before.Steps[a.StepKey]
	current := row.Status == flow.StepRunning && row.Attempt == a.Attempt && row.Worker == a.Worker
	return current && !m.world.lost[a.Worker]
}

// draining reports whether an attempt could have no successor before the decision.
func (m *moment) draining(key flow.StepKey) bool {
	st := m.spec.Find(key.Name)
	if key.Phase == flow.PhaseUndo || st == nil {
		return false
	}
	return m.before.Run.Verdict != "" || st.Block != "" && m.before.Do(st.Block).Status == flow.StepFailed
}

// claimable reports whether a delivery is the right one, at the right time, for a worker that may take it.
func (m *moment) claimable(e flow.Claimed) bool {
	row, ok := m.before.Steps[e.StepKey]
	return ok && row.Status == flow.StepScheduled && row.Missing == 0 && row.Attempt == e.Attempt && !row.DueAt.After(m.now) &&
		!m.world.lost[e.Worker]
}

func (m *moment) isWait(key flow.StepKey) bool {
	st := m.spec.Find(key.Name)
	return st != nil && st.Kind == flow.KindWait && key.Phase == flow.PhaseDo
}

// ending is the attempt that the event ends, if the core has to believe it: an outcome, or a wait that is over.
func (m *moment) ending() (flow.Attempted, bool) {
	a, spoken := speaker(m.event)
	if !spoken {
		return a, false
	}
	if e, ok := m.event.(flow.Claimed); ok {
		return a, m.isWait(e.StepKey) && m.claimable(e)
	}
	return a, m.passes(a)
}

func say(format string, args ...any) string { return fmt.Sprintf(format, args...) }
