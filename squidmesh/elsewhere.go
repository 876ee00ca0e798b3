package squidmesh

import (
	"context"
	"errors"
	"time"
)

// soonAgain spreads what comes again soon over 100 to 500 ms: whoever was the first to fetch it is not so every time.
var soonAgain = Retry{Base: 300 * time.Millisecond, Jitter: 2.0 / 3}

const (
	// soonest is the longest of these pauses. After them queues are woken.
	soonest = 500 * time.Millisecond

	// noted is how long it may take a queue to note that a delivery comes again.
	noted = 20 * time.Millisecond
)

// wakeElsewhere wakes all queues after a pause, so that processes fetch at once. Each polls at its own beat, and without this the one that
// polls first after such a pause was seen to be the same wrong one dozens of times in a row.
func (rt *Runtime[TTx]) wakeElsewhere(pause time.Duration) {
	for _, queue := range rt.Queues() {
		rt.pacer.expect(StepState{Queue: queue}, pause+noted)
	}
}

// soon is the pause before a delivery comes again that a living worker elsewhere could take.
func soon(now time.Time, seed ...string) time.Duration {
	return soonAgain.delay(1, append(seed, now.Format(time.RFC3339Nano))...)
}

// lookElsewhere finds out of each delivery whose function this process lacks whether another one could take it. Workers are read once
// for all of a transaction's, and not at all where there is no such delivery.
func (rt *Runtime[TTx]) lookElsewhere(ctx context.Context, tx TTx, w *writing) error {
	var around *Surroundings
	var now time.Time
	for _, r := range w.order {
		for _, m := range r.members {
			e, ok := m.event.(Claimed)
			row := r.carried.rows[e.StepKey]
			if !ok || e.Runnable[e.StepKey] || row.Status != StepScheduled || !r.pinned.spec.step(e.Name).executes(e.Phase) {
				continue
			}
			if around == nil {
				var err error
				if around, now, err = rt.around(ctx, tx); err != nil {
					return err
				}
			}
			_, e.Elsewhere = around.taker(r.pinned.spec, row, now)
			m.event = e
		}
	}
	return nil
}

// awaitTrigger says that a cron delivery which this process does not know the trigger of comes again: soon while a living worker knows
// it, by the shapes that its row names, else ever after a pause until it has waited long enough. Any other outcome means that it does not.
func (rt *Runtime[TTx]) awaitTrigger(ctx context.Context, tx TTx, key TriggerKey, refusal error, since time.Time) (Outcome, error) {
	if !errors.Is(refusal, ErrUnknownWorkflow) && !errors.Is(refusal, ErrUnknownTrigger) {
		return Outcome{}, nil
	}
	around, now, err := rt.around(ctx, tx)
	pause := unknownPause
	switch {
	case err != nil:
		return Outcome{}, err
	case around.knows(key, now):
		pause = soon(now, key.String())
	case now.Sub(since) >= refusedAfter:
		return Outcome{}, nil
	}
	return Outcome{Kind: Again, After: pause, Reason: OutcomeDefinitionUnknown}, nil
}
