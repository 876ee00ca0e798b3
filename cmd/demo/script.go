package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// errChecks says that the night did not end as it must. The report has said how.
var errChecks = errors.New("the night did not end as it must")

// scriptTimeout ends a headless night that does not end by itself.
const scriptTimeout = 5 * time.Minute

// clerk is who decides in a headless night.
const clerk = "night clerk"

// script has every order's scenario to its end, checks what came of it, and reports.
func (n *night[TTx]) script(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, scriptTimeout, errors.New("the night is too long"))
	defer cancel()

	scenes := make([][]outcome, len(n.orders))
	var wg sync.WaitGroup
	for i, o := range n.orders {
		wg.Go(func() { scenes[i] = n.scene(ctx, o) })
	}
	wg.Wait()
	var all []outcome
	for _, scene := range scenes {
		all = append(all, scene...)
	}
	left, err := n.runs(ctx, squidmesh.ListParams{Statuses: active}) // what a person started
	if err != nil && ctx.Err() == nil {
		return err
	}
	for _, r := range left {
		out := n.play(ctx, orderOf(r), nil, "", func() (squidmesh.StartResult, error) { return squidmesh.StartResult{Run: r}, nil })
		all = append(all, out)
	}
	digest := n.play(ctx, "", &expectation{Status: "completed"}, "", func() (squidmesh.StartResult, error) { return n.digest(ctx, clerk) })
	all = append(all, digest)
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("stopped before the end: %w", err)
	}
	problems, err := n.audit(ctx, all)
	if err != nil {
		return err
	}
	if err := n.report(all, problems); err != nil {
		return err
	}
	if len(problems) > 0 {
		return errChecks
	}
	return nil
}

// outcome is a run that has come to its end, or as far as it could.
type outcome struct {
	Order    string
	Workflow string
	Expect   *expectation
	Run      *squidmesh.Inspection // nil if there is none
	Err      error
}

// scene is an order from its checkout to the end of its refund, if it has one.
func (n *night[TTx]) scene(ctx context.Context, o order) []outcome {
	sold := n.play(ctx, o.Order, o.Expect, o.Review, func() (squidmesh.StartResult, error) { return n.checkout(ctx, o) })
	sold.Workflow = "checkout"
	if o.Refund == nil || sold.Err != nil || sold.Run.Run.Status != squidmesh.RunCompleted {
		return []outcome{sold}
	}
	back := n.play(ctx, o.Order, o.Refund.Expect, o.Refund.Decision, func() (squidmesh.StartResult, error) {
		return n.refund(ctx, o.Order, o.Refund.Reason, o.Customer)
	})
	back.Workflow = "refund"
	return []outcome{sold, back}
}

// play starts a run, decides what it asks, and waits for its end.
func (n *night[TTx]) play(
	ctx context.Context, order string, expect *expectation, decision string, start func() (squidmesh.StartResult, error),
) outcome {
	out := outcome{Order: order, Expect: expect}
	started, err := start()
	if err != nil {
		out.Err = err
		return out
	}
	out.Workflow = started.Workflow
	for {
		run, err := n.rt.AwaitRun(ctx, started.ID, squidmesh.RunPaused)
		if err != nil {
			out.Err = err
			return out
		}
		if run.Status.Terminal() {
			break
		}
		if err := n.decide(ctx, run.ID, decision); err != nil {
			out.Err = err
			return out
		}
	}
	out.Run, out.Err = n.rt.InspectRun(ctx, started.ID, nil)
	return out
}

// decide answers an open approval by the script. Somebody else may have been faster.
func (n *night[TTx]) decide(ctx context.Context, id squidmesh.RunID, decision string) error {
	ex, err := n.rt.ExplainRun(ctx, id)
	if err != nil {
		return err
	}
	if ex.Code != flow.ReasonWaitingApproval {
		if ex.Status == squidmesh.RunPaused {
			return fmt.Errorf("needs a person: %s", ex.Sentence)
		}
		return nil
	}
	by := squidmesh.Decision{Actor: clerk, Comment: "as the script says", Step: ex.Step}
	if decision == "reject" {
		_, err = n.rt.RejectRun(ctx, id, by)
	} else {
		_, err = n.rt.ApproveRun(ctx, id, by)
	}
	if errors.Is(err, squidmesh.ErrNotWaiting) || errors.Is(err, squidmesh.ErrFinished) {
		return nil
	}
	return err
}
