package oteladapter_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/oteladapter"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// A program's tracer provider with [oteladapter.IDs], and the telemetry as observer and interceptor. The exporter here keeps spans in
// memory, where a real one would send them.
func Example() {
	ctx := context.Background()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithIDGenerator(oteladapter.IDs{}))
	telemetry, err := oteladapter.New(&oteladapter.Config{TracerProvider: provider})
	check(err)

	dir, err := os.MkdirTemp("", "oteladapter-example")
	check(err)
	defer func() { check(os.RemoveAll(dir)) }()
	store, err := sqlitestore.Open(ctx, filepath.Join(dir, "example.db"), nil)
	check(err)
	check(migrations.UpAllSQLite(ctx, store.DB(), nil))
	executor := riveradapter.New[*sql.Tx](nil)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: store, Executor: executor, Logger: quiet,
		Observer: telemetry, Intercept: telemetry.Intercept,
		Workflows: []squidmesh.Workflow{{
			Name:     "greet",
			Triggers: []squidmesh.Trigger{squidmesh.Manual("greet", squidmesh.Payload[struct{}]())},
			Steps: []squidmesh.Step{
				{Name: "hello", Next: "bye", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })},
				{Name: "bye", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })},
			},
		}},
	})
	check(err)
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riversqlite.New(store.DB()), &river.Config{
		Workers: workers, Logger: quiet, Queues: map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(10)},
	})
	check(err)
	executor.SetClient(client)
	check(rt.Start(ctx))
	check(client.Start(ctx))

	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "greet"})
	check(err)
	_, err = rt.AwaitRun(ctx, run.ID)
	check(err)
	check(client.Stop(ctx))
	check(rt.Stop(ctx))
	check(store.Close())

	for _, span := range spans.GetSpans() {
		fmt.Println(span.Name, span.SpanContext.TraceID() == oteladapter.SpanContext(run.ID).TraceID(), span.Parent.IsValid())
	}
	// Unordered output:
	// start greet true true
	// step hello true true
	// step bye true true
	// run greet true false
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
