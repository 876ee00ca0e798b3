package squidmeshtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// t stands in for the *testing.T of a test: examples have none.
var t = exampleT{}

type exampleT struct{ testing.TB }

func (exampleT) Context() context.Context          { return context.Background() }
func (exampleT) Helper()                           {}
func (exampleT) Cleanup(func())                    {}
func (exampleT) Errorf(format string, args ...any) { fmt.Printf("ERROR "+format+"\n", args...) }
func (exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// ledger is the world outside of the example's workflow.
type ledger struct{ bookings []string }

func (l *ledger) pay(context.Context, struct{}) error {
	l.bookings = append(l.bookings, "paid")
	return nil
}

func (l *ledger) payOnce(ctx context.Context, _ struct{}) error {
	if key := "paid " + squidmesh.IdempotencyKey(ctx); len(l.bookings) == 0 || l.bookings[0] != key {
		l.bookings = append(l.bookings, key)
	}
	return nil
}

func invoice(pay squidmesh.Action) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "invoice",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("received", squidmesh.Contract{})},
		Steps: []squidmesh.Step{
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Next: "due", OnError: flow.Complete},
			{Name: "due", Do: squidmesh.Wait(30 * 24 * time.Hour), Next: "pay"},
			{Name: "pay", Do: pay, Retry: flow.Constant(3, time.Minute)},
		},
	}
}

// A run in memory: it is approved, waits for a month in no time, and the first attempt to pay fails.
func Example() {
	bank := &ledger{}
	kit := squidmeshtest.New(t, invoice(squidmesh.Effect(bank.pay)))
	run := kit.Start("invoice", nil)
	kit.RunUntilIdle()
	fmt.Println(run.Explain().Sentence)

	run.Approve(flow.Decision{Actor: "maria"})
	kit.On("pay").Attempt(1).Fail(errors.New("no answer"))
	kit.RunUntilIdle()
	fmt.Println(run.Status(), bank.bookings)
	fmt.Print(run.History())

	// Output:
	// The run waits for somebody to approve or reject review.
	// completed [paid]
	// +0s started (trigger received)
	// +0s approved review #1 by maria ({"actor":"maria","decided_at":"2026-03-02T09:00:00Z","decision":"approved"})
	// +696h0m1s enqueued due #1
	// +720h0m0s succeeded due #1
	// +720h0m0s retried pay #1 (pay #1 error: no answer)
	// +720h1m0s claimed pay #2
	// +720h1m0s succeeded pay #2
}

// The clock moves as far as the test wants, and what is due on the way happens at its time.
func ExampleKit_Advance() {
	kit := squidmeshtest.New(t, squidmesh.Workflow{
		Name:     "digest",
		Triggers: []squidmesh.Trigger{squidmesh.Cron("nightly", "0 7 * * MON-FRI", "Europe/Berlin", squidmesh.Contract{})},
		Steps:    []squidmesh.Step{{Name: "send", Do: squidmesh.Log(0, "sent")}},
	})
	kit.Advance(7 * 24 * time.Hour)
	for _, run := range kit.Runs("digest") {
		fmt.Println(run.Inspect().Run.CreatedAt.Format("Mon 15:04"), run.Status())
	}

	// Output:
	// Tue 06:00 completed
	// Wed 06:00 completed
	// Thu 06:00 completed
	// Fri 06:00 completed
	// Mon 06:00 completed
}

// The process dies after the step has done its work and before that is written: the step is done twice.
func ExampleKit_On() {
	bank := &ledger{}
	kit := squidmeshtest.New(t, invoice(squidmesh.Effect(bank.pay)))
	run := kit.Start("invoice", nil)
	kit.RunUntilIdle()
	run.Approve(flow.Decision{Actor: "maria"})
	kit.On("pay").Attempt(1).DieAfter()
	kit.RunUntilIdle()
	fmt.Println(run.Status(), bank.bookings)

	// Output:
	// completed [paid paid]
}

// A step that does not care for repetitions pays twice if the process dies at the wrong moment. CrashEverywhere finds it.
func ExampleCrashEverywhere() {
	squidmeshtest.CrashEverywhere(t, func(t testing.TB) (*squidmeshtest.Kit[*memstore.Tx], func() any) {
		bank := &ledger{}
		kit := squidmeshtest.New(t, invoice(squidmesh.Effect(bank.pay)))
		return kit, func() any {
			run := kit.Start("invoice", nil)
			kit.RunUntilIdle()
			run.Approve(flow.Decision{Actor: "maria"})
			kit.RunUntilIdle()
			return bank.bookings
		}
	})

	// Output:
	// ERROR crash before commit 5 (succeeded pay) makes a difference
	// undisturbed:
	//   run 1 of invoice: completed
	//     review {"actor":"maria","decision":"approved"}
	//   effects: [paid]
	// with the crash:
	//   run 1 of invoice: completed
	//     review {"actor":"maria","decision":"approved"}
	//   effects: [paid paid]
}

// One that gives its idempotency key away with the payment survives a crash anywhere.
func ExampleCrashEverywhere_idempotent() {
	squidmeshtest.CrashEverywhere(t, func(t testing.TB) (*squidmeshtest.Kit[*memstore.Tx], func() any) {
		bank := &ledger{}
		kit := squidmeshtest.New(t, invoice(squidmesh.Effect(bank.payOnce)))
		return kit, func() any {
			run := kit.Start("invoice", nil)
			kit.RunUntilIdle()
			run.Approve(flow.Decision{Actor: "maria"})
			kit.RunUntilIdle()
			return len(bank.bookings)
		}
	})
	fmt.Println("paid once")

	// Output:
	// paid once
}
