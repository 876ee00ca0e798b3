package scenariotest

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Deliver does what [squidmesh.Runtime.Perform] does: it claims, executes, and goes on.
func (d *coreDriver) Deliver(delivery driver.Delivery) (Progress, error) {
	if delivery.Kind == driver.DeliverCron {
		return Progress{}, fmt.Errorf("the core has no cron")
	}
	id, err := parseRunID(delivery.RunID)
	if err != nil {
		return Progress{}, err
	}
	event := flow.Event(flow.Compensated{})
	if delivery.Step != "" {
		key := flow.StepKey{Name: delivery.Step, Phase: flow.PhaseDo}
		if delivery.Kind == driver.DeliverCompensation {
			key.Phase = flow.PhaseUndo
		}
		runnable, unfit := d.functions(id)
		event = flow.Claimed{Attempted: flow.Attempted{
			StepKey: key, Attempt: delivery.Attempt, Worker: d.worker, Hold: key, Runnable: runnable, Unfit: unfit,
		}}
	}
	t, err := d.decide(id, event)
	if err != nil {
		return Progress{}, err
	}
	return d.goOn(t, t.Outcome)
}

// goOn executes claims until there is none, or one stands still.
func (d *coreDriver) goOn(t flow.Transition, outcome flow.Outcome) (Progress, error) {
	for t.Claim != nil {
		if d.plays.takeHold(t.Claim.StepKey) {
			d.held = append(d.held, &coreCall{claim: *t.Claim, outcome: outcome})
			return Progress{Held: &t.Claim.StepKey}, nil
		}
		var err error
		if t, err = d.end(*t.Claim, d.outcome(*t.Claim)); err != nil {
			return Progress{}, err
		}
	}
	return Progress{Outcome: outcome}, nil
}

// end decides the end of an attempt.
func (d *coreDriver) end(c flow.Claim, e flow.Event) (flow.Transition, error) {
	t, err := d.decide(c.Run, e)
	if t.Interrupt {
		d.interrupt(c.Run)
	}
	return t, err
}

func (d *coreDriver) Finish(id flow.RunID, key flow.StepKey, lost bool) (Progress, error) {
	call, err := d.takeCall(id, key, lost)
	if err != nil {
		return Progress{}, err
	}
	e := d.outcome(call.claim)
	if failed, ok := e.(flow.Failed); ok && call.interrupted {
		failed.Final, failed.RetryAfter, failed.Error.Code = true, nil, flow.CodeInterrupted
		e = failed
	}
	t, err := d.end(call.claim, e)
	if err != nil {
		return Progress{}, err
	}
	return d.goOn(t, call.outcome)
}

func (d *coreDriver) Release(id flow.RunID, key flow.StepKey) (Progress, error) {
	call, err := d.takeCall(id, key, false)
	if err != nil {
		return Progress{}, err
	}
	a := d.attempted(call.claim)
	a.Runnable = nil
	e := flow.Event(flow.Released{Attempted: a, Reason: squidmesh.ErrReleased.Error()})
	if call.interrupted {
		e = flow.Failed{Attempted: a, Final: true, Error: flow.StepError{
			Code: flow.CodeInterrupted, Message: squidmesh.ErrInterrupted.Error(),
		}}
	}
	t, err := d.end(call.claim, e)
	if err != nil {
		return Progress{}, err
	}
	return d.goOn(t, call.outcome)
}

// takeCall finds an attempt that stands still.
func (d *coreDriver) takeCall(id flow.RunID, key flow.StepKey, lost bool) (*coreCall, error) {
	for i, call := range d.held {
		if call.claim.Run == id && call.claim.StepKey == key && d.lost[call.claim.Worker] == lost {
			d.held = slices.Delete(d.held, i, i+1)
			return call, nil
		}
	}
	return nil, fmt.Errorf("no attempt of %s stands still", byhand.PrintKey(key))
}

// functions are those of a run's definition that are registered today.
func (d *coreDriver) functions(id flow.RunID) (runnable, unfit map[flow.StepKey]bool) {
	spec := d.pinned[id]
	return spec.Functions(d.specs[spec.Workflow()])
}

func (d *coreDriver) attempted(c flow.Claim) flow.Attempted {
	a := flow.Attempted{StepKey: c.StepKey, Attempt: c.Attempt, Worker: c.Worker, Hold: c.Hold}
	if !d.config.DisableContinuation {
		a.Runnable, _ = d.functions(c.Run)
	}
	return a
}

// outcome is what the script says that the attempt does.
func (d *coreDriver) outcome(c flow.Claim) flow.Event {
	a := d.attempted(c)
	st, _ := d.pinned[c.Run].Step(c.Name)
	if st.Kind == flow.KindLog && c.Phase == flow.PhaseDo {
		return flow.Succeeded{Attempted: a}
	}
	next := d.plays.next(c.StepKey)
	if next.message != "" {
		failed := flow.Failed{
			Attempted: a, Final: next.final, RetryAfter: next.after,
			Error: flow.StepError{Code: flow.CodeError, Message: next.message},
		}
		switch {
		case next.panics:
			failed.Error.Code, failed.Error.Message = flow.CodePanic, "panic: "+next.message
		case next.code != "":
			failed.Error.Code = next.code
		}
		return failed
	}
	var output json.RawMessage
	if st.Result != nil && c.Phase == flow.PhaseDo {
		output = next.output
		if next.echo {
			output = echo(c.Cause)
		}
	}
	return flow.Succeeded{Attempted: a, Output: output, Route: next.route}
}

// Lose declares the worker lost, and lets a new one take its attempts over.
func (d *coreDriver) Lose() error {
	old := d.worker
	d.lost[old] = true
	d.worker++
	for _, id := range d.order {
		var holds []flow.StepKey
		for _, h := range d.holds {
			if h.Run == id && h.Worker == old {
				holds = append(holds, h.StepKey)
			}
		}
		if len(holds) == 0 {
			continue
		}
		t, err := d.decide(id, flow.Lost{Worker: old, Holds: holds})
		if err != nil {
			return err
		}
		_ = t
	}
	return nil
}

// Tick sends what has no job, and sweeps what has a deadline.
func (d *coreDriver) Tick() error {
	for _, id := range d.order {
		page := d.book.pages[id]
		for _, st := range d.pinned[id].Steps() {
			for _, row := range rowsOf(page.view(), st.Name) {
				if !row.DeadlineAt.IsZero() {
					if err := d.expire(row); err != nil {
						return err
					}
				}
				if row.Status != flow.StepScheduled || row.Missing > 0 || row.JobID != "" || row.DueAt.After(d.now.Add(byhand.JobHorizon)) {
					continue
				}
				_, err := d.decide(id, flow.Redelivered{StepKey: row.StepKey, Attempt: row.Attempt})
				if err != nil && !d.refuse {
					return err
				}
			}
		}
	}
	return nil
}

// expire sweeps a row that has a deadline. Whether it has passed is the core's to say.
func (d *coreDriver) expire(row flow.StepState) error {
	e := flow.Expired{StepKey: row.StepKey, Attempt: row.Attempt}
	for _, h := range d.holds {
		if h.Run == row.Run && h.Worker == row.Worker {
			e.Holds = append(e.Holds, h.StepKey)
		}
	}
	t, err := d.decide(row.Run, e)
	if t.Interrupt {
		d.interrupt(row.Run)
	}
	return err
}
