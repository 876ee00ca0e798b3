package oteladapter

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Attributes of spans.
const (
	runKey      = attribute.Key("squidmesh.run")
	workflowKey = attribute.Key("squidmesh.workflow")
	triggerKey  = attribute.Key("squidmesh.trigger")
	statusKey   = attribute.Key("squidmesh.status")
	stepKey     = attribute.Key("squidmesh.step")
	phaseKey    = attribute.Key("squidmesh.phase")
	attemptKey  = attribute.Key("squidmesh.attempt")
	jobKey      = attribute.Key("squidmesh.job")
	outcomeKey  = attribute.Key("squidmesh.outcome")
	codeKey     = attribute.Key("squidmesh.error.code")
	actorKey    = attribute.Key("squidmesh.actor")
	replayedKey = attribute.Key("squidmesh.replayed_from")
)

// Intercept is for [squidmesh.Config].Intercept. It puts a span around a step's function, and into the function's context.
func (t *Telemetry) Intercept(ctx context.Context, next func(ctx context.Context) error) error {
	info, ok := squidmesh.Info(ctx)
	if !ok || !t.sample(info.RunID) {
		return next(ctx)
	}
	attributes := []attribute.KeyValue{
		runKey.String(info.RunID.String()), workflowKey.String(info.Workflow), triggerKey.String(info.Trigger),
		stepKey.String(info.Step), phaseKey.String(string(info.Phase)), attemptKey.Int(info.Attempt),
	}
	if info.Job != "" {
		attributes = append(attributes, jobKey.String(text(info.Job)))
	}
	ctx, span := t.tracer.Start(below(ctx, info.RunID), spanName(info.Phase, info.Step),
		trace.WithAttributes(attributes...), trace.WithLinks(from(ctx)...))
	defer span.End() // also after a panic
	err := next(ctx)
	if err != nil {
		span.SetStatus(codes.Error, text(err.Error()))
	}
	return err
}

// maxText bounds, in bytes, what a span says of an error.
const maxText = 4 << 10

// text is a text that every exporter takes. One that is not UTF-8 would lose the whole batch that it is in, a huge one may.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText-len("...")] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func spanName(phase flow.Phase, step string) string {
	if phase == flow.PhaseUndo {
		return "undo " + step
	}
	return "step " + step
}

// below is a context for spans of a run's trace.
func below(ctx context.Context, run squidmesh.RunID) context.Context {
	return trace.ContextWithRemoteSpanContext(ctx, SpanContext(run))
}

// from links to the span of a context, if it has one.
func from(ctx context.Context) []trace.Link {
	if caller := trace.SpanContextFromContext(ctx); caller.IsValid() {
		return []trace.Link{{SpanContext: caller}}
	}
	return nil
}

// trace writes the spans that no interceptor can: they are over when they are heard of.
func (t *Telemetry) trace(ctx context.Context, o squidmesh.Observation) {
	switch o.Entry.Kind {
	case flow.AuditStarted:
		t.started(ctx, o)
	case flow.AuditApproved, flow.AuditRejected, flow.AuditUnblocked, flow.AuditUndoRetried, flow.AuditAccepted,
		flow.AuditCancelled, flow.AuditExpired:
		name := string(o.Entry.Kind)
		if o.Entry.Name != "" {
			name += " " + o.Entry.Name
		}
		t.past(ctx, o, name, o.Measures.Ran, actorKey.String(text(o.Entry.Actor)))
	case flow.AuditLost:
		t.past(ctx, o, spanName(o.Entry.Phase, o.Entry.Name), o.Measures.Ran, outcomeKey.String("lost"))
	}
	if o.Run.Status.Terminal() {
		t.ended(ctx, o.Run)
	}
}

// started writes the start of a run, and links it and the caller's span to each other.
func (t *Telemetry) started(ctx context.Context, o squidmesh.Observation) {
	if !o.Joined { // else the context is a tick's
		trace.SpanFromContext(ctx).AddLink(trace.Link{SpanContext: SpanContext(o.Run.ID)})
	}
	var extra []attribute.KeyValue
	if len(o.Jobs) > 0 {
		extra = append(extra, jobKey.String(text(o.Jobs[0].JobID)))
	}
	if o.Data.Replayed != "" {
		extra = append(extra, replayedKey.String(o.Data.Replayed))
	}
	t.past(ctx, o, "start "+o.Run.Workflow, o.Measures.Commit, extra...)
}

// past writes a span that ends now, or ended when the caller's transaction wrote what it is about, and took that long.
func (t *Telemetry) past(ctx context.Context, o squidmesh.Observation, name string, took time.Duration, extra ...attribute.KeyValue) {
	at := time.Now()
	if o.Joined { // heard of later
		at = o.Entry.At
	}
	attributes := append(extra, runKey.String(o.Run.ID.String()), workflowKey.String(o.Run.Workflow))
	if o.Entry.Name != "" {
		attributes = append(attributes, stepKey.String(o.Entry.Name), phaseKey.String(string(o.Entry.Phase)), attemptKey.Int(o.Entry.Attempt))
	}
	_, span := t.tracer.Start(below(ctx, o.Run.ID), name, trace.WithTimestamp(at.Add(-took)), trace.WithAttributes(attributes...),
		trace.WithLinks(from(ctx)...))
	if o.Entry.Kind == flow.AuditLost {
		span.SetStatus(codes.Error, "the worker died")
	}
	span.End(trace.WithTimestamp(at))
}

// ended writes the span of the run itself. It has no parent, and with [IDs] the id that all other spans of the run name as theirs.
func (t *Telemetry) ended(ctx context.Context, run squidmesh.Run) {
	root := SpanContext(run.ID).WithSpanID(trace.SpanID{})
	ctx = trace.ContextWithRemoteSpanContext(context.WithValue(ctx, rootKey{}, run.ID), root)
	_, span := t.tracer.Start(ctx, "run "+run.Workflow, trace.WithTimestamp(run.CreatedAt), trace.WithAttributes(
		runKey.String(run.ID.String()), workflowKey.String(run.Workflow), triggerKey.String(run.Trigger), statusKey.String(string(run.Status)),
	))
	if run.Status == squidmesh.RunFailed {
		status := "failed"
		if run.Reason != nil {
			status = run.Reason.Code + ": " + run.Reason.Message
			span.SetAttributes(codeKey.String(text(run.Reason.Code)), stepKey.String(run.Reason.Step))
		}
		span.SetStatus(codes.Error, text(status))
	}
	span.End(trace.WithTimestamp(run.FinishedAt))
}
