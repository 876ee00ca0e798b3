package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/squidmesh/squidmesh-go/oteladapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// canaries are the secrets of a test, each used in one place, so that what leaks tells where.
var canaries = regexp.MustCompile(`canary-[a-z_]+`)

type secret struct {
	Secret string `json:"secret"`
}

type secretResult struct {
	Token string `json:"token"`
}

// leaky is a workflow that puts a canary wherever data of users can go: it retries, asks, fails finally, and takes back.
func leaky() squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: "leaky", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[secret]())},
		Steps: []squidmesh.Step{
			{
				Name: "pay", Next: "store", Output: "paid", Retry: squidmesh.Constant(2, 0),
				Do: squidmesh.Func(func(ctx context.Context, in secret) (secretResult, error) {
					squidmesh.Logger(ctx).Info("paying canary-log_message", "in", in, "secret", "canary-log_text",
						slog.Group("more", "error", errors.New("canary-log_error")))
					if info, _ := squidmesh.Info(ctx); info.Attempt == 1 {
						err := fmt.Errorf("canary-error: %w", errors.New("canary-cause"))
						return secretResult{}, squidmesh.WithDetails(map[string]string{"card": "canary-details"}, err)
					}
					return secretResult{"canary-output"}, nil
				}),
				Undo: squidmesh.Effect(func(ctx context.Context, _ struct {
					Paid secretResult `json:"paid"`
				},
				) error {
					if info, _ := squidmesh.Info(ctx); info.Attempt == 1 {
						return errors.New("canary-undo_error")
					}
					return nil
				}), UndoRetry: squidmesh.Constant(3, 0),
			},
			{
				Name: "store", Next: "crash", Output: "stored",
				Do: squidmesh.FuncTx(func(context.Context, pgx.Tx, secret) (secretResult, error) {
					return secretResult{"canary-tx_output"}, nil
				}),
			},
			{Name: "crash", OnError: "ask", Do: squidmesh.Effect(func(context.Context, secret) error { panic("canary-panic") })},
			{Name: "ask", Do: squidmesh.Approval(), Output: "asked", Next: "again", OnError: squidmesh.Complete},
			{Name: "again", Do: squidmesh.Approval(), Output: "asked_again", Next: squidmesh.Complete, OnError: "end"},
			{Name: "end", Do: squidmesh.EffectTx(func(context.Context, pgx.Tx, secret) error { return squidmesh.Fail(errors.New("canary-final_error")) })},
		},
	}
}

// nightly is a workflow that operators can say something about.
func nightly() squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: "nightly", Triggers: []squidmesh.Trigger{squidmesh.Cron("night", "@yearly", "", squidmesh.Contract{})},
		Steps: []squidmesh.Step{{Name: "act", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })}},
	}
}

// everyone is several observers, one of which writes all that it is told.
type everyone struct {
	*oteladapter.Telemetry
	told *logbook
}

func (e everyone) Observe(ctx context.Context, o squidmesh.Observation) {
	_ = json.NewEncoder(e.told).Encode(o)
	e.Telemetry.Observe(ctx, o)
}

func (e everyone) ObserveFire(ctx context.Context, f flow.Fire) {
	_ = json.NewEncoder(e.told).Encode(f)
	e.Telemetry.ObserveFire(ctx, f)
}

func (e everyone) ObserveDelivery(ctx context.Context, o squidmesh.DeliveryObservation) {
	_ = json.NewEncoder(e.told).Encode(o)
	e.Telemetry.ObserveDelivery(ctx, o)
}

// leaked runs the workflow and returns the canaries found in rows, and those found in logs, observations, traces and metrics.
func leaked(t *testing.T, config *squidmesh.Config[pgx.Tx]) (rows, outside []string) {
	t.Helper()
	logged, told, spans, reader := &logbook{}, &logbook{}, tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	telemetry, err := oteladapter.New(&oteladapter.Config{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithIDGenerator(oteladapter.IDs{})),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	})
	require.NoError(t, err)
	config.Workflows = []squidmesh.Workflow{leaky(), nightly()}
	config.Logger = slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config.Observer, config.Intercept = everyone{telemetry, told}, telemetry.Intercept
	p, pool := postgresProgram(t, config)

	_, err = p.FireTrigger(t.Context(), "nightly", "night", squidmesh.TriggerParams{Actor: "ann", Comment: "canary-fire_comment"})
	require.NoError(t, err)
	require.NoError(t, p.PauseTrigger(t.Context(), "nightly", "night", squidmesh.TriggerParams{Actor: "ann", Comment: "canary-pause_comment"}))
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "leaky", Payload: secret{"canary-payload"}, Key: "once"})
	require.NoError(t, err)
	decide := func(decide func(context.Context, squidmesh.RunID, squidmesh.Decision) (squidmesh.Run, error), d squidmesh.Decision) {
		require.Eventually(t, func() bool {
			_, err := decide(t.Context(), run.ID, d)
			return err == nil
		}, time.Minute, 5*time.Millisecond)
	}
	metadata := json.RawMessage(`{"note":"canary-metadata"}`)
	decide(p.ApproveRun, squidmesh.Decision{Step: "ask", Actor: "ann", Comment: "canary-comment", Metadata: metadata})
	decide(p.RejectRun, squidmesh.Decision{Step: "again", Actor: "bob", Comment: "canary-rejection", Metadata: metadata})
	ended, err := p.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunFailed, ended.Status)

	// Whoever may read them does.
	triggers, err := p.ListTriggers(t.Context(), squidmesh.ListTriggersParams{})
	require.NoError(t, err)
	require.Equal(t, "canary-pause_comment", triggers[0].Comment)
	require.Equal(t, "canary-fire_comment", triggers[0].Fires[0].Comment)
	in, err := p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.JSONEq(t, `{"secret":"canary-payload"}`, string(in.Run.Payload))
	require.JSONEq(t, `{"token":"canary-tx_output"}`, string(in.Steps[1].Output))
	require.Equal(t, flow.StepCompleted, in.Steps[0].Undo.Status)

	require.Eventually(t, func() bool { return strings.Contains(fmt.Sprint(spans.GetSpans()), "run leaky") }, time.Minute, time.Millisecond)
	var metrics metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &metrics))
	exported, err := json.Marshal([]any{tracetest.SpanStubsFromReadOnlySpans(spans.GetSpans().Snapshots()), metrics})
	require.NoError(t, err)
	return find(everyRow(t, pool)), find(logged.String() + told.String() + string(exported))
}

func find(text string) []string {
	var found []string
	for _, canary := range canaries.FindAllString(text, -1) {
		if !strings.Contains(strings.Join(found, " ")+" ", canary+" ") {
			found = append(found, canary)
		}
	}
	return found
}

// everyRow is all rows of all tables, River's too, as text.
func everyRow(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	var all strings.Builder
	rows, err := pool.Query(t.Context(), "select quote_ident(table_name) from information_schema.tables where table_schema = current_schema() and table_type = 'BASE TABLE'")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, tables, "river_job")
	for _, table := range tables {
		rows, err := pool.Query(t.Context(), "select t::text from "+table+" t")
		require.NoError(t, err)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, text := range texts {
			_, _ = fmt.Fprintln(&all, text)
		}
	}
	return all.String()
}

// With a codec and a redactor nothing of what functions and people say stands in any row, job, log line, observation, span or metric.
// Without them it does, or this test could not fail.
func TestCanary(t *testing.T) {
	t.Parallel()

	t.Run("sealed and redacted", func(t *testing.T) {
		t.Parallel()

		ring, err := squidmesh.NewKeyring("k1", map[string][]byte{"k1": bytes.Repeat([]byte{7}, 32)})
		require.NoError(t, err)
		rows, outside := leaked(t, &squidmesh.Config[pgx.Tx]{
			Codec:  ring,
			Redact: func(_, text string) string { return canaries.ReplaceAllString(text, "[redacted]") },
		})
		require.Empty(t, rows)
		require.Empty(t, outside)
	})
	t.Run("plain", func(t *testing.T) {
		t.Parallel()

		rows, outside := leaked(t, &squidmesh.Config[pgx.Tx]{})
		require.ElementsMatch(t, []string{
			"canary-payload", "canary-error", "canary-cause", "canary-details", "canary-output", "canary-tx_output", "canary-panic",
			"canary-comment", "canary-metadata", "canary-rejection", "canary-final_error", "canary-undo_error",
			"canary-fire_comment", "canary-pause_comment",
		}, rows)
		require.ElementsMatch(t, []string{
			"canary-payload", "canary-log_message", "canary-log_text", "canary-log_error", "canary-error", "canary-cause", "canary-details",
			"canary-panic", "canary-comment", "canary-rejection", "canary-final_error", "canary-undo_error",
			"canary-fire_comment",
		}, outside) // the payload by the step's own line; no results, no metadata
	})
}
