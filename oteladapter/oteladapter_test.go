package oteladapter_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/oteladapter"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

type nothing struct{}

// traced is a program whose telemetry is kept in memory.
type traced struct {
	*squidmesh.Runtime[*sql.Tx]
	db     *sql.DB
	tracer trace.Tracer
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
}

func setup(t *testing.T, config *oteladapter.Config, options ...sdktrace.TracerProviderOption) *traced {
	t.Helper()
	p := &traced{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(p.spans))...)
	p.tracer = provider.Tracer("test")
	config.TracerProvider, config.MeterProvider = provider, sdkmetric.NewMeterProvider(sdkmetric.WithReader(p.reader))
	telemetry, err := oteladapter.New(config)
	require.NoError(t, err)

	store := dbtest.SQLite(t, nil, dbtest.River)
	p.db = store.DB()
	executor := riveradapter.New[*sql.Tx](nil)
	p.Runtime, err = squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: store, Executor: executor, Workflows: p.workflows(), Observer: telemetry, Intercept: telemetry.Intercept,
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, p.Runtime)
	client, err := river.NewClient(riversqlite.New(store.DB()), &river.Config{
		Logger: slog.New(slog.DiscardHandler), Workers: workers, TestOnly: true,
		Queues: map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(5)},
	})
	require.NoError(t, err)
	executor.SetClient(client)
	require.NoError(t, p.Start(t.Context()))
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, client.StopAndCancel(ctx))
		require.NoError(t, p.Stop(ctx))
	})
	return p
}

// workflows are parent, which fails once, asks, and starts a child; and child.
func (p *traced) workflows() []squidmesh.Workflow {
	byHand := []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[nothing]())}
	return []squidmesh.Workflow{
		{Name: "parent", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "first", Next: "ask", Retry: squidmesh.Constant(2, 0), Do: squidmesh.Effect(func(ctx context.Context, _ nothing) error {
				_, span := p.tracer.Start(ctx, "inside")
				span.End()
				if info, _ := squidmesh.Info(ctx); info.Attempt == 1 {
					return errors.New("not yet")
				}
				return nil
			})},
			{Name: "ask", Do: squidmesh.Approval(), Next: "last", OnError: squidmesh.Complete, Output: "asked"},
			{Name: "last", Do: squidmesh.Effect(func(ctx context.Context, _ nothing) error {
				_, err := p.StartRun(ctx, squidmesh.StartParams{Workflow: "child", Key: squidmesh.IdempotencyKey(ctx)})
				return err
			})},
		}},
		{Name: "child", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "only", Do: squidmesh.Effect(func(context.Context, nothing) error { return squidmesh.Fail(errors.New("never")) })},
		}},
	}
}

// play runs parent and child to their ends and returns their ids, and the span that it started parent under.
func (p *traced) play(t *testing.T) (parent, child squidmesh.RunID, caller trace.SpanContext) {
	t.Helper()
	ctx, span := p.tracer.Start(t.Context(), "caller")
	run, err := p.StartRun(ctx, squidmesh.StartParams{Workflow: "parent"})
	require.NoError(t, err)
	span.End()
	require.Eventually(t, func() bool {
		_, err := p.ApproveRun(t.Context(), run.ID, squidmesh.Decision{Actor: "ann"})
		return err == nil
	}, time.Minute, time.Millisecond)
	_, err = p.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		page, err := p.ListRuns(t.Context(), squidmesh.ListParams{Workflow: "child", Statuses: []squidmesh.RunStatus{squidmesh.RunFailed}})
		if err != nil || len(page.Runs) == 0 {
			return false
		}
		child = page.Runs[0].ID
		return true
	}, time.Minute, time.Millisecond)
	return run.ID, child, span.SpanContext()
}

// The spans that play leaves, by name.
var (
	parentSpans = map[string]int{"run parent": 1, "start parent": 1, "step first": 2, "inside": 2, "approved ask": 1, "step last": 1}
	childSpans  = map[string]int{"run child": 1, "start child": 1, "step only": 1}
)

// of waits for all spans of the run's trace, which may come in any order: whoever committed tells of it afterwards.
func (p *traced) of(t *testing.T, run squidmesh.RunID, want map[string]int) map[string][]tracetest.SpanStub {
	t.Helper()
	var spans map[string][]tracetest.SpanStub
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		spans = map[string][]tracetest.SpanStub{}
		counts := map[string]int{}
		for _, s := range p.spans.GetSpans() {
			if s.SpanContext.TraceID() == trace.TraceID(run) {
				spans[s.Name] = append(spans[s.Name], s)
				counts[s.Name]++
			}
		}
		require.Equal(c, want, counts)
	}, time.Minute, time.Millisecond)
	return spans
}

func attributeOf(s tracetest.SpanStub, key attribute.Key) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

func TestTraces(t *testing.T) {
	t.Parallel()

	p := setup(t, &oteladapter.Config{}, sdktrace.WithIDGenerator(oteladapter.IDs{}))
	parent, child, caller := p.play(t)
	spans := p.of(t, parent, parentSpans)
	root := oteladapter.SpanContext(parent)

	run := spans["run parent"][0]
	require.Equal(t, root.SpanID(), run.SpanContext.SpanID())
	require.False(t, run.Parent.SpanID().IsValid(), "the run's span is the root")
	require.Equal(t, "completed", attributeOf(run, "squidmesh.status"))
	for _, name := range []string{"start parent", "step first", "approved ask", "step last"} {
		for _, s := range spans[name] {
			require.Equal(t, root.SpanID(), s.Parent.SpanID(), name)
			require.Equal(t, parent.String(), attributeOf(s, "squidmesh.run"))
			require.Equal(t, "parent", attributeOf(s, "squidmesh.workflow"))
		}
	}

	start := spans["start parent"][0]
	require.Equal(t, caller.SpanID(), start.Links[0].SpanContext.SpanID())
	require.NotEmpty(t, attributeOf(start, "squidmesh.job"))
	for _, s := range p.spans.GetSpans() {
		if s.Name == "caller" {
			require.Equal(t, root.SpanID(), s.Links[0].SpanContext.SpanID(), "the caller leads to the run")
		}
	}

	attempts := spans["step first"]
	slices.SortFunc(attempts, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	require.Equal(t, codes.Error, attempts[0].Status.Code)
	require.Equal(t, "not yet", attempts[0].Status.Description)
	require.Equal(t, attributeOf(start, "squidmesh.job"), attributeOf(attempts[0], "squidmesh.job"))
	require.Equal(t, "2", attributeOf(attempts[1], "squidmesh.attempt"))
	require.Equal(t, codes.Unset, attempts[1].Status.Code)
	for _, s := range spans["inside"] {
		require.Contains(t, []trace.SpanID{attempts[0].SpanContext.SpanID(), attempts[1].SpanContext.SpanID()}, s.Parent.SpanID())
	}
	require.Equal(t, "ann", attributeOf(spans["approved ask"][0], "squidmesh.actor"))

	others := p.of(t, child, childSpans)
	require.Equal(t, spans["step last"][0].SpanContext.SpanID(), others["start child"][0].Links[0].SpanContext.SpanID())
	require.Equal(t, codes.Error, others["run child"][0].Status.Code)
	require.Equal(t, "error: never", others["run child"][0].Status.Description)
}

// A run that was started in a caller's transaction has its span of the start, at its time, and is counted as others are.
func TestTraces_StartedInACallersTransaction(t *testing.T) {
	t.Parallel()

	p := setup(t, &oteladapter.Config{})
	tx, err := p.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	run, err := p.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "child"})
	require.NoError(t, err)
	require.NoError(t, tx.Commit())

	start := p.of(t, run.ID, childSpans)["start child"][0]
	require.WithinDuration(t, run.CreatedAt, start.EndTime, 0)
	require.Empty(t, start.Links, "the caller's span is not known")
	counts := p.counts(t)
	require.Equal(t, map[string]int64{"squidmesh.trigger=go,squidmesh.workflow=child": 1}, counts["squidmesh.runs.started"])
	require.Equal(t, map[string]int64{"squidmesh.status=failed,squidmesh.workflow=child": 1}, counts["squidmesh.runs.ended"])
}

// Without the id generator the run's span is in its trace all the same.
func TestTraces_WithoutIDs(t *testing.T) {
	t.Parallel()

	p := setup(t, &oteladapter.Config{})
	parent, _, _ := p.play(t)
	p.of(t, parent, parentSpans)
}

func TestSample(t *testing.T) {
	t.Parallel()

	p := setup(t, &oteladapter.Config{Sample: oteladapter.Ratio(0)})
	parent, _, _ := p.play(t)
	require.Eventually(t, func() bool { return len(p.counts(t)["squidmesh.attempts"]) == 4 }, time.Minute, time.Millisecond, "metrics count all")
	for _, s := range p.spans.GetSpans() {
		require.NotEqual(t, trace.TraceID(parent), s.SpanContext.TraceID())
		require.Empty(t, attributeOf(s, "squidmesh.run"))
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()

	sampled := map[float64]int{}
	for range 10_000 {
		run, err := uuid.NewV7()
		require.NoError(t, err)
		for _, share := range []float64{0, 0.1, 0.5, 1} {
			if oteladapter.Ratio(share)(run) {
				sampled[share]++
			}
		}
	}
	require.Zero(t, sampled[0])
	require.InDelta(t, 1_000, sampled[0.1], 300)
	require.InDelta(t, 5_000, sampled[0.5], 500)
	require.Equal(t, 10_000, sampled[1])
}

// counts are the values of counters and the numbers of measurements in histograms, by name and then by attributes.
func (p *traced) counts(t require.TestingT) map[string]map[string]int64 {
	var all metricdata.ResourceMetrics
	require.NoError(t, p.reader.Collect(context.Background(), &all))
	counts := map[string]map[string]int64{}
	add := func(name string, attributes attribute.Set, n int64) {
		if counts[name] == nil {
			counts[name] = map[string]int64{}
		}
		counts[name][attributes.Encoded(attribute.DefaultEncoder())] += n
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					add(m.Name, point.Attributes, point.Value)
				}
			case metricdata.Histogram[float64]:
				for _, point := range data.DataPoints {
					add(m.Name, point.Attributes, int64(point.Count))
				}
			}
		}
	}
	return counts
}

func TestMetrics(t *testing.T) {
	t.Parallel()

	p := setup(t, &oteladapter.Config{})
	p.play(t)
	step := func(name, outcome string) string {
		return fmt.Sprintf("squidmesh.outcome=%s,squidmesh.phase=do,squidmesh.step=%s,squidmesh.workflow=parent", outcome, name)
	}
	want := map[string]map[string]int64{
		"squidmesh.runs.started": {
			"squidmesh.trigger=go,squidmesh.workflow=child": 1, "squidmesh.trigger=go,squidmesh.workflow=parent": 1,
		},
		"squidmesh.runs.ended": {
			"squidmesh.status=completed,squidmesh.workflow=parent": 1, "squidmesh.status=failed,squidmesh.workflow=child": 1,
		},
		"squidmesh.attempts": {
			step("first", "retried"): 1, step("first", "succeeded"): 1, step("last", "succeeded"): 1,
			"squidmesh.outcome=failed,squidmesh.phase=do,squidmesh.step=only,squidmesh.workflow=child": 1,
		},
		"squidmesh.decisions":     {"squidmesh.outcome=approved,squidmesh.step=ask,squidmesh.workflow=parent": 1},
		"squidmesh.decision.wait": {"squidmesh.outcome=approved,squidmesh.step=ask,squidmesh.workflow=parent": 1},
		"squidmesh.queue.delay": {
			"squidmesh.phase=do,squidmesh.step=first,squidmesh.workflow=parent": 2,
			"squidmesh.phase=do,squidmesh.step=last,squidmesh.workflow=parent":  1,
			"squidmesh.phase=do,squidmesh.step=only,squidmesh.workflow=child":   1,
		},
	}
	want["squidmesh.step.duration"] = want["squidmesh.attempts"]
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		counts := p.counts(c)
		require.GreaterOrEqual(c, counts["squidmesh.deliveries"]["squidmesh.kind=step,squidmesh.outcome=done"], int64(4))
		for name, want := range want {
			require.Equal(c, want, counts[name], name)
		}
		require.NotEmpty(c, counts["squidmesh.commit.duration"])
		require.NotEmpty(c, counts["squidmesh.jobs.enqueued"])
	}, time.Minute, time.Millisecond)
}

// The metric of attempts says which failures were not the step's own choice, such as an end that was not recorded; what a step chooses may be any
// number of words.
func TestMetrics_AttemptsSayWhyTheyFailed(t *testing.T) {
	t.Parallel()

	reader := sdkmetric.NewManualReader()
	telemetry, err := oteladapter.New(&oteladapter.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	require.NoError(t, err)
	for _, kind := range []flow.AuditKind{flow.AuditFailed, flow.AuditRetried} {
		for _, code := range []string{flow.CodeGivenBack, flow.CodeNotRecorded, flow.CodeError, "of_the_step"} {
			telemetry.Observe(t.Context(), squidmesh.Observation{
				Run: squidmesh.Run{Workflow: "w"}, Entry: flow.AuditEntry{Kind: kind}, Data: flow.AuditData{Error: &flow.StepError{Code: code}},
			})
		}
	}
	attempt := func(outcome, reason string) string {
		return fmt.Sprintf("squidmesh.outcome=%s%s,squidmesh.workflow=w", outcome, reason)
	}
	p := &traced{reader: reader}
	require.Equal(t, map[string]int64{
		attempt("failed", ",squidmesh.reason=given_back"): 1, attempt("failed", ",squidmesh.reason=not_recorded"): 1, attempt("failed", ""): 2,
		attempt("retried", ",squidmesh.reason=given_back"): 1, attempt("retried", ",squidmesh.reason=not_recorded"): 1, attempt("retried", ""): 2,
	}, p.counts(t)["squidmesh.attempts"])
}
