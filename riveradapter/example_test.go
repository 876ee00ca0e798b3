package riveradapter_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// Invoice is a job that the program had before squidmesh came.
type Invoice struct {
	Number int `json:"number"`
}

func (Invoice) Kind() string { return "invoice" }

type invoiceWorker struct {
	river.WorkerDefaults[Invoice]
	done chan string
}

func (w *invoiceWorker) Work(_ context.Context, job *river.Job[Invoice]) error {
	w.done <- fmt.Sprint("job: invoice ", job.Args.Number)
	return nil
}

// Shop has what the steps depend on.
type Shop struct{ done chan string }

// Checkout is the workflow that comes to live beside the jobs.
func Checkout(shop *Shop) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "checkout",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("ordered", squidmesh.Payload[Invoice]())},
		Steps: []squidmesh.Step{{Name: "ship", Do: squidmesh.Effect(func(_ context.Context, in Invoice) error {
			shop.done <- fmt.Sprint("workflow: order ", in.Number)
			return nil
		})}},
	}
}

// Adding squidmesh to a program that runs River already. The program's own jobs, queues and workers stay as they are, and
// one transaction may insert jobs and start runs.
func Example() {
	ctx := context.Background()
	pool, drop := examplePool(ctx)
	defer drop()
	if err := serve(ctx, pool); err != nil {
		fmt.Println(err)
	}
	// Output:
	// job: invoice 7
	// workflow: order 7
}

func serve(ctx context.Context, pool *pgxpool.Pool) error {
	// The program as it was, but for one call that brings both sets of tables up to date.
	if err := migrations.UpAllPostgres(ctx, pool, nil); err != nil {
		return err
	}
	invoices, orders := make(chan string, 1), make(chan string, 1)
	workers := river.NewWorkers()
	river.AddWorker(workers, &invoiceWorker{done: invoices})
	shop := &Shop{done: orders}

	ex := riveradapter.New[pgx.Tx](nil)
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: ex, Workflows: []squidmesh.Workflow{Checkout(shop)},
	})
	if err != nil {
		return err
	}
	riveradapter.AddWorkers(workers, rt) // beside your own workers
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Workers: workers,
		Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: 100}, // yours, as it was
			"squidmesh":        riveradapter.Queue(50),
		},
	})
	if err != nil {
		return err
	}
	ex.SetClient(client)
	if err := rt.Start(ctx); err != nil { // then client.Start; stop both by riveradapter.Stop(ctx, client, rt)
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		_ = riveradapter.Stop(ctx, client, rt)
	}()

	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := client.InsertTx(ctx, tx, Invoice{Number: 7}, nil); err != nil {
			return err
		}
		_, err := rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "checkout", Payload: Invoice{Number: 7}})
		return err
	})
	if err != nil {
		return err
	}
	rt.Wake()
	fmt.Println(<-invoices)
	fmt.Println(<-orders)
	return nil
}

// examplePool is a pool on a schema of its own.
func examplePool(ctx context.Context) (pool *pgxpool.Pool, drop func()) {
	config, err := pgxpool.ParseConfig(os.Getenv("TEST_DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	schema := fmt.Sprintf("riveradapter_example_%d", os.Getpid())
	config.ConnConfig.RuntimeParams["search_path"] = schema
	if pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		panic(err)
	}
	if _, err := pool.Exec(ctx, "create schema "+schema); err != nil {
		panic("run this by `make test`, which starts PostgreSQL: " + err.Error())
	}
	return pool, func() {
		_, _ = pool.Exec(ctx, "drop schema "+schema+" cascade")
		pool.Close()
	}
}
