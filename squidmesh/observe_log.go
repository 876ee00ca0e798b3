package squidmesh

import (
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// Keys of what the runtime's log lines are about. Every line about a run has those of them that apply.
const (
	logRun      = "run"
	logWorkflow = "workflow"
	logStep     = "step"
	logPhase    = "phase"
	logAttempt  = "attempt"
	logJob      = "job"
)

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
func aboutDelivery(d driver.Delivery) []any {
	about := []any{"kind", text.Clean(string(d.Kind), driver.MaxSignal)}
	for _, a := range []struct{ key, value string }{
		{logRun, d.RunID}, {logWorkflow, d.Workflow}, {"trigger", d.Trigger}, {"signal", d.SignalID}, {logStep, d.Step},
	} {
		if a.value != "" {
			about = append(about, a.key, text.Clean(a.value, driver.MaxSignal)) // whoever made the delivery by hand may have put anything there
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
