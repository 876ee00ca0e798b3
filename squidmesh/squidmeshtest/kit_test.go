package squidmeshtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// bank is the world outside: it remembers what it was asked to do.
type bank struct {
	calls    []string
	keys     map[string]bool // of idempotent calls
	careless bool            // the workflow gives no idempotency key
}

type order struct {
	ID    string `json:"id"`
	Cents int    `json:"cents"`
}

type receipt struct {
	Receipt string `json:"receipt"`
}

func (b *bank) charge(ctx context.Context, o order) (receipt, error) {
	key := squidmesh.IdempotencyKey(ctx)
	if b.keys == nil {
		b.keys = map[string]bool{}
	}
	if b.careless || !b.keys[key] {
		b.calls = append(b.calls, "charge "+o.ID)
	}
	b.keys[key] = true
	return receipt{"r-" + o.ID}, nil
}

func (b *bank) note(call string) func(context.Context, struct{}) error {
	return func(context.Context, struct{}) error {
		b.calls = append(b.calls, call)
		return nil
	}
}

// seat is the program's own table.
func seat(name string) squidmesh.Action {
	return squidmesh.EffectTx(func(_ context.Context, tx *memstore.Tx, _ struct{}) error {
		n, _ := tx.Get(name).(int)
		tx.Set(name, n+1)
		return nil
	})
}

func shop(b *bank) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "shop",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Payload[order]())},
		Steps: []squidmesh.Step{
			{Name: "reserve", Do: seat("reserved"), Undo: seat("released"), Next: "review"},
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Next: "charge", OnError: flow.Complete},
			{Name: "charge", Do: squidmesh.Func(b.charge), Retry: flow.Constant(3, 30*time.Second), Next: "settle"},
			{Name: "settle", Do: squidmesh.Wait(30 * 24 * time.Hour)},
		},
	}
}

var maria = flow.Decision{Actor: "maria"}

// approved tells the whole story of a shop.
func approved(kit *squidmeshtest.Kit[*memstore.Tx]) *squidmeshtest.Run[*memstore.Tx] {
	run := kit.Start("shop", order{"1001", 4990})
	kit.RunUntilIdle()
	run.Approve(maria)
	kit.RunUntilIdle()
	return run
}

// rows reads the program's own tables.
func rows(kit *squidmeshtest.Kit[*memstore.Tx], names ...string) []any {
	var values []any
	kit.View(func(_ context.Context, tx *memstore.Tx) error {
		for _, name := range names {
			values = append(values, tx.Get(name))
		}
		return nil
	})
	return values
}

func TestKit_RunsToTheEndOnAVirtualClock(t *testing.T) {
	t.Parallel()

	b := &bank{}
	kit := squidmeshtest.New(t, shop(b))
	began := kit.Now()
	run := kit.Start("shop", order{"1001", 4990})
	require.Equal(t, flow.RunPending, run.Status())
	kit.RunUntilIdle()
	require.Equal(t, flow.RunPaused, run.Status())
	require.Equal(t, flow.ReasonWaitingApproval, run.Explain().Code)
	require.Equal(t, began, kit.Now(), "nothing took time")

	run.Approve(maria)
	kit.RunDue()
	require.Equal(t, flow.RunRunning, run.Status())
	kit.Advance(30*24*time.Hour - time.Second)
	require.Equal(t, flow.RunRunning, run.Status())
	kit.Advance(time.Second)
	require.Equal(t, flow.RunCompleted, run.Status())
	require.Equal(t, began.Add(30*24*time.Hour), kit.Now())
	require.Equal(t, kit.Now(), run.Inspect().Run.FinishedAt)

	var r receipt
	run.Output("charge", &r)
	require.Equal(t, receipt{"r-1001"}, r)
	require.Equal(t, []string{"charge 1001"}, b.calls)
	require.Equal(t, []any{1, nil}, rows(kit, "reserved", "released"))
}

func TestKit_FaultsTakeTheFunctionsPlace(t *testing.T) {
	t.Parallel()

	errNoAnswer := errors.New("no answer")
	for name, test := range map[string]struct {
		inject  func(charge *squidmeshtest.Attempts[*memstore.Tx])
		history string // of the steps from charge on, until the wait
		charges int
	}{
		"none": {
			func(*squidmeshtest.Attempts[*memstore.Tx]) {},
			"+0s claimed charge #1\n+0s succeeded charge #1 ({\"receipt\":\"r-1001\"})\n", 1,
		},
		"an error": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) { charge.Attempt(1).Fail(errNoAnswer) },
			"+0s claimed charge #1\n+0s retried charge #1 (charge #1 error: no answer)\n" +
				"+30s claimed charge #2\n+30s succeeded charge #2 ({\"receipt\":\"r-1001\"})\n", 1,
		},
		"an error after the call": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) {
				charge.Attempt(1).FailAfter(squidmesh.RetryAfter(time.Minute, errNoAnswer))
			},
			"+0s claimed charge #1\n+0s retried charge #1 (charge #1 error: no answer)\n" +
				"+1m0s claimed charge #2\n+1m0s succeeded charge #2 ({\"receipt\":\"r-1001\"})\n", 2,
		},
		"a panic": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) { charge.Attempt(1).Panic("boom") },
			"+0s claimed charge #1\n+0s retried charge #1 (charge #1 panic: panic: boom)\n" +
				"+30s claimed charge #2\n+30s succeeded charge #2 ({\"receipt\":\"r-1001\"})\n", 1,
		},
		"a timeout": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) { charge.Attempt(1).TimeOut() },
			"+0s claimed charge #1\n+5m0s retried charge #1 (charge #1 timeout: context deadline exceeded)\n" +
				"+5m30s claimed charge #2\n+5m30s succeeded charge #2 ({\"receipt\":\"r-1001\"})\n", 1,
		},
		"a death": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) { charge.Attempt(1).Die() },
			"+0s claimed charge #1\n+5s lost charge #1\n" +
				"+5s claimed charge #2\n+5s succeeded charge #2 ({\"receipt\":\"r-1001\"})\n", 1,
		},
		"a death after the call": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) { charge.Attempt(1).DieAfter() },
			"+0s claimed charge #1\n+5s lost charge #1\n" +
				"+5s claimed charge #2\n+5s succeeded charge #2 ({\"receipt\":\"r-1001\"})\n", 2,
		},
		"a slow call": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) { charge.Take(time.Minute) },
			"+0s claimed charge #1\n+1m0s succeeded charge #1 ({\"receipt\":\"r-1001\"})\n", 1,
		},
		"a result": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) { charge.Return(receipt{"stub"}) },
			"+0s claimed charge #1\n+0s succeeded charge #1 ({\"receipt\":\"stub\"})\n", 0,
		},
		"the function after all": {
			func(charge *squidmeshtest.Attempts[*memstore.Tx]) {
				charge.Return(nil)
				charge.Call()
			},
			"+0s claimed charge #1\n+0s succeeded charge #1 ({\"receipt\":\"r-1001\"})\n", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := &bank{careless: true}
			kit := squidmeshtest.New(t, shop(b))
			test.inject(kit.On("charge"))
			run := approved(kit)
			history := run.History()
			history = history[strings.Index(history, "+0s claimed charge"):]
			require.Equal(t, test.history+"+", history[:min(len(history), len(test.history)+1)])
			require.Equal(t, flow.RunCompleted, run.Status())
			require.Len(t, b.calls, test.charges)
		})
	}
}

func TestKit_FailureUndoesWhatWasDone(t *testing.T) {
	t.Parallel()

	kit := squidmeshtest.New(t, shop(&bank{}))
	kit.On("shop/charge").Fail(squidmesh.Fail(errors.New("card declined")))
	kit.On("reserve").Undo().Attempt(1).DieAfter()
	run := approved(kit)
	require.Equal(t, flow.RunFailed, run.Status())
	require.Equal(t, "card declined", run.Inspect().Run.Reason.Message)
	require.Equal(t, []any{1, 1}, rows(kit, "reserved", "released"), "the transaction of the undo that died took its write with it")
}

func TestKit_DecidesAndReplays(t *testing.T) {
	t.Parallel()

	b := &bank{}
	kit := squidmeshtest.New(t, shop(b))
	rejected := kit.StartWith(squidmesh.StartParams{Workflow: "shop", Payload: order{ID: "1"}, Key: "1"})
	cancelled := kit.Start("shop", order{ID: "2"})
	kit.RunUntilIdle()
	rejected.Reject(flow.Decision{Actor: "maria", Comment: "too dear"})
	cancelled.Cancel(squidmesh.CancelParams{Decision: maria, Compensate: true})
	kit.RunUntilIdle()
	require.Equal(t, flow.RunCompleted, rejected.Status())
	require.Equal(t, flow.RunCancelled, cancelled.Status())
	require.Empty(t, b.calls)

	again := rejected.Replay(squidmesh.ReplayParams{})
	kit.RunUntilIdle()
	require.Equal(t, flow.RunPaused, again.Status())
	require.Len(t, kit.Runs("shop"), 3)
	require.Equal(t, again.ID, kit.Runs("shop")[2].ID)
}

// choices has what the shop has not: a choice, siblings, an undo that asks for a decision, and a pause.
func choices(b *bank) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "choices",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Contract{})},
		Steps: []squidmesh.Step{
			{Name: "pack", Next: "decide", Parallel: []squidmesh.Step{
				{Name: "box", Do: squidmesh.Effect(b.note("box")), Undo: squidmesh.Effect(b.note("unbox")), UndoRetry: flow.Constant(1, time.Second)},
				{Name: "label", Do: squidmesh.Effect(b.note("label")), After: []string{"box"}},
			}},
			{
				Name: "decide", Do: squidmesh.Choose(func(context.Context, struct{}) (string, error) { return "go", nil }),
				Routes: map[string]string{"go": "ship", "ask": "hold"},
			},
			{Name: "hold", Do: squidmesh.Pause(), Next: "ship"},
			{Name: "ship", Do: squidmesh.Effect(b.note("ship"))},
		},
	}
}

func TestKit_RoutesAndOpenUndos(t *testing.T) {
	t.Parallel()

	b := &bank{}
	kit := squidmeshtest.New(t, choices(b))
	kit.On("decide").Route("ask")
	kit.On("ship").Fail(errors.New("no van"))
	kit.On("box").Undo().Fail(errors.New("glued"))
	run := kit.Start("choices", nil)
	kit.RunUntilIdle()
	require.Equal(t, flow.ReasonWaitingUnblock, run.Explain().Code)
	run.Unblock(flow.Decision{})
	kit.RunUntilIdle()
	require.Equal(t, flow.RunCompensating, run.Status())
	run.RetryUndo(flow.Decision{})
	kit.RunUntilIdle()
	run.AcceptUndo(maria)
	kit.RunUntilIdle()
	require.Equal(t, flow.RunFailed, run.Status())
	require.Equal(t, []string{"box", "label"}, b.calls)
}

func TestKit_DecisionsExpireByTheClock(t *testing.T) {
	t.Parallel()

	w := shop(&bank{})
	w.Steps[1].Timeout = time.Hour
	kit := squidmeshtest.New(t, w)
	run := kit.Start("shop", order{ID: "1"})
	kit.RunUntilIdle()
	require.Equal(t, flow.RunPaused, run.Status(), "an open decision is not waited out")
	kit.Advance(time.Hour - time.Second)
	require.Equal(t, flow.RunPaused, run.Status())
	kit.Advance(24 * time.Hour)
	require.Equal(t, flow.RunCompleted, run.Status())
	require.Equal(t, time.Hour, run.Inspect().Run.FinishedAt.Sub(run.Inspect().Run.CreatedAt))
}

func TestKit_CronTriggersFireByTheClock(t *testing.T) {
	t.Parallel()

	b := &bank{}
	kit := squidmeshtest.New(t, squidmesh.Workflow{
		Name:     "digest",
		Triggers: []squidmesh.Trigger{squidmesh.Cron("nightly", "0 7 * * *", "Europe/Berlin", squidmesh.Contract{})},
		Steps: []squidmesh.Step{{Name: "send", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
			info, _ := squidmesh.Info(ctx)
			b.calls = append(b.calls, info.WindowAt.Format(time.DateTime))
			return nil
		})}},
	})
	kit.Advance(3 * 24 * time.Hour)
	require.Equal(t, []string{"2026-03-03 06:00:00", "2026-03-04 06:00:00", "2026-03-05 06:00:00"}, b.calls)
	for i, run := range kit.Runs("digest") {
		require.Equal(t, flow.RunCompleted, run.Status())
		require.Equal(t, b.calls[i], run.Inspect().Run.CreatedAt.Format(time.DateTime), "to the second")
	}
}

func TestKit_JobsThatAreRefusedComeLater(t *testing.T) {
	t.Parallel()

	kit := squidmeshtest.New(t, shop(&bank{}))
	run := kit.Start("shop", order{ID: "1"})
	kit.RunUntilIdle()
	run.Approve(maria)
	kit.RefuseJobs(true)
	kit.RunDue() // the wait gets no job
	kit.RefuseJobs(false)
	kit.RunUntilIdle()
	require.Equal(t, flow.RunCompleted, run.Status())
}

func TestKit_TransactionsOfTheTest(t *testing.T) {
	t.Parallel()

	kit := squidmeshtest.New(t, shop(&bank{}))
	var run *squidmeshtest.Run[*memstore.Tx]
	kit.InTx(func(ctx context.Context, tx *memstore.Tx) error {
		tx.Set("ordered", 1)
		result, err := kit.Runtime().StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "shop", Payload: order{ID: "1"}})
		run = kit.Find(result.ID)
		return err
	})
	kit.RunUntilIdle()
	require.Equal(t, flow.RunPaused, run.Status())
	require.Equal(t, []any{1, 1}, rows(kit, "ordered", "reserved"))
}

func TestKit_ACrashBetweenDeliveriesLosesNothing(t *testing.T) {
	t.Parallel()

	b := &bank{}
	kit := squidmeshtest.New(t, shop(b))
	run := kit.Start("shop", order{ID: "1"})
	dead := kit.Runtime()
	kit.Crash()
	_, err := dead.StartRun(t.Context(), squidmesh.StartParams{Workflow: "shop", Payload: order{ID: "2"}})
	require.ErrorIs(t, err, squidmeshtest.ErrCrashed)
	kit.RunUntilIdle()
	require.Equal(t, flow.RunPaused, run.Status())
	require.Len(t, kit.Runs("shop"), 1)
}
