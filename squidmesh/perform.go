package squidmesh

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Perform takes a delivery from the queue and does what it asks for. It may be called with the same delivery any number of
// times, from any process: one call executes, the others are told that there is nothing to do.
//
// The outcome is the answer to the queue: the delivery is done, comes again at a time, or is given up, with a reason. What a step
// returns is none of the queue's business; it is recorded with the run. An error means that the infrastructure failed and that the
// delivery should come again: nothing was claimed, or another worker will take the step over. Cancelling ctx gives an unfinished step back.
func (rt *Runtime[TTx]) Perform(ctx context.Context, d Delivery) (Outcome, error) {
	if err := outsideTx(ctx); err != nil {
		return Outcome{}, err
	}
	svc := rt.join()
	if svc != nil {
		defer svc.leave()
	}
	began := time.Now()
	outcome, err := rt.perform(ctx, svc, d)
	// What leaves here goes to observers, and into the queue's rows: no text of the database's or the executor's goes along unseen.
	outcome.Detail, err = rt.redact.short(outcome.Detail), rt.redact.delivery(err)
	if outcome.Kind == Again && (outcome.After <= soonest || outcome.Reason == OutcomeForeign) {
		rt.wakeElsewhere(outcome.After)
	}
	rt.observeDelivery(ctx, DeliveryObservation{Delivery: d, Outcome: outcome, Err: err, Took: time.Since(began)})
	return outcome, err
}

// perform is Perform for a service that waits for it; nil for none.
func (rt *Runtime[TTx]) perform(ctx context.Context, svc *service, d Delivery) (Outcome, error) {
	if err := d.validate(); err != nil {
		return rt.drop(d, OutcomeBadDelivery, err), nil
	}
	if svc == nil {
		return Outcome{Kind: Again, After: time.Second, Reason: OutcomeNotStarted}, nil
	}
	switch foreign, err := rt.foreign(ctx, d); {
	case err != nil:
		return Outcome{}, err
	case foreign:
		return rt.sendBack(d), nil
	}
	if d.Kind == DeliverCron {
		return rt.performCron(ctx, d)
	}
	id, key := uuid.MustParse(d.RunID), deliveredStep(d)
	worker, ok := svc.holder()
	if !ok {
		return Outcome{Kind: Again, After: time.Second, Reason: OutcomeWorkerLost}, nil
	}
	work, cancel := svc.work(ctx)
	defer cancel()

	event := Event(Compensated{})
	if d.Step != "" {
		event = Claimed{Attempted: Attempted{StepKey: key, Attempt: d.Attempt, Worker: worker, Hold: key}, Job: d.Job, Queue: d.Queue}
	}
	c, err := rt.commitMember(work, &member{id: id, event: event, job: d.Job})
	switch {
	case errors.Is(err, ErrNotFound):
		return rt.drop(d, OutcomeUnknownRun, err), nil
	case errors.Is(err, ErrUnreadable):
		rt.logger.Warn("squidmesh: sealed data cannot be opened, the step waits", append(aboutDelivery(d), "error", err)...)
		return Outcome{Kind: Again, After: 30 * time.Second, Reason: OutcomePayloadUnreadable}, nil
	case errors.Is(err, ErrUnknownShape):
		return Outcome{Kind: Again, After: 30 * time.Second, Reason: OutcomeDefinitionUnknown}, nil
	case err != nil:
		return Outcome{}, err
	}
	outcome := c.Outcome
	if claimed, ok := event.(Claimed); ok && outcome.Reason == OutcomeFunctionStuck {
		rt.abandoned.refused(functionKey{c.run.Workflow, claimed.StepKey})
	}
	until := time.Now().Add(rt.config.TimeSlice)
	goOn := func() bool {
		return !rt.config.DisableContinuation && ctx.Err() == nil && time.Now().Before(until) && svc.left(worker) == nil
	}
	for c.Claim != nil {
		if c, err = rt.attempt(ctx, work, svc, d.Job, c, goOn); err != nil {
			return Outcome{}, err
		}
	}
	return outcome, nil
}

func (rt *Runtime[TTx]) drop(d Delivery, reason string, err error) Outcome {
	rt.logger.Warn("squidmesh: delivery dropped", append(aboutDelivery(d), "reason", reason, "error", err)...)
	return Outcome{Kind: Drop, Reason: reason, Detail: err.Error()}
}
