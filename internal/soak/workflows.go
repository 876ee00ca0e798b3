package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// order is the payload of every run.
type order struct {
	N int `json:"n"`
}

// priced is an order whose price an earlier step has worked out.
type priced struct {
	N     int `json:"n"`
	Price int `json:"price"`
}

type price struct {
	Price int `json:"price"`
}

// effects are the steps' functions: they write down what they do, in the database or outside.
type effects struct{ ledger *ledger }

// workflows have one of everything that the runtime can do.
func workflows(e *effects) []squidmesh.Workflow {
	triggers := []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[order]())}
	retry := squidmesh.Exponential(5, 50*time.Millisecond, time.Second)
	outside := func(name string, take time.Duration, flaky int, next string) squidmesh.Step {
		return squidmesh.Step{
			Name: name, Do: squidmesh.Effect(e.outside(take, flaky)), Retry: retry, Timeout: 10 * time.Second, Next: next,
		}
	}
	inside := func(name string, flaky int, next string) squidmesh.Step {
		return squidmesh.Step{Name: name, Do: squidmesh.EffectTx(e.inside(flaky)), Retry: retry, Timeout: 10 * time.Second, Next: next}
	}
	after := func(s squidmesh.Step, names ...string) squidmesh.Step {
		s.After = names
		return s
	}
	undoOutside := func(s squidmesh.Step) squidmesh.Step {
		s.Undo, s.UndoRetry = squidmesh.Effect(e.outside(5*time.Millisecond, 30)), squidmesh.Constant(2, 50*time.Millisecond)
		return s
	}
	undoInside := func(s squidmesh.Step) squidmesh.Step {
		s.Undo, s.UndoRetry = squidmesh.EffectTx(e.inside(20)), squidmesh.Constant(2, 50*time.Millisecond)
		return s
	}
	onError := func(s squidmesh.Step, target string) squidmesh.Step {
		s.OnError = target
		return s
	}
	ship := outside("ship", 20*time.Millisecond, 0, "")
	ship.Do = squidmesh.Effect(e.ship)

	return []squidmesh.Workflow{
		{Name: "sequence", Triggers: triggers, Steps: []squidmesh.Step{
			{Name: "price", Do: squidmesh.Func(e.price), Next: "book"},
			{Name: "book", Do: squidmesh.EffectTx(e.book), Retry: retry, Next: "notify"},
			outside("notify", 2*time.Millisecond, 10, "file"),
			inside("file", 10, ""),
		}},
		{Name: "fan", Triggers: triggers, Steps: []squidmesh.Step{
			{Name: "spread", Next: "close", OnError: "sweep", Parallel: []squidmesh.Step{
				outside("a", 20*time.Millisecond, 10, ""),
				inside("b", 10, ""),
				outside("c", 5*time.Millisecond, 40, ""),
				after(inside("d", 10, ""), "a", "b"),
				after(outside("e", time.Millisecond, 10, ""), "c", "d"),
			}},
			inside("close", 0, ""),
			inside("sweep", 0, ""),
		}},
		{Name: "saga", Triggers: triggers, Steps: []squidmesh.Step{
			undoInside(inside("reserve", 10, "charge")),
			undoOutside(outside("charge", 10*time.Millisecond, 10, "pack")),
			{Name: "pack", Next: "ship", Parallel: []squidmesh.Step{
				undoInside(inside("box", 10, "")),
				undoOutside(outside("label", 5*time.Millisecond, 10, "")),
			}},
			ship,
		}},
		{Name: "review", Triggers: triggers, Steps: []squidmesh.Step{
			outside("draft", 5*time.Millisecond, 0, "review"),
			{Name: "review", Do: squidmesh.Approval(), Output: "approval", Next: "accept", OnError: "decline"},
			inside("accept", 10, ""),
			inside("decline", 10, ""),
		}},
		{Name: "patience", Triggers: triggers, Steps: []squidmesh.Step{
			{Name: "nap", Do: squidmesh.Wait(300 * time.Millisecond), Next: "wake"},
			inside("wake", 0, "rest"),
			{Name: "rest", Do: squidmesh.Wait(2500 * time.Millisecond), Next: "rise"},
			outside("rise", time.Millisecond, 0, ""),
		}},
		{Name: "gate", Triggers: triggers, Steps: []squidmesh.Step{
			undoInside(inside("knock", 0, "gate")),
			{Name: "gate", Do: squidmesh.Pause(), Next: "pass"},
			inside("pass", 0, ""),
		}},
		{Name: "slow", Triggers: triggers, Steps: []squidmesh.Step{
			onError(outside("dig", 2500*time.Millisecond, 10, "fill"), "mend"),
			inside("fill", 0, ""),
			inside("mend", 0, ""),
		}},
		{Name: "choice", Triggers: triggers, Steps: []squidmesh.Step{
			{Name: "choose", Do: squidmesh.Choose(choose), Routes: map[string]string{"left": "left", "right": "right", "end": squidmesh.Complete}},
			inside("left", 0, "right"),
			onError(outside("right", time.Millisecond, 60, ""), "caught"),
			inside("caught", 0, ""),
		}},
	}
}

func choose(_ context.Context, o order) (string, error) {
	return []string{"left", "right", "end"}[o.N%3], nil
}

func (e *effects) price(_ context.Context, o order) (price, error) {
	return price{o.N * 7}, nil
}

// book checks that data flows as it should.
func (e *effects) book(ctx context.Context, tx pgx.Tx, p priced) error {
	if p.Price != p.N*7 {
		e.note(ctx, noteWrong, fmt.Sprintf("price is %d, n is %d", p.Price, p.N))
	}
	return e.inside(10)(ctx, tx, order{p.N})
}

// ship fails every third order for good, so that what came before is undone.
func (e *effects) ship(ctx context.Context, o order) error {
	if o.N%3 == 0 {
		return squidmesh.Fail(errors.New("the carrier refuses"))
	}
	return e.outside(20*time.Millisecond, 10)(ctx, o)
}

// outside is an effect that no transaction can take back. It fails in so many of a hundred attempts, half of those after the effect.
func (e *effects) outside(take time.Duration, flaky int) func(context.Context, order) error {
	return func(ctx context.Context, _ order) error {
		e.note(ctx, noteBegin, "")
		timer := time.NewTimer(take)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		luck := chance(ctx)
		if luck < flaky/2 {
			return errors.New("bad luck before the effect")
		}
		e.note(ctx, noteEnd, "")
		if luck < flaky {
			return errors.New("bad luck after the effect")
		}
		return nil
	}
}

// inside is an effect in the application's own table, which commits with the step. The table has no key that would hide a second one.
func (e *effects) inside(flaky int) func(context.Context, pgx.Tx, order) error {
	return func(ctx context.Context, tx pgx.Tx, _ order) error {
		info, _ := squidmesh.Info(ctx)
		_, err := tx.Exec(ctx, `insert into soak_effect (run_id, step, phase, attempt, key) values ($1, $2, $3, $4, $5)`,
			info.RunID.String(), info.Step, string(info.Phase), info.Attempt, info.IdempotencyKey)
		if err == nil && chance(ctx) < flaky {
			return errors.New("bad luck")
		}
		return err
	}
}

func (e *effects) note(ctx context.Context, kind, text string) {
	info, _ := squidmesh.Info(ctx)
	e.ledger.note(entry{
		Kind: kind, Run: info.RunID.String(), Workflow: info.Workflow, Step: info.Step, Phase: string(info.Phase),
		Attempt: info.Attempt, Key: info.IdempotencyKey, Note: text,
	})
}

// chance is 0 to 99, and depends on the attempt alone.
func chance(ctx context.Context) int {
	info, _ := squidmesh.Info(ctx)
	h := fnv.New32a()
	_, _ = h.Write([]byte(info.IdempotencyKey + "/" + strconv.Itoa(info.Attempt)))
	return int(h.Sum32()>>8) % 100
}
