package squidmesh

// Keys of what the runtime's log lines are about. Every line about a run has those of them that apply.
const (
	logRun      = "run"
	logWorkflow = "workflow"
	logStep     = "step"
	logPhase    = "phase"
	logAttempt  = "attempt"
	logJob      = "job"
)

// about says for a log line which attempt of which run a member is about, and under which job it comes.
func (m *member) about() []any {
	about := []any{logRun, m.id}
	if m.c.run.Workflow != "" {
		about = append(about, logWorkflow, m.c.run.Workflow)
	}
	if a := attemptedIn(m.event); a.Name != "" {
		about = append(about, logStep, a.Name, logPhase, a.Phase, logAttempt, a.Attempt)
	}
	if e, ok := m.event.(Lost); ok {
		about = append(about, "worker", e.Worker)
	}
	if m.job != "" {
		about = append(about, logJob, m.job)
	}
	return about
}

// about says the same of an attempt at work.
func (x *execution) about() []any {
	about := []any{
		logRun, x.claim.Run, logWorkflow, x.claim.Workflow, logStep, x.claim.Name, logPhase, x.claim.Phase, logAttempt, x.claim.Attempt,
	}
	if x.job != "" {
		about = append(about, logJob, x.job)
	}
	return about
}

// aboutDelivery says what a delivery names.
func aboutDelivery(d Delivery) []any {
	about := []any{"kind", clean(string(d.Kind), maxSignal)}
	for _, a := range []struct{ key, value string }{
		{logRun, d.RunID}, {logWorkflow, d.Workflow}, {"trigger", d.Trigger}, {"signal", d.SignalID}, {logStep, d.Step},
	} {
		if a.value != "" {
			about = append(about, a.key, clean(a.value, maxSignal)) // whoever made the delivery by hand may have put anything there
		}
	}
	if d.Attempt > 0 {
		about = append(about, logAttempt, d.Attempt)
	}
	if d.Job != "" {
		about = append(about, logJob, d.Job)
	}
	return about
}

// attemptedIn is the attempt that an event is about; the zero value for events of a whole run.
func attemptedIn(e Event) Attempted {
	switch e := e.(type) {
	case Claimed:
		return e.Attempted
	case Succeeded:
		return e.Attempted
	case Failed:
		return e.Attempted
	case Released:
		return e.Attempted
	case Expired:
		return Attempted{StepKey: e.StepKey, Attempt: e.Attempt}
	case Redelivered:
		return Attempted{StepKey: e.StepKey, Attempt: e.Attempt}
	default:
		return Attempted{}
	}
}
