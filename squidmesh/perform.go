package squidmesh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// performer answers deliveries: it has steps claimed, calls their functions and records how they end. It owns the two sets of calls that go on
// in this process, of attempts at work and of calls that were abandoned, each with a lock of its own; the committer and the worker tell what is in
// the first to stop. Runtime calls it with each delivery, in the goroutine of the queue; functions run in goroutines of their own.
type performer[TTx any] struct {
	*base[TTx]
	definitions *definitions[TTx]
	queue       *queue[TTx]
	committer   *committer[TTx]
	cron        *cron[TTx]
	live        *liveSet
	abandoned   *abandonedSet
}

const (
	// soonest is the longest of these pauses. After them queues are woken.
	soonest = 500 * time.Millisecond

	// noted is how long it may take a queue to note that a delivery comes again.
	noted = 20 * time.Millisecond
)

// Perform does what a delivery from the queue asks for. The queue may call it with the same delivery any number of times, in any
// process. One call executes; the others return that there is nothing to do.
//
// The outcome is the answer to the queue: the delivery is done, comes again at a time, or is given up, with a reason. The result of
// a step is recorded with the run, and the queue does not get it. An error means that the infrastructure failed and that the
// delivery should come again: nothing was claimed, or another worker will take the step over. If ctx is cancelled, Perform gives an
// unfinished step back.
func (rt *Runtime[TTx]) Perform(ctx context.Context, d driver.Delivery) (flow.Outcome, error) {
	if err := outsideTx(ctx); err != nil {
		return flow.Outcome{}, err
	}
	svc := rt.worker.join()
	if svc != nil {
		defer svc.leave()
	}
	began := time.Now()
	outcome, err := rt.performer.perform(ctx, svc, d)
	// What leaves here goes to observers, and into the queue's rows: no text of the database's or the executor's goes along unseen.
	outcome.Detail, err = rt.redact.short(outcome.Detail), rt.redact.delivery(err)
	if outcome.Kind == flow.OutcomeAgain && (outcome.After <= soonest || outcome.Reason == flow.DeliveryForeign) {
		rt.queue.wakeElsewhere(outcome.After)
	}
	rt.teller.observeDelivery(ctx, DeliveryObservation{Delivery: d, Outcome: outcome, Err: err, Took: time.Since(began)})
	return outcome, err
}

// perform is Perform for a service that waits for it; nil for none.
func (pf *performer[TTx]) perform(ctx context.Context, svc *service, d driver.Delivery) (flow.Outcome, error) {
	if err := d.Validate(); err != nil {
		return drop(pf.logger, d, flow.DeliveryBad, err), nil
	}
	if svc == nil {
		return flow.Outcome{Kind: flow.OutcomeAgain, After: time.Second, Reason: flow.DeliveryNotStarted}, nil
	}
	switch foreign, err := pf.foreign(ctx, d); {
	case err != nil:
		return flow.Outcome{}, err
	case foreign:
		return pf.sendBack(d), nil
	}
	if d.Kind == driver.DeliverCron {
		return pf.cron.performCron(ctx, d)
	}
	id, key := uuid.MustParse(d.RunID), driver.DeliveredStep(d)
	worker, ok := svc.holder()
	if !ok {
		return flow.Outcome{Kind: flow.OutcomeAgain, After: time.Second, Reason: flow.DeliveryWorkerLost}, nil
	}
	work, cancel := svc.work(ctx)
	defer cancel()

	event := flow.Event(flow.Compensated{})
	if d.Step != "" {
		event = flow.Claimed{Attempted: flow.Attempted{StepKey: key, Attempt: d.Attempt, Worker: worker, Hold: key}, Job: d.Job, Queue: d.Queue}
	}
	c, err := pf.committer.commitMember(work, &member{id: id, event: event, job: d.Job})
	switch {
	case errors.Is(err, ErrNotFound):
		return drop(pf.logger, d, flow.DeliveryUnknownRun, err), nil
	case errors.Is(err, ErrUnreadable):
		pf.logger.Warn("squidmesh: sealed data cannot be opened, the step waits", append(aboutDelivery(d), "error", err)...)
		return flow.Outcome{Kind: flow.OutcomeAgain, After: 30 * time.Second, Reason: flow.DeliveryPayloadUnreadable}, nil
	case errors.Is(err, ErrUnknownShape):
		return flow.Outcome{Kind: flow.OutcomeAgain, After: 30 * time.Second, Reason: flow.DeliveryDefinitionUnknown}, nil
	case err != nil:
		return flow.Outcome{}, err
	}
	outcome := c.Outcome
	if claimed, ok := event.(flow.Claimed); ok && outcome.Reason == flow.DeliveryFunctionStuck {
		pf.abandoned.refused(functionKey{c.run.Workflow, claimed.StepKey})
	}
	until := time.Now().Add(pf.config.TimeSlice)
	goOn := func() bool {
		return !pf.config.DisableContinuation && ctx.Err() == nil && time.Now().Before(until) && svc.left(worker) == nil
	}
	for c.Claim != nil {
		if c, err = pf.attempt(ctx, work, svc, d.Job, c, goOn); err != nil {
			return flow.Outcome{}, err
		}
	}
	return outcome, nil
}

// drop gives a delivery up, and says so.
func drop(logger *slog.Logger, d driver.Delivery, reason string, err error) flow.Outcome {
	logger.Warn("squidmesh: delivery dropped", append(aboutDelivery(d), "reason", reason, "error", err)...)
	return flow.Outcome{Kind: flow.OutcomeDrop, Reason: reason, Detail: err.Error()}
}
