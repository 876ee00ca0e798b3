// Quickstart takes an order through four steps. Kill it in between and start it again: it goes on where it was.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// Order is the payload: what a run is started with.
type Order struct {
	ID    string `json:"id"`
	Cents int    `json:"cents"`
}

// Reservation is what the first step returns. Its fields join the run's data.
type Reservation struct {
	Shelf string `json:"shelf"`
}

// Parcel is what the last step reads: id comes from the payload, shelf from the first step.
type Parcel struct {
	ID    string `json:"id"`
	Shelf string `json:"shelf"`
}

var checkout = squidmesh.Workflow{
	Name:     "checkout",
	Triggers: []squidmesh.Trigger{squidmesh.Manual("ordered", squidmesh.Payload[Order]())},
	Steps: []squidmesh.Step{
		{Name: "reserve", Do: squidmesh.FuncTx(reserve), Undo: squidmesh.EffectTx(release), Next: "charge"},
		{Name: "charge", Do: squidmesh.Effect(charge), Retry: squidmesh.Exponential(5, time.Second, time.Minute), Next: "cool_off"},
		{Name: "cool_off", Do: squidmesh.Wait(10 * time.Second), Next: "ship"},
		{Name: "ship", Do: squidmesh.Effect(ship)},
	},
}

// reserve writes through the transaction that records the step, so it happens exactly once.
func reserve(ctx context.Context, tx *sql.Tx, in Order) (Reservation, error) {
	fmt.Println("reserve order", in.ID)
	_, err := tx.ExecContext(ctx, `insert into reservation (order_id, shelf) values ($1, 'B7')`, in.ID)
	return Reservation{Shelf: "B7"}, err
}

// release takes the reservation back if a later step fails for good.
func release(ctx context.Context, tx *sql.Tx, in Parcel) error {
	fmt.Println("release shelf", in.Shelf)
	_, err := tx.ExecContext(ctx, `delete from reservation where order_id = $1`, in.ID)
	return err
}

// charge calls the world outside. A real one hands squidmesh.IdempotencyKey(ctx) to the bank, since an attempt may be repeated.
func charge(ctx context.Context, in Order) error {
	info, _ := squidmesh.Info(ctx)
	fmt.Printf("charge %d cents, attempt %d\n", in.Cents, info.Attempt)
	if info.Attempt == 1 {
		return errors.New("the bank does not answer")
	}
	return nil
}

func ship(_ context.Context, in Parcel) error {
	fmt.Println("ship order", in.ID, "from shelf", in.Shelf)
	return nil
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// The database: one file, with River's tables, squidmesh's and yours.
	store, err := sqlitestore.Open(ctx, "shop.db", nil)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := migrations.UpAllSQLite(ctx, store.DB(), nil); err != nil {
		return err
	}
	if _, err := store.DB().ExecContext(ctx, `create table if not exists reservation (order_id text primary key, shelf text)`); err != nil {
		return err
	}

	// The runtime needs an executor, the workers need the runtime, the client needs the workers, the executor needs the client.
	executor := riveradapter.New[*sql.Tx](nil)
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: store, Executor: executor, Workflows: []squidmesh.Workflow{checkout},
	})
	if err != nil {
		return err
	}
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riversqlite.New(store.DB()), &river.Config{
		Workers: workers,
		Queues:  map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(10)},
	})
	if err != nil {
		return err
	}
	executor.SetClient(client)

	// Both are stopped by Stop, and not by the end of this context.
	background := context.WithoutCancel(ctx)
	if err := rt.Start(background); err != nil {
		return err
	}
	if err := client.Start(background); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(background, 20*time.Second)
		defer cancel()
		if err := riveradapter.Stop(ctx, client, rt); err != nil {
			log.Print(err)
		}
	}()

	// The key makes the start idempotent: a second start of this program finds the run of the first one.
	started, err := rt.StartRun(ctx, squidmesh.StartParams{
		Workflow: "checkout", Key: "order-1001", Payload: Order{ID: "1001", Cents: 4990},
	})
	if err != nil {
		return err
	}
	if started.Existing {
		why, err := rt.ExplainRun(ctx, started.ID)
		if err != nil {
			return err
		}
		fmt.Println("found:", why.Sentence)
	}
	ended, err := rt.AwaitRun(ctx, started.ID)
	if err != nil {
		return err
	}
	fmt.Println(ended.Status)
	return nil
}
