package flow_test

import (
	"slices"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ruleJoins: a child's row says how many of its After have not completed, and is scheduled when none is left.
func ruleJoins(m *moment) string {
	for i := range m.spec.Steps() {
		st := &m.spec.Steps()[i]
		if st.Block == "" {
			continue
		}
		block := m.after.Do(st.Block)
		row, exists := m.after.Steps[flow.StepKey{Name: st.Name, Phase: flow.PhaseDo}]
		missing := 0
		for _, name := range st.After {
			missing += flow.Count(m.after.Do(name).Status != flow.StepCompleted)
		}
		reached := len(st.After) == 0 || missing < len(st.After)
		switch {
		case exists && block.Status == "":
			return say("%s has a row before its block %s", st.Name, st.Block)
		case exists && !reached:
			return say("%s has a row before any of %v completed", st.Name, st.After)
		case !exists && reached && block.Status == flow.StepRunning && m.after.Run.Verdict == "":
			return say("%s has no row, while %d of %v are missing", st.Name, missing, st.After)
		case exists && !row.Status.Final() && row.Missing != missing:
			return say("%s says that %d are missing, of %v it is %d", st.Name, row.Missing, st.After, missing)
		case exists && row.Missing == 0 && missing > 0 && row.Status != flow.StepCancelled:
			return say("%s is %s, though of %v %d are missing", st.Name, row.Status, st.After, missing)
		}
	}
	return ""
}

// children counts the rows of a block's children by how they stand.
func (m *moment) children(s flow.Snapshot, block string) (completed, failed, open int) {
	for _, name := range m.spec.Find(block).Children {
		switch row := s.Do(name); row.Status {
		case flow.StepCompleted:
			completed++
		case flow.StepFailed:
			failed++
		case flow.StepScheduled, flow.StepRunning:
			open++
		}
	}
	return completed, failed, open
}

// ruleBlocks: a block completes exactly when all its children have, and fails with the first of them.
func ruleBlocks(m *moment) string {
	for _, c := range m.rows() {
		if !c.block {
			continue
		}
		completed, failed, open := m.children(m.after, c.Name)
		all := completed == len(c.st.Children)
		switch {
		case (c.after.Status == flow.StepCompleted) != all && (m.after.Run.Verdict == "" || c.after.Status == flow.StepCompleted):
			return say("block %s is %s, %d of its %d children have completed", c.Name, c.after.Status, completed, len(c.st.Children))
		case c.after.Status == flow.StepFailed && failed == 0:
			return say("block %s failed without any of its children", c.Name)
		case c.after.Status == flow.StepRunning && failed > 0 && m.after.Run.Verdict == "":
			return say("block %s runs on, though %d of its children failed", c.Name, failed)
		case c.after.Status == flow.StepCancelled && m.after.Run.Verdict == "":
			return say("block %s is cancelled in a run that goes on", c.Name)
		case c.after.Status.Final() && open > 0 && c.after.Status != flow.StepFailed:
			return say("block %s is %s, though %d of its children are open", c.Name, c.after.Status, open)
		}
		if c.after.Status != flow.StepFailed {
			continue
		}
		for _, name := range c.st.Children {
			if row := m.after.Do(name); row.Status == flow.StepScheduled {
				return say("block %s failed, and its child %s is still scheduled", c.Name, name)
			}
		}
	}
	return ""
}

// next says where the run has to go because of what ended on its spine: to a step, to Complete, or nowhere ("").
func (m *moment) next() (target, cause string, doomed bool) {
	if e, ok := m.event.(flow.Started); ok && e.Trigger != "" {
		return m.spec.Steps()[0].Name, "", false
	}
	for _, c := range m.rows() {
		if c.Phase != flow.PhaseDo || c.st.Block != "" {
			continue
		}
		ended := c.after.Status.Final() && (c.isNew || !c.before.Status.Final())
		drained := false
		if c.block && c.after.Status == flow.StepFailed {
			_, _, before := m.children(m.before, c.Name)
			_, _, after := m.children(m.after, c.Name)
			drained = after == 0 && (ended || before > 0)
		}
		switch {
		case ended && c.after.Status == flow.StepCompleted && c.st.Kind == flow.KindChoose:
			return c.st.Routes[m.event.(flow.Succeeded).Route], "", false
		case ended && c.after.Status == flow.StepCompleted:
			return c.st.Next, "", false
		case ended && c.after.Status == flow.StepFailed && c.st.OnError == "":
			return "", "", true
		case c.block && drained && c.st.OnError != "":
			return c.st.OnError, m.after.Run.Reason.Step, false
		case !c.block && ended && c.after.Status == flow.StepFailed:
			return c.st.OnError, c.Name, false
		}
	}
	return "", "", false
}

// ruleRoutes: a success leads to exactly Next or its route, a final failure to exactly OnError, and nothing else is reached.
func ruleRoutes(m *moment) string {
	var want []string
	target, _, _ := m.next()
	goesOn := m.before.Run.Verdict == "" && m.after.Run.Verdict == ""
	if goesOn && target != "" && target != flow.Complete {
		want = append(want, target)
	}
	open := 0
	var got []string
	for _, c := range m.rows() {
		if c.Phase != flow.PhaseDo || c.st.Block != "" {
			continue
		}
		open += flow.Count(!c.after.Status.Final())
		if c.isNew {
			got = append(got, c.Name)
		}
	}
	if !slices.Equal(want, got) {
		return say("%T leads to %v instead of %v", m.event, got, want)
	}
	if open > 1 {
		return say("%d steps of the spine are open at once", open)
	}
	completed := m.after.Run.Status == flow.RunCompleted && m.before.Run.Status != flow.RunCompleted
	if (goesOn && target == flow.Complete) != completed {
		return say("%T leads to %q, and the run is %s", m.event, target, m.after.Run.Status)
	}
	if goesOn && m.data.Target != "" && m.data.Target != target {
		return say("the audit says that the error route leads to %q instead of %q", m.data.Target, target)
	}
	if _, cause, _ := m.next(); goesOn && target != "" && cause != "" && m.data.Target != target {
		return say("the audit says %q of the error route to %s", m.data.Target, target)
	}
	return ""
}

// ruleCause: what an error route reached knows who failed, its children too; nobody else has a cause.
func ruleCause(m *moment) string {
	_, cause, _ := m.next()
	for _, c := range m.rows() {
		want := c.before.Cause
		switch {
		case !c.isNew:
		case c.Phase == flow.PhaseUndo:
			want = ""
		case c.st.Block != "":
			want = m.after.Do(c.st.Block).Cause
		default:
			want = cause
		}
		if c.after.Cause != want {
			return say("%v has the cause %q instead of %q", c.StepKey, c.after.Cause, want)
		}
	}
	return ""
}

// ruleDoom: a final failure without a route, and nothing else, sets the verdict failed.
func ruleDoom(m *moment) string {
	_, _, doomed := m.next()
	doomed = doomed && m.before.Run.Verdict == ""
	sets := m.before.Run.Verdict == "" && m.after.Run.Verdict == flow.VerdictFailed
	if doomed != sets {
		return say("a failure without a route is %v, and the verdict went from %q to %q", doomed, m.before.Run.Verdict, m.after.Run.Verdict)
	}
	if sets && (!m.after.Run.Compensate || m.data.Verdict != flow.VerdictFailed) {
		return say("the run fails with Compensate %v, the audit says %q", m.after.Run.Compensate, m.data.Verdict)
	}
	return ""
}

// ruleVerdict: once set it stays, and no step's own work is begun or left waiting.
func ruleVerdict(m *moment) string {
	was, is := m.before.Run, m.after.Run
	e, cancels := m.event.(flow.Cancelled)
	compensate := was.Compensate || was.Verdict == flow.VerdictCancelled && !was.Status.Terminal() && e.Compensate
	if was.Verdict != "" && (is.Verdict != was.Verdict || is.Compensate != compensate) {
		return say("%T turns %s/%v into %s/%v", m.event, was.Verdict, was.Compensate, is.Verdict, is.Compensate)
	}
	cancels = cancels && was.Verdict == "" && !was.Status.Terminal()
	if cancels != (was.Verdict == "" && is.Verdict == flow.VerdictCancelled) || cancels && is.Compensate != e.Compensate {
		return say("%T %+v sets the verdict %q with Compensate %v", m.event, m.event, is.Verdict, is.Compensate)
	}
	if is.Verdict == "" {
		return ""
	}
	for _, c := range m.rows() {
		if c.Phase == flow.PhaseUndo || c.after.Status.Final() {
			continue
		}
		if c.isNew || c.before.Status != flow.StepRunning || c.after.Status != flow.StepRunning {
			return say("the verdict is %s, and %v is %s", is.Verdict, c.StepKey, c.after.Status)
		}
	}
	return ""
}

// ruleReason: the run remembers the failure that counts: the latest final one, but none of what only drains.
func ruleReason(m *moment) string {
	was, is := m.before.Run.Reason, m.after.Run.Reason
	var failed []string
	for _, c := range m.rows() {
		ended := c.after.Status == flow.StepFailed && !c.isNew && c.before.Status != flow.StepFailed
		if ended && c.Phase == flow.PhaseDo && !c.block && !m.draining(c.StepKey) {
			failed = append(failed, c.Name)
		}
	}
	switch {
	case len(failed) == 0 && is != was:
		return say("no step failed, and the reason went from %+v to %+v", was, is)
	case len(failed) == 0:
		return ""
	case is == nil || is == was || !slices.Contains(failed, is.Step):
		return say("%v failed, and the reason is %+v", failed, is)
	}
	row := m.after.Do(is.Step)
	if is.Attempt != row.Attempt || !is.At.Equal(m.after.Run.LastAt) || is.Code == "" || is.Message == "" || is.Phase != "" {
		return say("%s failed at attempt %d, and the reason is %+v", is.Step, row.Attempt, is)
	}
	if st := m.spec.Find(is.Step); st.Block != "" && m.after.Do(st.Block).Status != flow.StepFailed {
		return say("%s failed, and its block is %s", is.Step, m.after.Do(st.Block).Status)
	}
	return ""
}

// ruleInterrupt: as soon as running steps can lead nowhere any more, they are told to stop.
func ruleInterrupt(m *moment) string {
	if m.t.Empty() {
		return ""
	}
	running, pointless := 0, false
	for _, c := range m.rows() {
		if c.Phase != flow.PhaseDo || !c.works() {
			continue
		}
		running++
		pointless = pointless || m.after.Run.Verdict != "" || c.st.Block != "" && m.after.Do(c.st.Block).Status == flow.StepFailed
	}
	begun := m.before.Run.Verdict == "" && m.after.Run.Verdict != ""
	for _, c := range m.rows() {
		begun = begun || c.block && c.after.Status == flow.StepFailed && c.before.Status != flow.StepFailed
	}
	if pointless && begun && !m.t.Interrupt {
		return say("%d steps run on for nothing and are not told to stop", running)
	}
	if m.t.Interrupt && !pointless {
		_, lost := m.event.(flow.Lost)
		if !lost {
			return "steps are told to stop, and none runs for nothing"
		}
	}
	return ""
}
