package squidmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// refusedAfter is how long a fire waits for a process that knows its workflow, as during a deploy.
const refusedAfter = time.Minute

// performCron starts the run that a cron delivery asks for. With a signal id or a window it starts at most one run, whatever is
// delivered how often. One whose signal or window is that of a fire decides that fire; others, from a scheduler of the program's
// own, just start a run.
func (rt *Runtime[TTx]) performCron(ctx context.Context, d Delivery) (Outcome, error) {
	signals := d.signals()
	s, refusal := rt.prepareCron(d, signals)
	for _, signal := range signals {
		if outcome, err := rt.performFire(ctx, d, signal, s, refusal); outcome.Kind != "" || err != nil {
			return outcome, err
		}
	}
	if refusal != nil {
		return rt.drop(d, OutcomeRefused, refusal), nil
	}
	if _, err := rt.start(ctx, s); err != nil {
		return Outcome{}, err
	}
	return Outcome{Kind: Done}, nil
}

// signals are the names under which a cron delivery may be known: its own signal, and the one of its window. The last one names its
// run, so that one window starts one run, whoever calls it what.
func (d Delivery) signals() []string {
	var signals []string
	if d.SignalID != "" {
		signals = append(signals, d.SignalID)
	}
	if d.IntendedWindow.complete() {
		if of := signalID(TriggerKey{d.Workflow, d.Trigger}, *d.IntendedWindow); of != d.SignalID {
			signals = append(signals, of)
		}
	}
	return signals
}

// prepareCron checks whether this process could start the run.
func (rt *Runtime[TTx]) prepareCron(d Delivery, signals []string) (pendingStart, error) {
	params := StartParams{Workflow: d.Workflow, Trigger: d.Trigger, Actor: "cron"}
	window := cmp.Or(d.IntendedWindow, &Window{})
	switch {
	case len(signals) > 0:
		params.Key = cronKey(d.Trigger, signals[len(signals)-1])
	case *window != Window{}: // half a window is one, too
		params.Key = cronKey(d.Trigger, window.StartAt.UTC().Format(time.RFC3339Nano)+"/"+window.EndAt.UTC().Format(time.RFC3339Nano))
	}
	s, err := rt.prepareStart(params)
	if err != nil {
		return s, err
	}
	if s.trigger.Cron == "" {
		return s, &InputError{Field: "delivery.trigger", Code: "not_cron", Detail: fmt.Sprintf("trigger %q of workflow %q is not a cron trigger", d.Trigger, d.Workflow)}
	}
	s.cron, s.event.WindowAt, s.event.WindowEnd = true, window.StartAt, window.EndAt
	if len(signals) > 0 {
		s.event.SignalID = signals[0]
	}
	return s, nil
}

// cronKey is the idempotency key of the run that a signal starts.
func cronKey(trigger, signal string) string { return "cron:" + trigger + ":" + signal }

// performFire decides the fire with that signal, and starts its run in the same transaction. The zero Outcome says that there is no
// such fire.
func (rt *Runtime[TTx]) performFire(ctx context.Context, d Delivery, signal string, s pendingStart, refusal error) (Outcome, error) {
	var outcome Outcome
	var w *writing
	var decided []Fire
	err := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		// The trigger's row comes first: it makes one of deliveries for different windows wait for the other.
		key := []TriggerKey{{d.Workflow, d.Trigger}}
		triggers, err := rt.store.Triggers(ctx, tx, TriggerQuery{Keys: key, Lock: true})
		if err != nil {
			return fmt.Errorf("lock trigger %s: %w", key[0], err)
		}
		fires, err := rt.store.Fires(ctx, tx, FireQuery{Keys: key, SignalID: signal})
		if err != nil || len(fires) == 0 {
			return err
		}
		f := fires[0]
		if !f.State.open() {
			outcome = Outcome{Kind: Done, Reason: OutcomeFire + string(f.State)}
			return nil
		}
		now, err := rt.now(ctx, tx)
		if err != nil {
			return err
		}
		unknown := errors.Is(refusal, ErrUnknownWorkflow) || errors.Is(refusal, ErrUnknownTrigger)
		if unknown && now.Sub(f.FiredAt) < refusedAfter {
			outcome = Outcome{Kind: Again, After: 2 * time.Second, Reason: OutcomeDefinitionUnknown}
			return nil
		}
		policy := OverlapAllow
		if len(triggers) == 1 {
			policy = triggers[0].Overlap
		}
		s.event.Key, s.event.WindowAt, s.event.WindowEnd = cronKey(f.Trigger, f.SignalID), f.WindowAt, f.WindowEnd
		if f, w, err = rt.decideFire(ctx, tx, f, policy, s, refusal, now); err != nil {
			return err
		}
		outcome = Outcome{Kind: Done, Reason: OutcomeFire + string(f.State)}
		if f.State == FireRefused {
			outcome = Outcome{Kind: Drop, Reason: OutcomeRefused, Detail: f.Reason}
		}
		decided = []Fire{f}
		_, err = rt.store.SaveCron(ctx, tx, CronChange{Fires: decided})
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	if outcome.Kind == Drop {
		rt.logger.Warn("squidmesh: fire refused", append(d.about(), "reason", outcome.Detail)...)
	}
	if w != nil {
		rt.settle(w)
	}
	rt.observeFires(ctx, decided...)
	return outcome, nil
}

// decideFire says what becomes of an open fire. If that is a run, it is written.
func (rt *Runtime[TTx]) decideFire(ctx context.Context, tx TTx, f Fire, policy Overlap, s pendingStart, refusal error, now time.Time) (Fire, *writing, error) {
	refuse := func(err error) (Fire, *writing, error) {
		f.State, f.Reason, f.LookAt = FireRefused, clean(err.Error(), 1000), time.Time{}
		return f, nil, nil
	}
	if refusal != nil {
		return refuse(refusal)
	}
	if policy != OverlapAllow {
		busy, err := rt.overlapping(ctx, tx, f)
		if err != nil {
			return f, nil, err
		}
		switch {
		case busy.run && (policy == OverlapSkip || busy.queued && f.State != FireQueued):
			f.State, f.Reason, f.LookAt = FireSkipped, "overlap: the run of an earlier window has not ended", time.Time{}
			if busy.queued {
				f.Reason = "overlap: an earlier window waits already"
			}
			return f, nil, nil
		case policy == OverlapQueueOne && (busy.run || busy.queued):
			f.State, f.Reason, f.LookAt = FireQueued, "overlap: waits for the run of an earlier window to end", now.Add(lookQueued)
			return f, nil, nil
		}
	}
	m := s.member()
	m.ctx, m.asked = ctx, time.Now()
	w, err := rt.write(ctx, tx, []*member{m}, rt.enqueue)
	switch {
	case err != nil:
		return f, nil, err
	case m.err != nil:
		return refuse(m.err)
	}
	f.State, f.Reason, f.RunID, f.LookAt = FireStarted, "", m.c.started().ID, time.Time{}
	return f, w, nil
}
