package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// refusedAfter is how long a fire waits for a process that knows its workflow, as during a deploy.
const refusedAfter = time.Minute

// performCron starts the run that a cron delivery asks for. With a signal id or a window it starts at most one run, whatever is
// delivered how often. One whose signal is that of a fire decides that fire; others, from a scheduler of the program's own, just
// start a run.
func (rt *Runtime[TTx]) performCron(ctx context.Context, d Delivery) (Outcome, error) {
	if w := d.IntendedWindow; d.SignalID == "" && w != nil && !w.StartAt.IsZero() && !w.EndAt.IsZero() {
		d.SignalID = signalID(TriggerKey{d.Workflow, d.Trigger}, *w)
	}
	s, refusal := rt.prepareCron(d)
	if d.SignalID != "" {
		if outcome, err := rt.performFire(ctx, d, s, refusal); outcome.Kind != "" || err != nil {
			return outcome, err
		}
	}
	if refusal != nil {
		return rt.drop(d, "refused", refusal), nil
	}
	if _, err := rt.start(ctx, s); err != nil {
		return Outcome{}, err
	}
	return Outcome{Kind: Done}, nil
}

// prepareCron checks whether this process could start the run.
func (rt *Runtime[TTx]) prepareCron(d Delivery) (pendingStart, error) {
	params := StartParams{Workflow: d.Workflow, Trigger: d.Trigger, Actor: "cron"}
	switch {
	case d.SignalID != "":
		params.Key = "cron:" + d.Trigger + ":" + d.SignalID
	case d.IntendedWindow != nil:
		params.Key = "cron:" + d.Trigger + ":" + d.IntendedWindow.StartAt.UTC().Format(time.RFC3339)
	}
	s, err := rt.prepareStart(params)
	if err != nil {
		return s, err
	}
	if s.trigger.Cron == "" {
		return s, fmt.Errorf("trigger %q of workflow %q is not a cron trigger", d.Trigger, d.Workflow)
	}
	s.event.SignalID = d.SignalID
	if d.IntendedWindow != nil {
		s.event.WindowAt = d.IntendedWindow.StartAt
	}
	return s, nil
}

// performFire decides the fire that a delivery is for, and starts its run in the same transaction. The zero Outcome says that there
// is no such fire.
func (rt *Runtime[TTx]) performFire(ctx context.Context, d Delivery, s pendingStart, refusal error) (Outcome, error) {
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
		fires, err := rt.store.Fires(ctx, tx, FireQuery{Keys: key, SignalID: d.SignalID})
		if err != nil || len(fires) == 0 {
			return err
		}
		f := fires[0]
		if !f.State.open() {
			outcome = Outcome{Kind: Done, Reason: "fire_" + string(f.State)}
			return nil
		}
		now, err := rt.now(ctx, tx)
		if err != nil {
			return err
		}
		unknown := errors.Is(refusal, ErrUnknownWorkflow) || errors.Is(refusal, ErrUnknownTrigger)
		if unknown && now.Sub(f.FiredAt) < refusedAfter {
			outcome = Outcome{Kind: Again, After: 2 * time.Second, Reason: "definition_unknown"}
			return nil
		}
		policy := OverlapAllow
		if len(triggers) == 1 {
			policy = triggers[0].Overlap
		}
		s.event.WindowAt = f.WindowAt
		if f, w, err = rt.decideFire(ctx, tx, f, policy, s, refusal, now); err != nil {
			return err
		}
		outcome = Outcome{Kind: Done, Reason: "fire_" + string(f.State)}
		if f.State == FireRefused {
			outcome = Outcome{Kind: Drop, Reason: "refused: " + f.Reason}
		}
		decided = []Fire{f}
		_, err = rt.store.SaveCron(ctx, tx, CronChange{Fires: decided})
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	if outcome.Kind == Drop {
		rt.logger.Warn("squidmesh: fire refused", append(d.about(), "reason", outcome.Reason)...)
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
