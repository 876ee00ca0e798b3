package docs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// FulfilArgs is the job as it was.
type FulfilArgs struct {
	OrderID string `json:"order_id"`
	Cents   int    `json:"cents"`
}

func (FulfilArgs) Kind() string { return "fulfil" }

// Services are the three that the job calls.
type Services interface {
	Reserve(ctx context.Context, order string) (shelf string, err error)
	Release(ctx context.Context, order string) error
	Charge(ctx context.Context, key string, cents int) error
	Ship(ctx context.Context, order, shelf string) error
}

type fulfilBefore struct {
	river.WorkerDefaults[FulfilArgs]
	services Services
}

func (w *fulfilBefore) Work(ctx context.Context, job *river.Job[FulfilArgs]) error {
	shelf, err := w.services.Reserve(ctx, job.Args.OrderID)
	if err != nil {
		return err
	}
	if err := w.services.Charge(ctx, fmt.Sprint(job.ID), job.Args.Cents); err != nil {
		return err // the next attempt reserves again, and after the last one nobody releases
	}
	return w.services.Ship(ctx, job.Args.OrderID, shelf) // the next attempt charges again
}

// Fulfilment has a method for each call.
type Fulfilment struct{ services Services }

type OnShelf struct {
	Shelf string `json:"shelf"`
}

func (f *Fulfilment) Reserve(ctx context.Context, in FulfilArgs) (OnShelf, error) {
	shelf, err := f.services.Reserve(ctx, in.OrderID)
	return OnShelf{shelf}, err
}

func (f *Fulfilment) Release(ctx context.Context, in FulfilArgs) error {
	return f.services.Release(ctx, in.OrderID)
}

func (f *Fulfilment) Charge(ctx context.Context, in FulfilArgs) error {
	return f.services.Charge(ctx, squidmesh.IdempotencyKey(ctx), in.Cents)
}

func (f *Fulfilment) Ship(ctx context.Context, in struct {
	OrderID string `json:"order_id"`
	Shelf   string `json:"shelf"`
},
) error {
	return f.services.Ship(ctx, in.OrderID, in.Shelf)
}

func Fulfil(f *Fulfilment) squidmesh.Workflow {
	patient := squidmesh.Exponential(10, time.Second, time.Hour)
	return squidmesh.Workflow{
		Name:     "fulfil",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("ordered", squidmesh.Payload[FulfilArgs]())},
		Steps: []squidmesh.Step{
			{Name: "reserve", Do: squidmesh.Func(f.Reserve), Undo: squidmesh.Effect(f.Release), Retry: patient, Next: "charge"},
			{Name: "charge", Do: squidmesh.Effect(f.Charge), Retry: patient, Next: "ship"},
			{Name: "ship", Do: squidmesh.Effect(f.Ship), Retry: patient},
		},
	}
}

// fulfilWorker turns a job that is still on its way into a run.
type fulfilWorker struct {
	river.WorkerDefaults[FulfilArgs]
	rt *squidmesh.Runtime[pgx.Tx]
}

func (w *fulfilWorker) Work(ctx context.Context, job *river.Job[FulfilArgs]) error {
	_, err := w.rt.StartRun(ctx, squidmesh.StartParams{Workflow: "fulfil", Key: fmt.Sprint("job-", job.ID), Payload: job.Args})
	return err
}

// services does what it is asked for.
type services struct{ log chan string }

func (s *services) Reserve(_ context.Context, order string) (string, error) {
	s.log <- "reserve " + order
	return "B7", nil
}

func (s *services) Release(_ context.Context, order string) error {
	s.log <- "release " + order
	return nil
}

func (s *services) Charge(_ context.Context, _ string, cents int) error {
	s.log <- fmt.Sprint("charge ", cents)
	if cents == 0 {
		return squidmesh.Fail(errors.New("nothing to charge"))
	}
	return nil
}

func (s *services) Ship(_ context.Context, order, shelf string) error {
	s.log <- "ship " + order + " from " + shelf
	return nil
}

func TestFromRiver(t *testing.T) {
	t.Parallel()
	ctx := context.WithoutCancel(t.Context())
	pool := dbtest.Postgres(t, dbtest.River)
	s := &services{log: make(chan string, 100)}
	var _ river.Worker[FulfilArgs] = &fulfilBefore{services: s}
	ex := riveradapter.New[pgx.Tx](nil)
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: ex,
		Workflows: []squidmesh.Workflow{Fulfil(&Fulfilment{s})},
	})
	require.NoError(t, err)
	workers := river.NewWorkers()
	river.AddWorker(workers, &fulfilWorker{rt: rt})
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Workers: workers, TestOnly: true, Queues: map[string]river.QueueConfig{
		river.QueueDefault: {MaxWorkers: 10}, "squidmesh": riveradapter.Queue(10),
	}})
	require.NoError(t, err)
	ex.SetClient(client)
	require.NoError(t, rt.Start(ctx))
	require.NoError(t, client.Start(ctx))
	t.Cleanup(func() { require.NoError(t, riveradapter.Stop(ctx, client, rt)) })

	_, err = client.Insert(ctx, FulfilArgs{OrderID: "1001", Cents: 4990}, nil)
	require.NoError(t, err)
	for _, want := range []string{"reserve 1001", "charge 4990", "ship 1001 from B7"} {
		require.Equal(t, want, <-s.log)
	}
	_, err = rt.StartRun(ctx, squidmesh.StartParams{Workflow: "fulfil", Payload: FulfilArgs{OrderID: "1002"}})
	require.NoError(t, err)
	for _, want := range []string{"reserve 1002", "charge 0", "release 1002"} {
		require.Equal(t, want, <-s.log)
	}
	for _, statement := range sqlBlock.FindAllStringSubmatch(read(t, "from_river.md"), -1) {
		_, err := pool.Exec(ctx, statement[1])
		require.NoError(t, err)
	}
}

var sqlBlock = regexp.MustCompile("(?s)```sql\n(.*?)```")

func moduleVersion(module, path string) string {
	_, rest, _ := strings.Cut(module, "\t"+path+" ")
	version, _, _ := strings.Cut(rest, "\n")
	return version
}

// The page on stability names the versions that go.mod has.
func TestStability_NamesTheVersions(t *testing.T) {
	t.Parallel()
	page, module := read(t, "stability.md"), read(t, "../go.mod")
	require.Contains(t, module, "\ngo 1.26")
	require.Contains(t, page, "| Go | 1.26 and newer |")
	for _, name := range []string{"river", "river/riverdriver/riversqlite"} {
		version := moduleVersion(module, "github.com/riverqueue/"+name)
		require.NotEmpty(t, version)
		require.Contains(t, page, version)
	}
}
