package flow_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// rules are judged before a transition is applied, standing ones after.
var rules = []rule{
	{"the core is deterministic", ruleDeterministic},
	{"reads suffice", ruleReads},
	{"terminal stays terminal", ruleTerminalStays},
	{"only commands are refused", ruleRefusals},
	{"the books are gapless", ruleBooks},
	{"what is written once stays", ruleImmutable},
	{"finished rows never change", ruleFinished},
	{"attempts rise by one", ruleAttempts},
	{"rows are created once", ruleNewOnce},
	{"columns fit the status", ruleColumns},
	{"the fence holds", ruleFence},
	{"right deliveries are claimed", ruleDeliveries},
	{"only claims start rows", ruleStarts},
	{"workers go on", ruleContinuation},
	{"claims say what to do", ruleClaim},
	{"retries are as the policy grants", ruleRetries},
	{"losses are capped and spread", ruleLosses},
	{"deadlines are kept", ruleDeadlines},
	{"released counts nothing", ruleReleased},
	{"successes end well", ruleSuccesses},
	{"joins count", ruleJoins},
	{"blocks end with their children", ruleBlocks},
	{"routes are taken", ruleRoutes},
	{"the cause is told", ruleCause},
	{"failures without a route doom", ruleDoom},
	{"verdicts are final", ruleVerdict},
	{"the reason is the latest failure", ruleReason},
	{"undos wait for their turn", ruleUndoOrder},
	{"undos end as decided", ruleUndoEnds},
	{"the end is clean", ruleEnd},
	{"waits last", ruleDue},
	{"jobs are for what is newly due", ruleJobs},
	{"what ended is measured", ruleMeasures},
	{"redeliveries keep the attempt", ruleRedelivered},
	{"ended attempts are recorded", ruleRecords},
	{"drains interrupt", ruleInterrupt},
	{"the audit lists what was reached", ruleReached},
	{"decisions are recorded", ruleDecisions},
	{"replay is guarded", ruleReplay},
	{"status has its precedence", ruleStatus},
	{"statuses change as drawn", ruleDrawn},
}

var standing = []rule{
	{"counters equal a recount", ruleCounters},
	{"an active run can go on", ruleAlive},
	{"holds balance", ruleHolds},
	{"folding loses nothing", ruleFold},
	{"the audit adds up to the rows", ruleAudit},
	{"every state is explained", ruleExplain},
	{"explained actions work", ruleActions},
}

func ruleDeterministic(m *moment) string {
	s := m.before
	s.Steps = maps.Clone(s.Steps)
	again, err := flow.Decide(m.spec, s, m.event, m.now)
	switch {
	case !reflect.DeepEqual(s, m.before):
		return "deciding changed the snapshot"
	case !reflect.DeepEqual(again, m.t) || !sameError(err, m.err):
		return say("the second answer is %+v, %v, the first one was %+v, %v", again, err, m.t, m.err)
	}
	return ""
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error() && reflect.TypeOf(a) == reflect.TypeOf(b)
}

// ruleReads: a decision on the rows that ReadsOf names equals the one on all rows. What most steps do, to be claimed and to succeed,
// reads no more than the step, its block and those that wait for it, however many others there are.
func ruleReads(m *moment) string {
	reads := flow.ReadsOf(m.spec, m.before.Run, m.event)
	if most, bounded := m.mostRead(); bounded && (reads.All || len(reads.Steps) > most) {
		return say("%+v reads %+v, more than %d rows", m.event, reads, most)
	}
	if reads.All {
		return ""
	}
	part := flow.Snapshot{Run: m.before.Run, WorkerLost: m.before.WorkerLost, Steps: map[flow.StepKey]flow.StepState{}}
	for _, key := range reads.Steps {
		if row, ok := m.before.Steps[key]; ok {
			part.Steps[key] = row
		}
	}
	t, err := flow.Decide(m.spec, part, m.event, m.now)
	if !reflect.DeepEqual(t, m.t) || !sameError(err, m.err) {
		return say("on %v alone the answer is %+v, %v, on all rows it is %+v, %v", reads.Steps, t, err, m.t, m.err)
	}
	return ""
}

// mostRead bounds the rows that an event of a step reads in a run that goes on. A choice that knows no such route fails, and
// failures may read everything, as undos and commands may.
func (m *moment) mostRead() (rows int, bounded bool) {
	if m.before.Run.Verdict != flow.VerdictNone {
		return 0, false
	}
	var key flow.StepKey
	switch e := m.event.(type) {
	case flow.Started:
		return 0, true
	case flow.Redelivered:
		return 1, true
	case flow.Claimed:
		key = e.StepKey
	case flow.Succeeded:
		if st := m.spec.Find(e.Name); st != nil && st.Kind == flow.KindChoose && st.Routes[e.Route] == "" {
			return 0, false
		}
		key = e.StepKey
	default:
		return 0, false
	}
	most := 2
	for i := range m.spec.Steps() {
		if slices.Contains(m.spec.Steps()[i].After, key.Name) {
			most++
		}
	}
	return most, key.Phase == flow.PhaseDo
}

func ruleTerminalStays(m *moment) string {
	if m.before.Run.Status.Terminal() && m.err == nil && !m.t.Empty() {
		return say("%T changes a run that is %s", m.event, m.before.Run.Status)
	}
	if m.t.Empty() && (len(m.t.Attempts)+len(m.t.Jobs)+len(m.t.Held) > 0 || m.t.Claim != nil || m.t.Interrupt) {
		return "an empty transition does something"
	}
	return ""
}

func ruleRefusals(m *moment) string {
	if m.err == nil {
		return ""
	}
	switch m.event.(type) {
	case flow.Unblocked, flow.Approved, flow.Rejected, flow.Cancelled, flow.UndoRetried, flow.UndoAccepted, flow.Replayed:
		if !isRefusal(m.err) {
			return say("%T got the error %v, which callers cannot branch on", m.event, m.err)
		}
		if !reflect.DeepEqual(m.t, flow.Transition{}) {
			return say("%T was refused and yet decides %+v", m.event, m.t)
		}
		return ""
	}
	return say("%T got the error %v", m.event, m.err)
}

// ruleBooks: version and audit rise by one with each transition, and its time never falls.
func ruleBooks(m *moment) string {
	if m.t.Empty() {
		if m.t.Run.Version != 0 || len(m.t.Steps) > 0 {
			return "an empty transition has rows"
		}
		return ""
	}
	was, is := m.before.Run, m.after.Run
	at := m.now.Truncate(time.Microsecond)
	if was.LastAt.After(at) {
		at = was.LastAt
	}
	switch {
	case is.Version != was.Version+1:
		return say("version went from %d to %d", was.Version, is.Version)
	case len(m.t.Audit) != 1:
		return say("%d audit entries", len(m.t.Audit))
	case m.broken != nil:
		return say("audit data cannot be read: %v", m.broken)
	}
	entry := m.t.Audit[0]
	switch {
	case entry.Seq != was.Seq+1 || is.Seq != entry.Seq:
		return say("entry %d follows %d, and the run says %d", entry.Seq, was.Seq, is.Seq)
	case !entry.At.Equal(at) || !is.LastAt.Equal(at):
		return say("entry is of %s, the run says %s, it should be %s", entry.At, is.LastAt, at)
	case entry.Run != is.ID || entry.Kind == "":
		return say("entry is of run %s and kind %q", entry.Run, entry.Kind)
	}
	_, started := m.event.(flow.Started)
	if m.t.NewRun != started {
		return say("NewRun is %v", m.t.NewRun)
	}
	if (m.data.RunStatus == is.Status) != (was.Status != is.Status) && !started {
		return say("status went from %s to %s, the audit says %q", was.Status, is.Status, m.data.RunStatus)
	}
	return ""
}

func ruleImmutable(m *moment) string {
	if _, ok := m.event.(flow.Started); ok {
		return ""
	}
	strip := func(r flow.Run) flow.Run {
		r.Status, r.Verdict, r.Compensate, r.Version, r.Seq, r.LastAt = "", "", false, 0, 0, time.Time{}
		r.Open, r.Retrying, r.Reason, r.FinishedAt = 0, 0, nil, time.Time{}
		return r
	}
	if was, is := strip(m.before.Run), strip(m.after.Run); !reflect.DeepEqual(was, is) {
		return say("the run was %+v and is %+v", was, is)
	}
	return ""
}

// ruleFinished: what has ended stays as it is, in both phases.
func ruleFinished(m *moment) string {
	for _, c := range m.rows() {
		if !c.isNew && c.before.Status.Final() && c.before != c.after {
			return say("%v was %s and changed to %+v", c.StepKey, c.before.Status, c.after)
		}
	}
	return ""
}

func ruleAttempts(m *moment) string {
	_, retried := m.event.(flow.UndoRetried)
	_, lost := m.event.(flow.Lost)
	for _, c := range m.rows() {
		rise := c.after.Attempt - c.before.Attempt
		switch {
		case c.isNew && c.after.Attempt != 1:
			return say("%v is new at attempt %d", c.StepKey, c.after.Attempt)
		case c.isNew:
		case c.worked() && c.after.Status == flow.StepScheduled,
			retried && c.before.Status == flow.StepPaused && c.after.Status == flow.StepScheduled:
			if rise != 1 {
				return say("%v is scheduled again after attempt %d, as attempt %d", c.StepKey, c.before.Attempt, c.after.Attempt)
			}
		case lost && c.worked() && c.after.Status == flow.StepCancelled:
			// It was put back before another lost attempt doomed the run, or after.
			if rise != 0 && rise != 1 {
				return say("%v went from attempt %d to %d", c.StepKey, c.before.Attempt, c.after.Attempt)
			}
		case rise != 0:
			return say("%v went from attempt %d to %d, while it was %s", c.StepKey, c.before.Attempt, c.after.Attempt, c.before.Status)
		}
	}
	return ""
}

func ruleNewOnce(m *moment) string {
	seen := map[flow.StepKey]bool{}
	for _, c := range m.t.Steps {
		_, existed := m.before.Steps[c.StepKey]
		if seen[c.StepKey] || c.New == existed {
			return say("%v: New is %v, existed is %v, twice is %v", c.StepKey, c.New, existed, seen[c.StepKey])
		}
		seen[c.StepKey] = true
		if c.Run != m.after.Run.ID || m.spec.Find(c.Name) == nil {
			return say("%v is of run %s, or no step", c.StepKey, c.Run)
		}
	}
	return ""
}

// ruleColumns: each column is set exactly where the status gives it a meaning.
func ruleColumns(m *moment) string {
	for _, c := range m.rows() {
		r := c.after
		due := r.Status == flow.StepScheduled && r.Missing == 0
		ended := r.Status.Final() || c.Phase == flow.PhaseUndo && r.Status == flow.StepPaused
		switch {
		case r.DueAt.IsZero() == due:
			return say("%v is %s with missing %d, and due at %s", c.StepKey, r.Status, r.Missing, r.DueAt)
		case r.DeadlineAt.IsZero() == (c.works() || r.Status == flow.StepPaused && c.Phase == flow.PhaseDo && c.st.Policy.Timeout > 0):
			return say("%v is %s with the deadline %s", c.StepKey, r.Status, r.DeadlineAt)
		case r.FinishedAt.IsZero() == ended:
			return say("%v is %s and finished at %s", c.StepKey, r.Status, r.FinishedAt)
		case c.works() && (r.Worker == 0 || r.StartedAt.IsZero()):
			return say("%v runs on worker %d since %s", c.StepKey, r.Worker, r.StartedAt)
		case (r.DoneSeq != 0) != (r.Status == flow.StepCompleted):
			return say("%v is %s with DoneSeq %d", c.StepKey, r.Status, r.DoneSeq)
		case r.Missing > 0 && r.Status != flow.StepScheduled && r.Status != flow.StepCancelled:
			return say("%v is %s and misses %d", c.StepKey, r.Status, r.Missing)
		case r.Status == flow.StepPaused && c.Phase == flow.PhaseDo && c.st.Kind != flow.KindPause && c.st.Kind != flow.KindApproval:
			return say("%v is paused, being a %s", c.StepKey, c.st.Kind)
		}
	}
	if m.after.Run.Status.Terminal() == m.after.Run.FinishedAt.IsZero() {
		return say("the run is %s and finished at %s", m.after.Run.Status, m.after.Run.FinishedAt)
	}
	return ""
}

// isRefusal reports whether an error is one that a command may get.
func isRefusal(err error) bool {
	var refused *flow.RefusedError
	var unsafe *flow.UnsafeReplayError
	return errors.As(err, &refused) && refused.Unwrap() != nil || errors.As(err, &unsafe)
}
