package oteladapter

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// metrics are the instruments. Their attributes are names out of definitions and fixed words, never ids, so that their number is
// bounded.
type metrics struct {
	started, ended, attempts, jobs, decisions, deliveries, fires metric.Int64Counter
	run, function, queued, commit, open                          metric.Float64Histogram
	sets                                                         *sync.Map // of labels, to metric.MeasurementOption
}

func newMetrics(meter metric.Meter) (metrics, error) {
	var problems []error
	counter := func(name, unit, description string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		problems = append(problems, err)
		return c
	}
	histogram := func(name, description string, bounds ...float64) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(bounds...))
		problems = append(problems, err)
		return h
	}
	short := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	long := []float64{.01, .1, 1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}
	m := metrics{
		started:    counter("squidmesh.runs.started", "{run}", "Runs that were started."),
		ended:      counter("squidmesh.runs.ended", "{run}", "Runs that ended, by status."),
		attempts:   counter("squidmesh.attempts", "{attempt}", "Attempts that ended, by outcome: succeeded, retried, failed, released, lost."),
		jobs:       counter("squidmesh.jobs.enqueued", "{job}", "Jobs that were handed to the queue."),
		decisions:  counter("squidmesh.decisions", "{decision}", "Decisions of operators."),
		deliveries: counter("squidmesh.deliveries", "{delivery}", "Deliveries that were answered, by outcome and reason."),
		fires:      counter("squidmesh.fires", "{fire}", "Cron windows, by state."),
		run:        histogram("squidmesh.run.duration", "From the start of a run to its end.", long...),
		function:   histogram("squidmesh.step.duration", "What the functions of steps took.", short...),
		queued:     histogram("squidmesh.queue.delay", "How long after its due time a delivery was claimed.", short...),
		commit:     histogram("squidmesh.commit.duration", "From the request to write a transition to the answer of COMMIT.", short...),
		open:       histogram("squidmesh.decision.wait", "How long decisions were open.", long...),
		sets:       &sync.Map{},
	}
	return m, errors.Join(problems...)
}

// labels are a set of attributes; empty ones are left out.
type labels struct {
	workflow, trigger, step, phase, outcome, reason, status, queue, kind string
}

// with is the option for a set of attributes. Each is made once.
func (m *metrics) with(l labels) metric.MeasurementOption {
	if set, ok := m.sets.Load(l); ok {
		return set.(metric.MeasurementOption)
	}
	var attributes []attribute.KeyValue
	for _, a := range []struct {
		key   attribute.Key
		value string
	}{
		{workflowKey, l.workflow},
		{triggerKey, l.trigger},
		{stepKey, l.step},
		{phaseKey, l.phase},
		{outcomeKey, l.outcome},
		{"squidmesh.reason", l.reason},
		{statusKey, l.status},
		{"squidmesh.queue", l.queue},
		{"squidmesh.kind", l.kind},
	} {
		if a.value != "" {
			attributes = append(attributes, a.key.String(a.value))
		}
	}
	set, _ := m.sets.LoadOrStore(l, metric.WithAttributeSet(attribute.NewSet(attributes...)))
	return set.(metric.MeasurementOption)
}

// outcomes are the audit entries that end an attempt.
var outcomes = map[flow.AuditKind]string{
	flow.AuditSucceeded: "succeeded", flow.AuditFailed: "failed", flow.AuditRetried: "retried",
	flow.AuditReleased: "released", flow.AuditLost: "lost",
	flow.AuditUndone: "succeeded", flow.AuditUndoFailed: "failed",
}

// causes are the codes of failures that steps do not choose themselves, but for that of a plain error. A step's own may be any number.
var causes = []string{
	flow.CodePanic, flow.CodeExited, flow.CodeTimeout, flow.CodeInvalidInput, flow.CodeInvalidOutput, flow.CodeUnknownRoute, flow.CodeWorkerLost,
	flow.CodeTransactionEnded, flow.CodeNotRecorded, flow.CodeGivenBack, flow.CodeInterrupted,
}

// cause is the reason of an attempt's failure as an attribute; empty if there is none, or the step chose it.
func cause(failure *flow.StepError) string {
	if failure == nil || !slices.Contains(causes, failure.Code) {
		return ""
	}
	return failure.Code
}

func (m *metrics) observe(ctx context.Context, o squidmesh.Observation) {
	workflow, step, phase := o.Run.Workflow, o.Entry.Name, string(o.Entry.Phase)
	if !o.Joined { // else it was the caller's commit
		m.commit.Record(ctx, o.Measures.Commit.Seconds(), m.with(labels{}))
	}
	for _, job := range o.Jobs {
		m.jobs.Add(ctx, 1, m.with(labels{workflow: workflow, queue: job.Queue, kind: job.Worker}))
	}
	switch o.Entry.Kind {
	case flow.AuditStarted:
		m.started.Add(ctx, 1, m.with(labels{workflow: workflow, trigger: o.Run.Trigger}))
	case flow.AuditClaimed:
		m.queued.Record(ctx, o.Measures.Queued.Seconds(), m.with(labels{workflow: workflow, step: step, phase: phase}))
	case flow.AuditApproved, flow.AuditRejected, flow.AuditUnblocked, flow.AuditCancelled,
		flow.AuditUndoRetried, flow.AuditAccepted, flow.AuditExpired:
		set := m.with(labels{workflow: workflow, step: step, outcome: string(o.Entry.Kind)})
		m.decisions.Add(ctx, 1, set)
		if o.Measures.Ran > 0 {
			m.open.Record(ctx, o.Measures.Ran.Seconds(), set)
		}
	}
	if outcome := outcomes[o.Entry.Kind]; outcome != "" {
		set := m.with(labels{workflow: workflow, step: step, phase: phase, outcome: outcome, reason: cause(o.Data.Error)})
		m.attempts.Add(ctx, 1, set)
		if o.Measures.Function > 0 {
			m.function.Record(ctx, o.Measures.Function.Seconds(), set)
		}
	}
	if o.Run.Status.Terminal() {
		set := m.with(labels{workflow: workflow, status: string(o.Run.Status)})
		m.ended.Add(ctx, 1, set)
		m.run.Record(ctx, o.Run.FinishedAt.Sub(o.Run.CreatedAt).Seconds(), set)
	}
}

func (m *metrics) observeDelivery(ctx context.Context, o squidmesh.DeliveryObservation) {
	outcome, reason := string(o.Outcome.Kind), o.Outcome.Reason
	if o.Err != nil {
		outcome = "error"
	}
	kind := string(o.Delivery.Kind)
	if reason == flow.DeliveryBad {
		kind = "unknown" // it may be anything
	}
	m.deliveries.Add(ctx, 1, m.with(labels{kind: kind, outcome: outcome, reason: reason}))
}

func (m *metrics) observeFire(ctx context.Context, f flow.Fire) {
	m.fires.Add(ctx, 1, m.with(labels{workflow: f.Workflow, trigger: f.Trigger, status: string(f.State)}))
}
