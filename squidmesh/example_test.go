package squidmesh_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// A first workflow: two steps and a run. The second step reads from the payload and from the first one's result, by the JSON
// keys of its input type.
func Example() {
	type packing struct {
		ID    string `json:"id"`
		Shelf string `json:"shelf"`
	}
	rt, stop := start(squidmesh.Workflow{
		Name:     "ship",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("ordered", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "reserve", Next: "pack", Do: squidmesh.Func(func(ctx context.Context, in Order) (Reservation, error) {
				return Reservation{Shelf: "B7"}, nil
			})},
			{Name: "pack", Do: squidmesh.Effect(func(ctx context.Context, in packing) error {
				fmt.Println("packing", in.ID, "from shelf", in.Shelf)
				return nil
			})},
		},
	})
	defer stop()

	ctx := context.Background()
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "ship", Payload: Order{ID: "1001", Cents: 4990}})
	if err != nil {
		panic(err)
	}
	ended, err := rt.AwaitRun(ctx, run.ID)
	fmt.Println(ended.Status, err)
	// Output:
	// packing 1001 from shelf B7
	// completed <nil>
}

// A run started inside the application's transaction exists only if that transaction commits.
func ExampleRuntime_StartRunTx() {
	rt, stop := start(squidmesh.Workflow{
		Name:     "welcome",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("signed_up", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{{Name: "greet", Do: squidmesh.Effect(func(ctx context.Context, in Order) error {
			fmt.Println("welcome,", in.ID)
			return nil
		})}},
	})
	defer stop()

	ctx := context.Background()
	signUp := func(name string, fail bool) (squidmesh.RunID, error) {
		tx, err := rt.db.BeginTx(ctx, nil)
		if err != nil {
			return squidmesh.RunID{}, err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, `create table if not exists customer (name text primary key)`); err != nil {
			return squidmesh.RunID{}, err
		}
		if _, err := tx.ExecContext(ctx, `insert into customer (name) values (?)`, name); err != nil {
			return squidmesh.RunID{}, err
		}
		run, err := rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "welcome", Payload: Order{ID: name}})
		if err != nil {
			return squidmesh.RunID{}, err
		}
		if fail {
			return run.ID, errors.New("credit check failed")
		}
		err = tx.Commit()
		rt.Wake()
		return run.ID, err
	}

	id, err := signUp("bob", true)
	_, gone := rt.InspectRun(ctx, id, nil)
	fmt.Println(err, "/", errors.Is(gone, squidmesh.ErrNotFound))

	id, err = signUp("ana", false)
	if err != nil {
		panic(err)
	}
	ended, _ := rt.AwaitRun(ctx, id)
	fmt.Println(ended.Status)
	// Output:
	// credit check failed / true
	// welcome, ana
	// completed
}

// Start a run, wait for its end, and read the result of a step.
func ExampleRuntime_Output() {
	type Parcel struct {
		Grams int `json:"grams"`
	}
	type Quote struct {
		Cents int `json:"cents"`
	}
	rt, stop := start(squidmesh.Workflow{
		Name:     "ship",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("ship", squidmesh.Payload[Parcel]())},
		Steps: []squidmesh.Step{
			{Name: "price", Do: squidmesh.Func(func(_ context.Context, p Parcel) (Quote, error) {
				return Quote{Cents: 300 + p.Grams/10}, nil
			})},
		},
	})
	defer stop()

	ctx := context.Background()
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "ship", Payload: Parcel{Grams: 1200}})
	check(err)
	_, err = rt.AwaitRun(ctx, run.ID)
	check(err)
	var quote Quote
	check(rt.Output(ctx, run.ID, "price", &quote))
	fmt.Println(quote.Cents)
	// Output: 420
}

// What a FuncTx step writes commits together with the step's result: for the database it happens exactly once.
func ExampleFuncTx() {
	type receipt struct {
		Number int64 `json:"number"`
	}
	rt, stop := start(squidmesh.Workflow{
		Name:     "invoice",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("shipped", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{{
			Name: "book", Retry: squidmesh.Constant(3, 0),
			Do: squidmesh.FuncTx(func(ctx context.Context, tx *sql.Tx, in Order) (receipt, error) {
				res, err := tx.ExecContext(ctx, `insert into invoice (order_id, cents) values (?, ?)`, in.ID, in.Cents)
				if err != nil {
					return receipt{}, err
				}
				if info, _ := squidmesh.Info(ctx); info.Attempt == 1 {
					return receipt{}, errors.New("the first attempt fails after its insert")
				}
				number, err := res.LastInsertId()
				return receipt{Number: number}, err
			}),
		}},
	})
	defer stop()

	ctx := context.Background()
	if _, err := rt.db.ExecContext(ctx, `create table invoice (order_id text, cents int)`); err != nil {
		panic(err)
	}
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "invoice", Payload: Order{ID: "1001", Cents: 4990}})
	if err != nil {
		panic(err)
	}
	ended, err := rt.AwaitRun(ctx, run.ID)
	if err != nil {
		panic(err)
	}
	var rows int
	if err := rt.db.QueryRowContext(ctx, `select count(*) from invoice`).Scan(&rows); err != nil {
		panic(err)
	}
	fmt.Println(ended.Status, "with", rows, "invoice")
	// Output:
	// completed with 1 invoice
}

// An approval stands until somebody decides; a rejection takes the error route, where Failure tells what happened.
func ExampleApproval() {
	rt, stop := start(squidmesh.Workflow{
		Name:     "refund",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "review", Do: squidmesh.Approval(), Output: "approval", Next: "pay", OnError: "decline"},
			{Name: "pay", Do: squidmesh.Effect(func(ctx context.Context, in Order) error {
				fmt.Println("paying back", in.Cents)
				return nil
			})},
			{Name: "decline", Do: squidmesh.Effect(func(ctx context.Context, in Order) error {
				why, _ := squidmesh.Failure(ctx)
				fmt.Println("declined:", why.Message)
				return nil
			})},
		},
	})
	defer stop()

	ctx := context.Background()
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "refund", Payload: Order{ID: "1001", Cents: 4990}})
	if err != nil {
		panic(err)
	}
	if _, err := rt.AwaitRun(ctx, run.ID, squidmesh.RunPaused); err != nil {
		panic(err)
	}
	why, err := rt.ExplainRun(ctx, run.ID)
	if err != nil {
		panic(err)
	}
	fmt.Println(why.Sentence)
	fmt.Println(why.Commands)

	if _, err := rt.RejectRun(ctx, run.ID, squidmesh.Decision{Actor: "ana", Comment: "no receipt"}); err != nil {
		panic(err)
	}
	ended, _ := rt.AwaitRun(ctx, run.ID)
	fmt.Println(ended.Status)
	// Output:
	// The run waits for somebody to approve or reject review.
	// [approve reject cancel]
	// declined: rejected by ana: no receipt
	// completed
}

// A decision that nobody takes in time fails its step, and OnError says what follows.
func ExamplePause() {
	rt, stop := start(squidmesh.Workflow{
		Name:     "listing",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("offered", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "confirm", Do: squidmesh.Pause(), Timeout: 100 * time.Millisecond, Next: "publish", OnError: "withdraw"},
			{Name: "publish", Do: squidmesh.Effect(func(ctx context.Context, in Order) error {
				fmt.Println("publishing", in.ID)
				return nil
			})},
			{Name: "withdraw", Do: squidmesh.Effect(func(ctx context.Context, in Order) error {
				why, _ := squidmesh.Failure(ctx)
				fmt.Printf("withdrawing %s: %s: %s\n", in.ID, why.Code, why.Message)
				return nil
			})},
		},
	})
	defer stop()

	ctx := context.Background()
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "listing", Payload: Order{ID: "1001"}})
	if err != nil {
		panic(err)
	}
	ended, err := rt.AwaitRun(ctx, run.ID)
	fmt.Println(ended.Status, err)
	// Output:
	// withdrawing 1001: decision_expired: nobody decided within 100ms
	// completed <nil>
}

// A pause of a trigger says who is to be asked before it goes on, and so does a fire by hand.
func ExampleRuntime_PauseTrigger() {
	rt, stop := start(squidmesh.Workflow{
		Name:     "digest",
		Triggers: []squidmesh.Trigger{squidmesh.Cron("nightly", "0 7 * * *", "Europe/Berlin", squidmesh.Contract{})},
		Steps:    []squidmesh.Step{{Name: "send", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })}},
	})
	defer stop()

	ctx := context.Background()
	pause := squidmesh.TriggerParams{Actor: "ana", Comment: "the mail server is away"}
	if err := rt.PauseTrigger(ctx, "digest", "nightly", pause); err != nil {
		panic(err)
	}
	fire := squidmesh.TriggerParams{Actor: "ben", Comment: "to see whether it is back"}
	if _, err := rt.FireTrigger(ctx, "digest", "nightly", fire); err != nil {
		panic(err)
	}
	triggers, err := rt.ListTriggers(ctx, squidmesh.ListTriggersParams{})
	if err != nil {
		panic(err)
	}
	for _, t := range triggers {
		fmt.Printf("%s, paused: %t, by %s: %s\n", t.TriggerKey, t.Paused, t.Actor, t.Comment)
		for _, f := range t.Fires {
			fmt.Printf("fired by %s: %s\n", f.Actor, f.Comment)
		}
	}
	// Output:
	// digest/nightly, paused: true, by ana: the mail server is away
	// fired by ben: to see whether it is back
}

// When a run fails, what completed is undone in reverse order.
func Example_saga() {
	say := func(what string) func(context.Context, Order) error {
		return func(context.Context, Order) error {
			fmt.Println(what)
			return nil
		}
	}
	rt, stop := start(squidmesh.Workflow{
		Name:     "trip",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("booked", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "flight", Next: "hotel", Do: squidmesh.Effect(say("book flight")), Undo: squidmesh.Effect(say("cancel flight"))},
			{Name: "hotel", Next: "car", Do: squidmesh.Effect(say("book hotel")), Undo: squidmesh.Effect(say("cancel hotel"))},
			{Name: "car", Do: squidmesh.Effect(func(context.Context, Order) error {
				return squidmesh.Fail(errors.New("no cars left"))
			})},
		},
	})
	defer stop()

	ctx := context.Background()
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "trip", Payload: Order{ID: "1001"}})
	if err != nil {
		panic(err)
	}
	ended, _ := rt.AwaitRun(ctx, run.ID)
	fmt.Println(ended.Status+":", ended.Reason.Message)
	// Output:
	// book flight
	// book hotel
	// cancel hotel
	// cancel flight
	// failed: no cars left
}

// Steps that name what they come After form a graph: each starts as soon as everything before it has completed.
func Example_graph() {
	type account struct {
		Name string `json:"name"`
	}
	type invoice struct {
		Total int `json:"total"`
	}
	type notice struct {
		Name  string `json:"name"`
		Total int    `json:"total"`
	}
	rt, stop := start(squidmesh.Workflow{
		Name:     "notice",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("due", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "load_account", Do: squidmesh.Func(func(context.Context, Order) (account, error) { return account{"Ana"}, nil })},
			{Name: "load_invoice", Do: squidmesh.Func(func(context.Context, Order) (invoice, error) { return invoice{4990}, nil })},
			{
				Name: "notify", After: []string{"load_account", "load_invoice"},
				Do: squidmesh.Effect(func(_ context.Context, in notice) error {
					fmt.Println("dear", in.Name, "please pay", in.Total)
					return nil
				}),
			},
		},
	})
	defer stop()

	ctx := context.Background()
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "notice", Payload: Order{ID: "1001"}})
	if err != nil {
		panic(err)
	}
	ended, _ := rt.AwaitRun(ctx, run.ID)
	fmt.Println(ended.Status)
	// Output:
	// dear Ana please pay 4990
	// completed
}

// A step that fails is tried again by its policy; Fail and RetryAfter let the function say otherwise.
func ExampleRetryAfter() {
	var tries atomic.Int32
	rt, stop := start(squidmesh.Workflow{
		Name:     "call",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("due", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{{
			Name: "pay", Retry: squidmesh.Exponential(5, time.Minute, time.Hour),
			Do: squidmesh.Effect(func(context.Context, Order) error {
				if tries.Add(1) < 3 {
					return squidmesh.RetryAfter(20*time.Millisecond, errors.New("429 Too Many Requests"))
				}
				return nil
			}),
		}},
	})
	defer stop()

	ctx := context.Background()
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "call", Payload: Order{ID: "1001"}})
	if err != nil {
		panic(err)
	}
	ended, _ := rt.AwaitRun(ctx, run.ID)
	fmt.Println(ended.Status, "after", tries.Load(), "tries")
	// Output:
	// completed after 3 tries
}

// A run's audit adds up to its rows, and a part of it to the rows as they stood then: what an explanation would have said at each entry.
func ExampleFold() {
	rt, stop := start(squidmesh.Workflow{
		Name:     "payout",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("requested", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "review", Do: squidmesh.Pause(), Next: "pay"},
			{Name: "pay", Do: squidmesh.Effect(func(ctx context.Context, in Order) error { return nil })},
		},
	})
	defer stop()

	ctx := context.Background()
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "payout", Payload: Order{ID: "1001"}, Key: "order-1001"})
	if err != nil {
		panic(err)
	}
	if _, err := rt.UnblockRun(ctx, run.ID, squidmesh.Decision{Actor: "maria"}); err != nil {
		panic(err)
	}
	if _, err := rt.AwaitRun(ctx, run.ID); err != nil {
		panic(err)
	}
	in, err := rt.InspectRun(ctx, run.ID, &squidmesh.InspectOptions{History: true})
	if err != nil {
		panic(err)
	}
	for i, entry := range in.Audit {
		then, err := flow.Fold(in.Spec, in.Audit[:i+1])
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: %s, %s\n", entry.Kind, then.Run.Status, flow.Explain(in.Spec, then, entry.At).Sentence)
		if i == 0 {
			fmt.Println(then.Run.Key)
		}
	}
	// Output:
	// started: paused, The run is paused at review until somebody unblocks it.
	// order-1001
	// unblocked: running, Step pay is due and waits for a worker.
	// claimed: running, Step pay is running, attempt 1.
	// succeeded: completed, The run has completed.
}
