package flow_test

import (
	"errors"
	"slices"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ruleUndoOrder: an undo begins when no step is at work any more, alone, and in reverse order of completion.
func ruleUndoOrder(m *moment) string {
	live, open, begun := 0, 0, []change(nil)
	for _, c := range m.rows() {
		if c.Phase == flow.PhaseDo {
			live += flow.Count(!c.block && (c.after.Status == flow.StepRunning || c.after.Status == flow.StepScheduled))
			continue
		}
		open += flow.Count(c.after.Status == flow.StepScheduled || c.after.Status == flow.StepRunning)
		if c.isNew {
			begun = append(begun, c)
		}
		switch done := m.after.Do(c.Name); {
		case !c.st.HasUndo || done.Status != flow.StepCompleted:
			return say("%s is undone, being %s, with an undo: %v", c.Name, done.Status, c.st.HasUndo)
		case m.after.Run.Verdict == "" || !m.after.Run.Compensate:
			return say("%s is undone in a run with verdict %q, Compensate %v", c.Name, m.after.Run.Verdict, m.after.Run.Compensate)
		}
	}
	switch {
	case open > 1:
		return say("%d undos are open at once", open)
	case len(begun) > 0 && live > 0:
		return say("the undo of %s begins while %d steps are open", begun[0].Name, live)
	}
	for _, c := range begun {
		if c.after.Status != flow.StepScheduled {
			return say("the undo of %s begins as %s", c.Name, c.after.Status)
		}
		for _, other := range m.rows() {
			_, undone := m.after.Steps[flow.StepKey{Name: other.Name, Phase: flow.PhaseUndo}]
			if other.Phase == flow.PhaseDo && other.st.HasUndo && other.after.Status == flow.StepCompleted && !undone &&
				other.after.DoneSeq > m.after.Do(c.Name).DoneSeq {
				return say("%s is undone before %s, which completed later", c.Name, other.Name)
			}
		}
	}
	return ""
}

// ruleUndoEnds: an undo completes by its success, fails by an operator's acceptance, and is retried only by an operator.
func ruleUndoEnds(m *moment) string {
	for _, c := range m.rows() {
		if c.Phase != flow.PhaseUndo || !c.isNew && c.before.Status == c.after.Status {
			continue
		}
		ok := true
		switch c.after.Status {
		case flow.StepCompleted:
			e, is := m.event.(flow.Succeeded)
			ok = is && e.StepKey == c.StepKey
		case flow.StepFailed:
			e, is := m.event.(flow.UndoAccepted)
			ok = is && c.before.Status == flow.StepPaused && (e.Step == "" || e.Step == c.Name)
		case flow.StepPaused:
			ok = c.before.Status == flow.StepRunning && (c.after.Failures > c.before.Failures || c.after.Losses == 5)
		case flow.StepScheduled:
			e, is := m.event.(flow.UndoRetried)
			ok = c.isNew || c.before.Status == flow.StepRunning || is && (e.Step == "" || e.Step == c.Name) && c.after.Failures == 0
		case flow.StepCancelled:
			ok = false
		}
		if !ok {
			return say("%T takes the undo of %s from %q to %s", m.event, c.Name, c.before.Status, c.after.Status)
		}
	}
	return ""
}

// ruleEnd: a run ends with no row open, as its verdict says, and with everything undone that was to be undone.
func ruleEnd(m *moment) string {
	run := m.after.Run
	if !run.Status.Terminal() {
		return ""
	}
	if want := flow.RunStatus(run.Verdict); run.Verdict != "" && run.Status != want || run.Verdict == "" && run.Status != flow.RunCompleted {
		return say("the verdict is %q, and the run is %s", run.Verdict, run.Status)
	}
	for _, c := range m.rows() {
		undo, undone := m.after.Steps[flow.StepKey{Name: c.Name, Phase: flow.PhaseUndo}]
		switch {
		case !c.after.Status.Final():
			return say("the run is %s, and %v is %s", run.Status, c.StepKey, c.after.Status)
		case c.Phase == flow.PhaseUndo || c.after.Status != flow.StepCompleted || !c.st.HasUndo:
		case run.Compensate && run.Verdict != "" && !undone:
			return say("the run is %s, and %s is not undone", run.Status, c.Name)
		case undone && undo.Status != flow.StepCompleted && undo.Status != flow.StepFailed:
			return say("the run is %s, and the undo of %s is %s", run.Status, c.Name, undo.Status)
		}
	}
	return ""
}

// ruleReplay: a run that has ended can be replayed, but nothing irreversible that it began is repeated unasked.
func ruleReplay(m *moment) string {
	e, ok := m.event.(flow.Replayed)
	if !ok {
		return ""
	}
	var begun []string
	for _, c := range m.rows() {
		if c.Phase == flow.PhaseDo && (c.st.Irreversible || c.st.NotCompensatable) && !c.after.StartedAt.IsZero() {
			begun = append(begun, c.Name)
		}
	}
	var unsafe *flow.UnsafeReplayError
	switch {
	case !m.t.Empty():
		return "asking for a replay changes the run"
	case !m.before.Run.Status.Terminal():
		if !errors.Is(m.err, flow.ErrNotFinished) {
			return say("a run that is %s is replayed: %v", m.before.Run.Status, m.err)
		}
	case e.AllowIrreversible || len(begun) == 0:
		if m.err != nil {
			return say("a replay that repeats nothing irreversible, or may, is refused: %v", m.err)
		}
	case !errors.As(m.err, &unsafe) || !slices.Equal(unsafe.Steps, begun):
		return say("a replay would repeat %v, and is answered with %v", begun, m.err)
	}
	return ""
}

// ruleDecisions: an accepted decision closes exactly the row that it is about, and says who decided.
func ruleDecisions(m *moment) string {
	var by flow.Decision
	var kind flow.Kind
	phase := flow.PhaseDo
	end := flow.StepCompleted
	switch e := m.event.(type) {
	case flow.Unblocked:
		by, kind = e.Decision, flow.KindPause
	case flow.Approved:
		by, kind = e.Decision, flow.KindApproval
	case flow.Rejected:
		by, kind, end = e.Decision, flow.KindApproval, flow.StepFailed
	case flow.UndoRetried:
		by, phase, end = e.Decision, flow.PhaseUndo, flow.StepScheduled
	case flow.UndoAccepted:
		by, phase, end = e.Decision, flow.PhaseUndo, flow.StepFailed
	case flow.Cancelled:
		if m.err == nil && !m.t.Empty() && m.t.Audit[0].Actor != e.Actor {
			return say("%s cancels, recorded is %q", e.Actor, m.t.Audit[0].Actor)
		}
		return ""
	default:
		return ""
	}
	var open, decided []string
	busy := false
	for _, c := range m.rows() {
		busy = busy || c.Phase == flow.PhaseUndo && !c.isNew && (c.before.Status == flow.StepScheduled || c.before.Status == flow.StepRunning)
		if c.Phase != phase || c.before.Status != flow.StepPaused || phase == flow.PhaseDo && c.st.Kind != kind || by.Step != "" && by.Step != c.Name {
			continue
		}
		open = append(open, c.Name)
		if c.after.Status == end {
			decided = append(decided, c.Name)
		}
	}
	_, retry := m.event.(flow.UndoRetried)
	acceptable := len(open) == 1 && !(retry && busy)
	if acceptable != (m.err == nil) {
		return say("%T %+v: open are %v, busy is %v, the answer is %v", m.event, m.event, open, busy, m.err)
	}
	if !acceptable {
		return ""
	}
	entry := m.t.Audit[0]
	if !slices.Equal(open, decided) || entry.Name != open[0] || entry.Phase != phase || entry.Actor != by.Actor || m.data.Comment != by.Comment {
		return say("%T about %v decides %v, recorded as %+v", m.event, open, decided, entry)
	}
	if _, ok := m.event.(flow.Approved); ok && len(entry.Output) == 0 {
		return "an approval has no output"
	}
	return ""
}

// ruleStatus: the run's status follows from its rows, by precedence.
func ruleStatus(m *moment) string {
	run := m.after.Run
	if m.t.Empty() {
		return ""
	}
	live, due, decisions, retries, undos := 0, 0, 0, 0, 0
	for _, c := range m.rows() {
		switch {
		case c.block || c.after.Missing > 0 || c.after.Status.Final():
		case c.Phase == flow.PhaseUndo:
			undos++
		case c.after.Status == flow.StepRunning:
			live++
		case c.after.Status == flow.StepPaused:
			decisions++
		case c.after.Failures > 0:
			retries++
		default:
			due++
		}
	}
	var want flow.RunStatus
	wasPending := m.before.Run.Status == "" || m.before.Run.Status == flow.RunPending
	began := m.t.Claim != nil
	if e, ok := m.event.(flow.Claimed); ok {
		began = began || m.isWait(e.StepKey)
	}
	for _, c := range m.t.Steps {
		began = began || c.New && c.Status == flow.StepScheduled && c.Missing == 0 && m.isWait(c.StepKey)
	}
	switch {
	case live+due+decisions+retries+undos == 0:
		if !run.Status.Terminal() {
			return say("nothing is open, and the run is %s", run.Status)
		}
		return ""
	case undos > 0:
		want = flow.RunCompensating
	case run.Verdict == flow.VerdictCancelled:
		want = flow.RunCancelling
	case live+due > 0 && wasPending && !began:
		want = flow.RunPending
	case live+due > 0:
		want = flow.RunRunning
	case retries > 0:
		want = flow.RunRetrying
	default:
		want = flow.RunPaused
	}
	if run.Status != want {
		return say("after %T the run is %s instead of %s", m.event, run.Status, want)
	}
	if run.Status == flow.RunPending && m.world.ever.claimed {
		return "the run is pending after its first claim"
	}
	return ""
}
