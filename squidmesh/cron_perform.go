package squidmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (
	// refusedAfter is how long a cron delivery waits for a process that knows its trigger, as during a deploy. As long as one lives it
	// is not refused.
	refusedAfter = time.Minute

	// unknownPause is the pause between two deliveries while none does.
	unknownPause = 2 * time.Second

	// windowAhead is how far the window of a delivery may begin after the database's clock, since a scheduler of the program's own goes by
	// another one. It is no more than leastRetention, so that the window has begun when its run is pruned.
	windowAhead = time.Minute
)

// performCron starts the run that a cron delivery asks for: at most one, whatever is delivered how often. One whose signal or window is
// that of a fire decides that fire; others, from a scheduler of the program's own, start a run by the same policies.
func (cr *cron[TTx]) performCron(ctx context.Context, d driver.Delivery) (flow.Outcome, error) {
	names := cronNames(d)
	s, refusal := cr.prepareCron(d, names)
	return cr.performWindow(ctx, d, names, s, refusal)
}

// cronNames are the names under which the run of a cron delivery may be known; the last one is that of its key. What has neither signal nor
// window is named by its job, so that it starts one run however often that is delivered. Without a job each delivery is one of its own.
func cronNames(d driver.Delivery) []string {
	if signals := cronSignals(d); len(signals) > 0 {
		return signals
	}
	window := cmp.Or(d.IntendedWindow, &driver.Window{})
	switch {
	case *window != driver.Window{}: // half a window is one, too
		return []string{window.StartAt.UTC().Format(time.RFC3339Nano) + "/" + window.EndAt.UTC().Format(time.RFC3339Nano)}
	case d.Job != "":
		return []string{"job:" + text.Digest(d.Workflow, d.Trigger, d.Job, d.DueAt.UTC().Format(time.RFC3339Nano))} // a queue made anew counts anew
	default:
		return []string{"delivery:" + uuid.NewString()}
	}
}

// cronSignals are the names under which a cron delivery may be known: its own signal, and the one of its window. The last one names its
// run, so that one window starts one run, whoever calls it what.
func cronSignals(d driver.Delivery) []string {
	var signals []string
	if d.SignalID != "" {
		signals = append(signals, d.SignalID)
	}
	if d.IntendedWindow.Complete() {
		if of := driver.SignalID(flow.TriggerKey{Workflow: d.Workflow, Trigger: d.Trigger}, *d.IntendedWindow); of != d.SignalID {
			signals = append(signals, of)
		}
	}
	return signals
}

// prepareCron checks whether this process could start the run.
func (cr *cron[TTx]) prepareCron(d driver.Delivery, names []string) (pendingStart, error) {
	params := StartParams{Workflow: d.Workflow, Trigger: d.Trigger, Actor: "cron", Key: flow.CronKey(d.Trigger, names[len(names)-1])}
	window := cmp.Or(d.IntendedWindow, &driver.Window{})
	s, err := cr.registry.prepareKeyed(params)
	if err != nil {
		return s, err
	}
	if s.trigger.Cron == "" {
		return s, &InputError{Field: "delivery.trigger", Code: "not_cron", Detail: fmt.Sprintf("trigger %q of workflow %q is not a cron trigger", d.Trigger, d.Workflow)}
	}
	s.cron, s.event.WindowAt, s.event.WindowEnd = true, window.StartAt, window.EndAt
	if len(cronSignals(d)) > 0 {
		s.event.SignalID = names[0]
	}
	return s, nil
}

// performed is what became of a cron delivery within its transaction.
type performed struct {
	outcome flow.Outcome
	w       *batchWrite // what was written of a run
	decided []flow.Fire
}

// performWindow starts the run of a signal, window or job, if that has had none, and decides its fire in the same transaction.
func (cr *cron[TTx]) performWindow(ctx context.Context, d driver.Delivery, names []string, s pendingStart, refusal error) (flow.Outcome, error) {
	if refusal == nil {
		if err := cr.definitions.saveSpecs(ctx, shapeUsedEvery, s.spec); err != nil {
			return flow.Outcome{}, err
		}
	}
	var p performed
	err := cr.inTx(ctx, func(ctx context.Context, tx TTx) error {
		// The trigger's row comes first: it makes one of deliveries for different windows wait for the other, and for a prune.
		key := flow.TriggerKey{Workflow: d.Workflow, Trigger: d.Trigger}
		triggers, err := cr.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: []flow.TriggerKey{key}, Lock: true})
		if err != nil {
			return fmt.Errorf("lock trigger %s: %w", key, err)
		}
		var trigger flow.TriggerState
		if len(triggers) == 1 {
			trigger = triggers[0]
		}
		f, found, err := cr.fireOf(ctx, tx, key, names)
		switch {
		case err != nil:
			return err
		case found:
			p, err = cr.performFire(ctx, tx, f, trigger.Overlap, s, refusal)
		default:
			p, err = cr.startWindow(ctx, tx, d, trigger, names[len(names)-1], s, refusal)
		}
		return err
	})
	if silent(err) && ctx.Err() == nil {
		return flow.Outcome{Kind: flow.OutcomeAgain, After: noted}, nil // on a connection that answers
	}
	if err != nil {
		return flow.Outcome{}, err
	}
	switch {
	case p.outcome.Kind != flow.OutcomeDrop:
	case len(p.decided) == 0:
		return drop(cr.logger, d, p.outcome.Reason, errors.New(p.outcome.Detail)), nil
	default:
		cr.logger.Warn("squidmesh: fire refused", append(aboutDelivery(d), "reason", p.outcome.Detail)...)
	}
	if p.w != nil {
		cr.committer.settle(p.w)
	}
	cr.teller.observeFires(ctx, p.decided...)
	return p.outcome, nil
}

// fireOf finds and locks the fire that has one of the signals.
func (cr *cron[TTx]) fireOf(ctx context.Context, tx TTx, key flow.TriggerKey, signals []string) (flow.Fire, bool, error) {
	for _, signal := range signals {
		fires, err := cr.store.Fires(ctx, tx, driver.FireQuery{Keys: []flow.TriggerKey{key}, SignalID: signal})
		if err != nil {
			return flow.Fire{}, false, fmt.Errorf("find the fire of signal %s: %w", signal, err)
		}
		if len(fires) > 0 {
			return fires[0], true, nil
		}
	}
	return flow.Fire{}, false, nil
}

// startWindow starts the run of a window that has no fire. If what was known of the window has been deleted it starts nothing, as
// nobody can tell any more whether it has had its run; nor if the window has not come, which would then be taken for one that had its
// run. Where runs may not overlap the delivery becomes a fire, which is decided as the trigger's own are.
func (cr *cron[TTx]) startWindow(ctx context.Context, tx TTx, d driver.Delivery, trigger flow.TriggerState, name string,
	s pendingStart, refusal error,
) (performed, error) {
	window := d.IntendedWindow
	if window != nil && !window.StartAt.IsZero() && !window.StartAt.After(trigger.PrunedTo) {
		return performed{outcome: flow.Outcome{Kind: flow.OutcomeDrop, Reason: flow.DeliveryWindowPruned, Detail: fmt.Sprintf("windows up to %s have been pruned", trigger.PrunedTo.Format(time.RFC3339))}}, nil
	}
	now, err := cr.now(ctx, tx)
	if err != nil {
		return performed{}, err
	}
	if window != nil && window.StartAt.After(now.Add(windowAhead)) {
		return performed{outcome: flow.Outcome{Kind: flow.OutcomeDrop, Reason: flow.DeliveryWindowAhead, Detail: fmt.Sprintf(
			"the window begins at %s, and it is %s", window.StartAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))}}, nil
	}
	if refusal != nil {
		again, err := cr.awaitTrigger(ctx, tx, flow.TriggerKey{Workflow: d.Workflow, Trigger: d.Trigger}, refusal, d.DueAt)
		if err != nil || again.Kind == flow.OutcomeAgain {
			return performed{outcome: again}, err
		}
		return performed{outcome: refused(refusal)}, nil
	}
	if trigger.Overlap != OverlapAllow {
		return cr.fireFromElsewhere(ctx, tx, trigger, name, s, now)
	}
	m := s.member()
	w, err := cr.committer.writeOne(ctx, tx, m, cr.committer.enqueue)
	switch {
	case m.err != nil:
		return performed{outcome: refused(m.err)}, nil
	case err != nil:
		return performed{}, err
	}
	return performed{outcome: flow.Outcome{Kind: flow.OutcomeDone}, w: w}, nil
}

// fireFromElsewhere decides a delivery that no fire of the trigger's own stands behind, and records it as one. Whatever its window is, all
// that is unfinished or queued is ahead of it. If it has no window it is for the moment at which it came, as a fire by hand is.
func (cr *cron[TTx]) fireFromElsewhere(ctx context.Context, tx TTx, trigger flow.TriggerState, name string, s pendingStart,
	now time.Time,
) (performed, error) {
	f := newFire(trigger, "from elsewhere:"+name, driver.Window{StartAt: s.event.WindowAt, EndAt: s.event.WindowEnd}, now)
	f.SignalID = name
	if f.WindowAt.IsZero() {
		f.WindowAt = now
	}
	s.event.WindowAt = f.WindowAt
	f, w, err := cr.decideFire(ctx, tx, f, trigger.Overlap, now.Add(2*windowAhead), s, nil, now)
	if err != nil {
		return performed{}, err
	}
	_, err = cr.store.SaveCron(ctx, tx, driver.CronChange{NewFires: []flow.Fire{f}})
	return decided(f, w), err
}

// decided is a fire that has been decided, with what was written of its run.
func decided(f flow.Fire, w *batchWrite) performed {
	p := performed{outcome: flow.Outcome{Kind: flow.OutcomeDone, Reason: flow.DeliveryFirePrefix + string(f.State)}, w: w, decided: []flow.Fire{f}}
	if f.State == flow.FireRefused {
		p.outcome = flow.Outcome{Kind: flow.OutcomeDrop, Reason: flow.DeliveryRefused, Detail: f.Reason}
	}
	return p
}

func refused(why error) flow.Outcome {
	return flow.Outcome{Kind: flow.OutcomeDrop, Reason: flow.DeliveryRefused, Detail: why.Error()}
}

// performFire decides a fire that a delivery is for.
func (cr *cron[TTx]) performFire(ctx context.Context, tx TTx, f flow.Fire, policy Overlap, s pendingStart, refusal error) (performed, error) {
	if !f.State.Open() {
		return performed{outcome: flow.Outcome{Kind: flow.OutcomeDone, Reason: flow.DeliveryFirePrefix + string(f.State)}}, nil
	}
	now, err := cr.now(ctx, tx)
	if err != nil {
		return performed{}, err
	}
	if again, err := cr.awaitTrigger(ctx, tx, f.TriggerKey, refusal, f.FiredAt); err != nil || again.Kind == flow.OutcomeAgain {
		return performed{outcome: again}, err
	}
	s.event.Key, s.event.WindowAt, s.event.WindowEnd = flow.CronKey(f.Trigger, f.SignalID), f.WindowAt, f.WindowEnd
	s.event.Actor = cmp.Or(f.Actor, s.event.Actor)
	f, w, err := cr.decideFire(ctx, tx, f, policy, f.WindowAt, s, refusal, now)
	if err != nil {
		return performed{}, err
	}
	p := decided(f, w)
	_, err = cr.store.SaveCron(ctx, tx, driver.CronChange{Fires: p.decided})
	return p, err
}

// awaitTrigger says that a cron delivery which this process does not know the trigger of comes again: soon while a living worker knows
// it, by the shapes that its row names, else ever after a pause until it has waited long enough. Any other outcome means that it does not.
func (cr *cron[TTx]) awaitTrigger(ctx context.Context, tx TTx, key flow.TriggerKey, refusal error, since time.Time) (flow.Outcome, error) {
	if !errors.Is(refusal, ErrUnknownWorkflow) && !errors.Is(refusal, ErrUnknownTrigger) {
		return flow.Outcome{}, nil
	}
	around, now, err := cr.definitions.around(ctx, tx)
	pause := unknownPause
	switch {
	case err != nil:
		return flow.Outcome{}, err
	case around.Knows(key, now):
		pause = flow.Soon(now, key.String())
	case now.Sub(since) >= refusedAfter:
		return flow.Outcome{}, nil
	}
	return flow.Outcome{Kind: flow.OutcomeAgain, After: pause, Reason: flow.DeliveryDefinitionUnknown}, nil
}

// decideFire decides an open fire: it starts a run, waits, or is skipped or refused. Windows earlier than before count as ahead of it. A
// run is written.
func (cr *cron[TTx]) decideFire(ctx context.Context, tx TTx, f flow.Fire, policy Overlap, before time.Time, s pendingStart,
	refusal error, now time.Time,
) (flow.Fire, *batchWrite, error) {
	refuse := func(err error) (flow.Fire, *batchWrite, error) {
		f.State, f.Reason, f.LookAt = flow.FireRefused, cr.redact.short(err.Error()), time.Time{}
		return f, nil, nil
	}
	if refusal != nil {
		return refuse(refusal)
	}
	if policy != OverlapAllow {
		busy, err := cr.overlapping(ctx, tx, f, before)
		if err != nil {
			return f, nil, err
		}
		switch {
		case busy.run && (policy == OverlapSkip || busy.queued && f.State != flow.FireQueued):
			f.State, f.Reason, f.LookAt = flow.FireSkipped, "overlap: the run of an earlier window has not ended", time.Time{}
			if busy.queued {
				f.Reason = "overlap: an earlier window waits already"
			}
			return f, nil, nil
		case policy == OverlapQueueOne && (busy.run || busy.queued):
			f.State, f.Reason, f.LookAt = flow.FireQueued, "overlap: waits for the run of an earlier window to end", now.Add(queuedLook)
			return f, nil, nil
		}
	}
	m := s.member()
	w, err := cr.committer.writeOne(ctx, tx, m, cr.committer.enqueue)
	switch {
	case m.err != nil:
		return refuse(m.err)
	case err != nil:
		return f, nil, err
	}
	f.State, f.Reason, f.RunID, f.LookAt = flow.FireStarted, "", m.c.started().ID, time.Time{}
	return f, w, nil
}
