package docs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/oteladapter"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// Examples without output are compiled and not run: these need a database of their own.
func Example_operating() {
	ctx := context.Background()
	pool, err := setUp(ctx)
	if err == nil {
		err = check(ctx, pool)
	}
	if err == nil {
		err = prune(ctx, nil)
	}
	if err == nil {
		err = hold(ctx, nil)
	}
	if err == nil {
		err = shutDown(nil, nil)
	}
	fmt.Println(err, observer)
}

func shutDown(client *river.Client[pgx.Tx], rt *squidmesh.Runtime[pgx.Tx]) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // Kubernetes kills after 30
	defer cancel()
	return riveradapter.Stop(ctx, client, rt)
}

func setUp(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	pgstore.TunePool(config, nil) // so that connections which die in silence hold nobody up
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := migrations.UpAllPostgres(ctx, pool, nil); err != nil { // River's tables and squidmesh's
		return nil, err
	}
	return pool, nil
}

var retention = squidmesh.Retention{Completed: 30 * 24 * time.Hour, Cancelled: 30 * 24 * time.Hour, Fires: 7 * 24 * time.Hour}

func prune(ctx context.Context, rt *squidmesh.Runtime[pgx.Tx]) error {
	would, err := rt.PreviewPrune(ctx, retention)
	if err != nil {
		return err
	}
	slog.Info("to prune", "completed", would.Completed, "cancelled", would.Cancelled, "fires", would.Fires, "shapes", would.Shapes)
	pruned, err := rt.PruneRuns(ctx, retention)
	slog.Info("pruned", "runs", pruned.Runs(), "fires", pruned.Fires)
	return err
}

func hold(ctx context.Context, rt *squidmesh.Runtime[pgx.Tx]) error {
	why := squidmesh.TriggerParams{Actor: "ana", Comment: "the mail server is away"}
	if err := rt.PauseTrigger(ctx, "digest", "nightly", why); err != nil {
		return err
	}
	triggers, err := rt.ListTriggers(ctx, squidmesh.ListTriggersParams{Workflow: "digest"})
	for _, t := range triggers {
		fmt.Println(t.TriggerKey, "paused:", t.Paused, "by", t.Actor, "at", t.ChangedAt, t.Comment)
	}
	return err
}

func check(ctx context.Context, pool *pgxpool.Pool) error {
	violations, err := invariants.CheckPostgres(ctx, pool, nil)
	if err != nil {
		return err
	}
	for _, v := range violations {
		fmt.Println(v) // the rule, the run, and what breaks it
	}
	return nil
}

func seal(ctx context.Context, rt *squidmesh.Runtime[pgx.Tx], params squidmesh.SealParams) error {
	result, err := rt.SealRuns(ctx, params)
	slog.Info("sealed", "runs", result.Runs, "values", result.Values, "unreadable", result.Unreadable, "last", result.Last)
	return err
}

var observer = squidmesh.ObserverFunc(func(_ context.Context, o squidmesh.Observation) {
	if o.Entry.Kind == flow.AuditFailed {
		slog.Warn("step failed", "run", o.Run.ID, "workflow", o.Run.Workflow, "step", o.Entry.Name,
			"code", o.Data.Error.Code, "took", o.Measures.Function)
	}
})

var cardNumbers = regexp.MustCompile(`\d{13,19}`)

// guarded is a configuration that lets out as little as it can.
func guarded(config *squidmesh.Config[pgx.Tx], newKey, oldKey []byte) (*squidmesh.Config[pgx.Tx], error) {
	config.Redact = func(_, text string) string { return cardNumbers.ReplaceAllString(text, "[card]") }
	ring, err := squidmesh.NewKeyring("2026-11", map[string][]byte{
		"2026-11": newKey, // seals, and opens
		"2025-11": oldKey, // opens what it once sealed
	})
	if err != nil {
		return nil, err
	}
	config.Codec = ring
	return config, nil
}

// observed is a configuration whose runs are traced.
func observed(config *squidmesh.Config[pgx.Tx], exporter sdktrace.SpanExporter) (*squidmesh.Config[pgx.Tx], error) {
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithIDGenerator(oteladapter.IDs{}))
	telemetry, err := oteladapter.New(&oteladapter.Config{TracerProvider: provider})
	if err != nil {
		return nil, err
	}
	config.Observer, config.Intercept = telemetry, telemetry.Intercept
	return config, nil
}

func TestGuardedAndObserved(t *testing.T) {
	t.Parallel()

	config, err := guarded(&squidmesh.Config[pgx.Tx]{}, bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	require.Equal(t, "card [card]", config.Redact("message", "card 4111111111111111"))
	config, err = observed(config, tracetest.NewInMemoryExporter())
	require.NoError(t, err)
	require.NotNil(t, config.Intercept)

	config.Store, config.Executor = pgstore.New(dbtest.Postgres(t), nil), riveradapter.New[pgx.Tx](nil)
	config.Workflows = []squidmesh.Workflow{{
		Name: "note", Triggers: []squidmesh.Trigger{squidmesh.Manual("manual", squidmesh.Contract{})}, Steps: []squidmesh.Step{{Name: "wait", Do: squidmesh.Pause()}},
	}}
	rt, err := squidmesh.New(config)
	require.NoError(t, err)
	require.NoError(t, seal(t.Context(), rt, squidmesh.SealParams{Retire: []string{"2025-11"}}))
}
