package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/shop"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// night is the shop while it is open: workflows, workers and payment provider, on either database.
type night[TTx any] struct {
	program
	db       *database[TTx]
	name     string
	provider *payments.Server
	pay      *payments.Client
	shop     *shop.Shop[TTx]
	rt       *squidmesh.Runtime[TTx]
	client   *river.Client[TTx]
	progress *progress[TTx]
	log      *slog.Logger
}

// have opens the night, has it as the options say, and closes it again.
func have[TTx any](ctx context.Context, p program, db *database[TTx]) (err error) {
	defer func() { err = errors.Join(err, db.close(context.WithoutCancel(ctx))) }()
	n := &night[TTx]{program: p, db: db, log: slog.New(slog.NewTextHandler(p.std.err, &slog.HandlerOptions{Level: slog.LevelError}))}
	if err := n.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if p.options.headless() {
		return n.script(ctx)
	}
	return n.console(ctx)
}

// open migrates, opens the shop, glues squidmesh to River, and goes on with what the last start left.
func (n *night[TTx]) open(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	said := n.say()
	line := func(what, format string, args ...any) {
		_, _ = fmt.Fprintf(said, "  %-10s %s\n", what, fmt.Sprintf(format, args...))
	}
	_, _ = fmt.Fprintf(said, "squidmesh demo  ·  %s  %s\n", n.db.kind, n.db.place)
	began := time.Now()
	if err := n.db.migrate(ctx); err != nil {
		return err
	}
	line("schema", "squidmesh and river are up to date   %d ms", time.Since(began).Milliseconds())

	n.provider, err = payments.Start(payments.ServerConfig{
		Path: n.db.ledger(n.dir), RetryAfter: n.options.retryAfter(), Slow: n.options.slow, Settle: n.options.pace().Settle,
	})
	if err != nil {
		return err
	}
	n.pay = payments.NewClient(n.provider.URL(), time.Minute)
	n.shop = &shop.Shop[TTx]{SQL: n.db.sql, Payments: n.pay, Dir: n.dir}
	err = n.db.store.InTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		n.name, err = n.shop.Open(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	if err := n.glue(); err != nil {
		return err
	}
	if err := n.recovered(ctx, line); err != nil {
		return err
	}
	if err := n.rt.Start(ctx); err != nil {
		return err
	}
	// River stops working when this context ends; stopping in order is close's.
	if err := n.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start River: %w", err)
	}
	line("workers", "%s ×%d, %s ×1", queue, workers, shop.QueueLabels)
	line("payments", "sandbox on %s   (402, 429 and 5xx on purpose)", n.provider.URL())
	return nil
}

const (
	queue   = "squidmesh"
	workers = 16
)

// glue connects squidmesh and River. This is all that a program needs.
func (n *night[TTx]) glue() (err error) {
	n.progress = newProgress(n)
	pace := n.options.pace()
	executor := riveradapter.New[TTx](nil)
	n.rt, err = squidmesh.New(&squidmesh.Config[TTx]{
		Store: n.db.store, Executor: executor, Queue: queue, Logger: n.log, Observer: n.progress,
		Workflows: []squidmesh.Workflow{shop.Checkout(n.shop, pace), shop.Refund(n.shop, pace), shop.Digest(n.shop, pace)},
	})
	if err != nil {
		return err
	}
	all := river.NewWorkers()
	riveradapter.AddWorkers(all, n.rt)
	n.client, err = river.NewClient(n.db.driver, &river.Config{
		Logger: n.log, Workers: all, SoftStopTimeout: 2 * time.Second,
		Queues: map[string]river.QueueConfig{queue: riveradapter.Queue(workers), shop.QueueLabels: riveradapter.Queue(1)},
	})
	if err != nil {
		return fmt.Errorf("make a River client: %w", err)
	}
	executor.SetClient(n.client)
	return nil
}

// recovered says what the last start left.
func (n *night[TTx]) recovered(ctx context.Context, line func(what, format string, args ...any)) error {
	left, err := n.runs(ctx, squidmesh.ListParams{Statuses: active})
	if err != nil {
		return err
	}
	if len(left) == 0 {
		return nil
	}
	line("recovered", "%d runs from the last start:", len(left))
	for _, r := range left {
		ex, err := n.rt.ExplainRun(ctx, r.ID)
		if err != nil {
			return err
		}
		line("", "%s (for %s)  %s", label(r), since(r.LastAt), oneLine(ex.Sentence))
	}
	return nil
}

var active = []squidmesh.RunStatus{
	squidmesh.RunPending, squidmesh.RunRunning, squidmesh.RunRetrying, squidmesh.RunPaused,
	squidmesh.RunCancelling, squidmesh.RunCompensating,
}

func since(t time.Time) time.Duration { return time.Since(t).Round(100 * time.Millisecond) }

// close stops what open started, in reverse. Steps that are running are given back, for the next start.
func (n *night[TTx]) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	if n.client != nil {
		if err := n.client.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop River: %w", err))
		}
	}
	if n.rt != nil {
		errs = append(errs, n.rt.Stop(ctx))
	}
	if n.progress != nil {
		n.progress.close()
	}
	if n.provider != nil {
		errs = append(errs, n.provider.Close())
	}
	return errors.Join(errs...)
}

// runs lists all runs that match, newest first.
func (n *night[TTx]) runs(ctx context.Context, params squidmesh.ListParams) ([]squidmesh.Run, error) {
	var all []squidmesh.Run
	params.Limit = 1000
	for {
		page, err := n.rt.ListRuns(ctx, params)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Runs...)
		if params.Cursor = page.Next; page.Next == "" {
			return all, nil
		}
	}
}

// checkout starts an order's checkout, or finds the one that this night has started already.
func (n *night[TTx]) checkout(ctx context.Context, o order) (squidmesh.StartResult, error) {
	key := n.key(o.Order)
	card, err := n.pay.SaveCard(ctx, "card/"+key, o.Card)
	if err != nil {
		return squidmesh.StartResult{}, fmt.Errorf("save the card: %w", err)
	}
	return n.rt.StartRun(ctx, squidmesh.StartParams{Workflow: "checkout", Payload: o.payload(card), Key: key, Actor: o.Customer})
}

// refund starts the refund of an order.
func (n *night[TTx]) refund(ctx context.Context, order, reason, actor string) (squidmesh.StartResult, error) {
	return n.rt.StartRun(ctx, squidmesh.StartParams{
		Workflow: "refund", Payload: shop.RefundRequest{Order: order, Reason: reason}, Key: n.key(order), Actor: actor,
	})
}

// digest starts the digest of today, as the clock will tomorrow at seven.
func (n *night[TTx]) digest(ctx context.Context, actor string) (squidmesh.StartResult, error) {
	return n.rt.StartRun(ctx, squidmesh.StartParams{
		Workflow: "nightly_digest", Trigger: "nightly", Payload: shop.DigestRequest{Day: shop.DayAfter(time.Now())}, Actor: actor,
	})
}

// key makes a start idempotent: one run per workflow, order and night.
func (n *night[TTx]) key(order string) string { return order + "/" + n.name }

// books reads the shop's tables.
func (n *night[TTx]) books(ctx context.Context) (b shop.Books, err error) {
	err = n.db.store.View(ctx, func(ctx context.Context, tx TTx) (err error) {
		b, err = n.shop.Read(ctx, tx)
		return err
	})
	return b, err
}
