package squidmesh

import (
	"errors"
	"slices"
)

// ruleUndoOrder: an undo begins when no step is at work any more, alone, and in reverse order of completion.
func ruleUndoOrder(m *moment) string {
	live, open, begun := 0, 0, []change(nil)
	for _, c := range m.rows() {
		if c.Phase == PhaseDo {
			live += count(!c.block && (c.after.Status == StepRunning || c.after.Status == StepScheduled))
			continue
		}
		open += count(c.after.Status == StepScheduled || c.after.Status == StepRunning)
		if c.isNew {
			begun = append(begun, c)
		}
		switch done := m.after.do(c.Name); {
		case !c.st.HasUndo || done.Status != StepCompleted:
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
		if c.after.Status != StepScheduled {
			return say("the undo of %s begins as %s", c.Name, c.after.Status)
		}
		for _, other := range m.rows() {
			_, undone := m.after.Steps[StepKey{other.Name, PhaseUndo}]
			if other.Phase == PhaseDo && other.st.HasUndo && other.after.Status == StepCompleted && !undone &&
				other.after.DoneSeq > m.after.do(c.Name).DoneSeq {
				return say("%s is undone before %s, which completed later", c.Name, other.Name)
			}
		}
	}
	return ""
}

// ruleUndoEnds: an undo completes by its success, fails by an operator's acceptance, and is retried only by an operator.
func ruleUndoEnds(m *moment) string {
	for _, c := range m.rows() {
		if c.Phase != PhaseUndo || !c.isNew && c.before.Status == c.after.Status {
			continue
		}
		ok := true
		switch c.after.Status {
		case StepCompleted:
			e, is := m.event.(Succeeded)
			ok = is && e.StepKey == c.StepKey
		case StepFailed:
			e, is := m.event.(UndoAccepted)
			ok = is && c.before.Status == StepPaused && (e.Step == "" || e.Step == c.Name)
		case StepPaused:
			ok = c.before.Status == StepRunning && (c.after.Failures > c.before.Failures || c.after.Losses == 5)
		case StepScheduled:
			e, is := m.event.(UndoRetried)
			ok = c.isNew || c.before.Status == StepRunning || is && (e.Step == "" || e.Step == c.Name) && c.after.Failures == 0
		case StepCancelled:
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
	if want := RunStatus(run.Verdict); run.Verdict != "" && run.Status != want || run.Verdict == "" && run.Status != RunCompleted {
		return say("the verdict is %q, and the run is %s", run.Verdict, run.Status)
	}
	for _, c := range m.rows() {
		undo, undone := m.after.Steps[StepKey{c.Name, PhaseUndo}]
		switch {
		case !c.after.Status.final():
			return say("the run is %s, and %v is %s", run.Status, c.StepKey, c.after.Status)
		case c.Phase == PhaseUndo || c.after.Status != StepCompleted || !c.st.HasUndo:
		case run.Compensate && run.Verdict != "" && !undone:
			return say("the run is %s, and %s is not undone", run.Status, c.Name)
		case undone && undo.Status != StepCompleted && undo.Status != StepFailed:
			return say("the run is %s, and the undo of %s is %s", run.Status, c.Name, undo.Status)
		}
	}
	return ""
}

// ruleReplay: a run that has ended can be replayed, but nothing irreversible that it began is repeated unasked.
func ruleReplay(m *moment) string {
	e, ok := m.event.(Replayed)
	if !ok {
		return ""
	}
	var begun []string
	for _, c := range m.rows() {
		if c.Phase == PhaseDo && (c.st.Irreversible || c.st.NotCompensatable) && !c.after.StartedAt.IsZero() {
			begun = append(begun, c.Name)
		}
	}
	var unsafe *UnsafeReplayError
	switch {
	case !m.t.Empty():
		return "asking for a replay changes the run"
	case !m.before.Run.Status.Terminal():
		if !errors.Is(m.err, ErrNotFinished) {
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
	var by Decision
	var kind Kind
	phase := PhaseDo
	end := StepCompleted
	switch e := m.event.(type) {
	case Unblocked:
		by, kind = e.Decision, KindPause
	case Approved:
		by, kind = e.Decision, KindApproval
	case Rejected:
		by, kind, end = e.Decision, KindApproval, StepFailed
	case UndoRetried:
		by, phase, end = e.Decision, PhaseUndo, StepScheduled
	case UndoAccepted:
		by, phase, end = e.Decision, PhaseUndo, StepFailed
	case Cancelled:
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
		busy = busy || c.Phase == PhaseUndo && !c.isNew && (c.before.Status == StepScheduled || c.before.Status == StepRunning)
		if c.Phase != phase || c.before.Status != StepPaused || phase == PhaseDo && c.st.Kind != kind || by.Step != "" && by.Step != c.Name {
			continue
		}
		open = append(open, c.Name)
		if c.after.Status == end {
			decided = append(decided, c.Name)
		}
	}
	_, retry := m.event.(UndoRetried)
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
	if _, ok := m.event.(Approved); ok && len(entry.Output) == 0 {
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
		case c.block || c.after.Missing > 0 || c.after.Status.final():
		case c.Phase == PhaseUndo:
			undos++
		case c.after.Status == StepRunning:
			live++
		case c.after.Status == StepPaused:
			decisions++
		case c.after.Failures > 0:
			retries++
		default:
			due++
		}
	}
	var want RunStatus
	wasPending := m.before.Run.Status == "" || m.before.Run.Status == RunPending
	began := m.t.Claim != nil
	if e, ok := m.event.(Claimed); ok {
		began = began || m.isWait(e.StepKey)
	}
	for _, c := range m.t.Steps {
		began = began || c.New && c.Status == StepScheduled && c.Missing == 0 && m.isWait(c.StepKey)
	}
	switch {
	case live+due+decisions+retries+undos == 0:
		if !run.Status.Terminal() {
			return say("nothing is open, and the run is %s", run.Status)
		}
		return ""
	case undos > 0:
		want = RunCompensating
	case run.Verdict == VerdictCancelled:
		want = RunCancelling
	case live+due > 0 && wasPending && !began:
		want = RunPending
	case live+due > 0:
		want = RunRunning
	case retries > 0:
		want = RunRetrying
	default:
		want = RunPaused
	}
	if run.Status != want {
		return say("after %T the run is %s instead of %s", m.event, run.Status, want)
	}
	if run.Status == RunPending && m.world.ever.claimed {
		return "the run is pending after its first claim"
	}
	return ""
}
