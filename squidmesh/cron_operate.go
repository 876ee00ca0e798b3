package squidmesh

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/nearest"
	"github.com/squidmesh/squidmesh-go/internal/schedule"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// TriggerParams say who operates a trigger, and why.
type TriggerParams struct {
	// Actor is who operates the trigger. Optional, at most 200 bytes of printable characters.
	Actor string

	// Comment is free text of at most 4 KiB.
	Comment string
}

func (p TriggerParams) check() error {
	return cmp.Or(check.Line("Actor", p.Actor, maxActor), check.Text("Comment", p.Comment, maxComment))
}

// FireTrigger fires a cron trigger now, even if it is not due or is paused. The trigger's schedule does not change. The window is
// from now to the next one. A worker starts the run a moment later, under the trigger's overlap policy, and [Runtime.ListTriggers]
// says what became of the fire. Each call is a fire of its own. The fire keeps the params. The run's audit names the actor as who
// started it, or "cron" if there is none.
//
// A started process must have registered the trigger. Errors: [ErrUnknownTrigger], [*InputError], [ErrDispatch],
// [ErrInsideTransaction], [ErrSeal], [ErrCommitUnknown].
func (rt *Runtime[TTx]) FireTrigger(ctx context.Context, workflow, trigger string, params TriggerParams) (flow.Fire, error) {
	if err := cmp.Or(checkCall(ctx), params.check()); err != nil {
		return flow.Fire{}, err
	}
	id, err := newFireID()
	if err != nil {
		return flow.Fire{}, err
	}
	var f flow.Fire
	err = rt.cron.operateTrigger(ctx, func(ctx context.Context, tx TTx) (err error) {
		f, err = rt.cron.fireNow(ctx, tx, flow.TriggerKey{Workflow: workflow, Trigger: trigger}, id, params)
		return err
	})
	if err != nil {
		return flow.Fire{}, err
	}
	rt.queue.waker.Wake(rt.config.Queue)
	rt.teller.observeFires(ctx, f)
	return f, nil
}

// FireTriggerTx is FireTrigger within the caller's transaction. Errors as for FireTrigger, but with [ErrTxUnusable] instead of
// [ErrCommitUnknown] if the transaction has ended or was given up.
func (rt *Runtime[TTx]) FireTriggerTx(ctx context.Context, tx TTx, workflow, trigger string, params TriggerParams) (flow.Fire, error) {
	if err := cmp.Or(checkJoin(ctx, tx), params.check()); err != nil {
		return flow.Fire{}, err
	}
	id, err := newFireID()
	if err != nil {
		return flow.Fire{}, err
	}
	f, err := rt.cron.fireNow(ctx, tx, flow.TriggerKey{Workflow: workflow, Trigger: trigger}, id, params)
	if err != nil {
		return flow.Fire{}, rt.joinError(err)
	}
	rt.queue.waker.AfterCallersCommit(rt.config.Queue)
	return f, nil
}

// newFireID makes the key and the signal id of a fire by hand.
func newFireID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make a signal id: %w", err)
	}
	return "now:" + id.String(), nil
}

// fireNow writes the fire that has the id, unless that has been written: then it returns it as it is.
func (cr *cron[TTx]) fireNow(ctx context.Context, tx TTx, key flow.TriggerKey, id string, params TriggerParams) (flow.Fire, error) {
	row, now, err := cr.lockTrigger(ctx, tx, key)
	if err != nil {
		return flow.Fire{}, fmt.Errorf("fire: %w", err)
	}
	s, err := schedule.New(row.Expression, row.TimeZone)
	if err != nil {
		return flow.Fire{}, fmt.Errorf("fire %s: %w", key, err)
	}
	f := newFire(row, id, windowAt(s, now), now)
	f.SignalID, f.Actor, f.Comment = id, params.Actor, params.Comment
	written, err := cr.saveFires(ctx, tx, driver.CronChange{NewFires: []flow.Fire{f}}, now)
	if err == nil && len(written) == 0 {
		f, _, err = cr.fireOf(ctx, tx, key, []string{id})
	}
	if err != nil {
		return flow.Fire{}, fmt.Errorf("fire %s: %w", key, err)
	}
	return f, nil
}

// PauseTrigger stops a cron trigger in all processes until [Runtime.ResumeTrigger]. Windows during a pause do not exist, so they
// are not missed. Fires from before the pause go on. The trigger's row keeps who paused it, when and why. Pausing a paused trigger
// changes nothing, not even that.
//
// Errors: [ErrUnknownTrigger], [*InputError], [ErrInsideTransaction], [ErrSeal], [ErrCommitUnknown]. After the last one the call
// can be repeated.
func (rt *Runtime[TTx]) PauseTrigger(ctx context.Context, workflow, trigger string, params TriggerParams) error {
	return rt.cron.pauseTrigger(ctx, flow.TriggerKey{Workflow: workflow, Trigger: trigger}, true, params)
}

// PauseTriggerTx is PauseTrigger within the caller's transaction. Errors as for PauseTrigger, but with [ErrTxUnusable] instead of
// [ErrCommitUnknown].
func (rt *Runtime[TTx]) PauseTriggerTx(ctx context.Context, tx TTx, workflow, trigger string, params TriggerParams) error {
	return rt.cron.joinPauseTrigger(ctx, tx, flow.TriggerKey{Workflow: workflow, Trigger: trigger}, true, params)
}

// ResumeTrigger ends a trigger's pause. The next window is the first one from now on. The trigger's row now keeps who resumed it,
// when and why, instead of the pause. Resuming a trigger that is not paused changes nothing. Errors as for PauseTrigger.
func (rt *Runtime[TTx]) ResumeTrigger(ctx context.Context, workflow, trigger string, params TriggerParams) error {
	return rt.cron.pauseTrigger(ctx, flow.TriggerKey{Workflow: workflow, Trigger: trigger}, false, params)
}

// ResumeTriggerTx is ResumeTrigger within the caller's transaction. Errors as for PauseTrigger, but with [ErrTxUnusable] instead of
// [ErrCommitUnknown].
func (rt *Runtime[TTx]) ResumeTriggerTx(ctx context.Context, tx TTx, workflow, trigger string, params TriggerParams) error {
	return rt.cron.joinPauseTrigger(ctx, tx, flow.TriggerKey{Workflow: workflow, Trigger: trigger}, false, params)
}

// pauseTrigger pauses or resumes a trigger in a transaction of its own.
func (cr *cron[TTx]) pauseTrigger(ctx context.Context, key flow.TriggerKey, paused bool, params TriggerParams) error {
	if err := cmp.Or(checkCall(ctx), params.check()); err != nil {
		return err
	}
	return cr.operateTrigger(ctx, func(ctx context.Context, tx TTx) error { return cr.setPaused(ctx, tx, key, paused, params) })
}

// operateTrigger runs fn, which must do no harm twice, in a transaction of its own until its fate is known, as an operator's commit about a
// run is.
func (cr *cron[TTx]) operateTrigger(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error {
	return cr.insist(ctx, cr.store.InTx, cr.writeMayPass, fn)
}

// joinPauseTrigger pauses or resumes a trigger within the caller's transaction.
func (cr *cron[TTx]) joinPauseTrigger(ctx context.Context, tx TTx, key flow.TriggerKey, paused bool, params TriggerParams) error {
	if err := cmp.Or(checkJoin(ctx, tx), params.check()); err != nil {
		return err
	}
	return cr.joinError(cr.setPaused(ctx, tx, key, paused, params))
}

func (cr *cron[TTx]) setPaused(ctx context.Context, tx TTx, key flow.TriggerKey, paused bool, params TriggerParams) error {
	row, now, err := cr.lockTrigger(ctx, tx, key)
	if err != nil || row.Paused == paused {
		return err
	}
	if !paused {
		s, err := schedule.New(row.Expression, row.TimeZone)
		if err != nil {
			return fmt.Errorf("resume trigger %s: %w", key, err)
		}
		row.NextAt = s.Next(now)
	}
	row.Paused, row.ChangedAt, row.Actor, row.Comment = paused, now, params.Actor, params.Comment
	if _, err = cr.store.SaveCron(ctx, tx, driver.CronChange{Operated: []flow.TriggerState{row}}); err != nil {
		return fmt.Errorf("change trigger %s: %w", key, err)
	}
	return nil
}

// lockTrigger locks a trigger's row, and then reads the clock.
func (cr *cron[TTx]) lockTrigger(ctx context.Context, tx TTx, key flow.TriggerKey) (flow.TriggerState, time.Time, error) {
	if !text.ValidName(key.Workflow) || !text.ValidName(key.Trigger) {
		return flow.TriggerState{}, time.Time{}, cr.unknownTrigger(key)
	}
	rows, err := cr.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: []flow.TriggerKey{key}, Lock: true})
	if err != nil {
		return flow.TriggerState{}, time.Time{}, fmt.Errorf("lock trigger %s: %w", key, err)
	}
	if len(rows) == 0 {
		return flow.TriggerState{}, time.Time{}, cr.unknownTrigger(key)
	}
	now, err := cr.now(ctx, tx)
	return rows[0], now, err
}

// unknownTrigger says of a cron trigger that has no row what was probably meant, as far as this program knows.
func (cr *cron[TTx]) unknownTrigger(key flow.TriggerKey) error {
	unknown := fmt.Errorf("%w %s", ErrUnknownTrigger, echo.Quote(key.String()))
	hint := ""
	if spec := cr.registry.specs[key.Workflow]; spec == nil {
		hint = nearest.Hint(key.Workflow, slices.Sorted(maps.Keys(cr.registry.specs)))
	} else {
		var names []string
		for _, t := range spec.Triggers() {
			switch {
			case t.Cron != "":
				names = append(names, t.Name)
			case t.Name == key.Trigger:
				return fmt.Errorf("%w: it is no cron trigger: start its runs with StartRun", unknown)
			}
		}
		hint = nearest.Hint(key.Trigger, names)
	}
	return fmt.Errorf("%w: no started process has registered such a cron trigger%s", unknown, hint)
}

// ListTriggersParams say which triggers to list, and what of them.
type ListTriggersParams struct {
	// Workflow selects the triggers of one workflow. Empty selects all.
	Workflow string

	// Next is how many of the windows to come are listed, at most 100. It defaults to 3.
	Next int

	// Fires is how many of the newest fires are listed, at most 100. It defaults to 10.
	Fires int
}

// TriggerInspection is a cron trigger as one consistent read found it.
type TriggerInspection struct {
	flow.TriggerState

	// Registered says that this process has the trigger and fires it. A trigger that no process has does not fire.
	Registered bool `json:"registered"`

	// Next are the windows to come. A window in the past is about to fire, or no process is there to fire it. A paused trigger has
	// none.
	Next []time.Time `json:"next,omitzero"`

	// Fires are the newest ones, newest window first.
	Fires []flow.Fire `json:"fires,omitzero"`
}

// ListTriggers lists the cron triggers that started processes have registered, by workflow and name. Errors: [*InputError],
// [ErrInsideTransaction].
func (rt *Runtime[TTx]) ListTriggers(ctx context.Context, params ListTriggersParams) ([]TriggerInspection, error) {
	if err := checkCall(ctx); err != nil {
		return nil, err
	}
	err := cmp.Or(check.Name("Workflow", params.Workflow), check.Range("Next", params.Next, 0, 100), check.Range("Fires", params.Fires, 0, 100))
	if err != nil {
		return nil, err
	}
	if params.Next == 0 {
		params.Next = 3
	}
	if params.Fires == 0 {
		params.Fires = 10
	}
	var list []TriggerInspection
	err = rt.view(ctx, func(ctx context.Context, tx TTx) error {
		list = nil
		rows, err := rt.store.Triggers(ctx, tx, driver.TriggerQuery{Workflow: params.Workflow})
		if err != nil || len(rows) == 0 {
			return err
		}
		keys := make([]flow.TriggerKey, len(rows))
		place := map[flow.TriggerKey]int{}
		for i, row := range rows {
			keys[i], place[row.TriggerKey] = row.TriggerKey, i
			list = append(list, TriggerInspection{TriggerState: row, Next: nextWindows(row, params.Next)})
		}
		for _, key := range rt.cron.cronKeys() {
			if i, ok := place[key]; ok {
				list[i].Registered = true
			}
		}
		fires, err := rt.store.Fires(ctx, tx, driver.FireQuery{Keys: keys, Newest: params.Fires})
		for _, f := range fires {
			t := &list[place[f.TriggerKey]]
			t.Fires = append(t.Fires, f)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list triggers: %w", err)
	}
	return list, nil
}

// nextWindows are the next n ones, as far as this program can read the row.
func nextWindows(row flow.TriggerState, n int) []time.Time {
	s, err := schedule.New(row.Expression, row.TimeZone)
	if err != nil || row.Paused {
		return nil
	}
	var next []time.Time
	for at := row.NextAt; len(next) < n && !at.IsZero(); at = s.Next(at) {
		next = append(next, at.UTC())
	}
	return next
}
