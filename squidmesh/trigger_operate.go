package squidmesh

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// FireTrigger fires a cron trigger now, whether or not it is due or paused; its schedule goes on as if nothing had happened. The
// window is from now to the next one. A worker starts the run a moment later, under the trigger's overlap policy;
// [Runtime.ListTriggers] says what became of the fire. Each call is a fire of its own.
//
// The trigger must have been registered by a process that was started. Errors: [ErrUnknownTrigger], [ErrDispatch],
// [ErrInsideTransaction].
func (rt *Runtime[TTx]) FireTrigger(ctx context.Context, workflow, trigger string) (Fire, error) {
	if err := checkCall(ctx); err != nil {
		return Fire{}, err
	}
	var f Fire
	err := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		f, err = rt.fireNow(ctx, tx, TriggerKey{workflow, trigger})
		return err
	})
	if err != nil {
		return Fire{}, err
	}
	rt.waker.wake(rt.config.Queue)
	rt.observeFires(ctx, f)
	return f, nil
}

// FireTriggerTx is FireTrigger within the caller's transaction. Besides its errors there is [ErrTxUnusable], of a transaction that has
// ended or was given up.
func (rt *Runtime[TTx]) FireTriggerTx(ctx context.Context, tx TTx, workflow, trigger string) (Fire, error) {
	if err := checkJoin(ctx, tx); err != nil {
		return Fire{}, err
	}
	f, err := rt.fireNow(ctx, tx, TriggerKey{workflow, trigger})
	if err != nil {
		return Fire{}, rt.joinError(err)
	}
	rt.waker.wakeAfterCallersCommit(rt.config.Queue)
	return f, nil
}

func (rt *Runtime[TTx]) fireNow(ctx context.Context, tx TTx, key TriggerKey) (Fire, error) {
	row, now, err := rt.lockTrigger(ctx, tx, key)
	if err != nil {
		return Fire{}, fmt.Errorf("fire: %w", err)
	}
	s, err := newSchedule(row.Expression, row.TimeZone)
	if err != nil {
		return Fire{}, fmt.Errorf("fire %s: %w", key, err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Fire{}, fmt.Errorf("make a signal id: %w", err)
	}
	f := row.fire("now:"+id.String(), s.window(now), now)
	f.SignalID = f.Key
	if _, err := rt.saveFires(ctx, tx, CronChange{NewFires: []Fire{f}}, now); err != nil {
		return Fire{}, fmt.Errorf("fire %s: %w", key, err)
	}
	return f, nil
}

// PauseTrigger stops a cron trigger in all processes, until [Runtime.ResumeTrigger]. Windows during a pause are not missed: they do
// not exist. What was fired before goes on. Pausing a paused trigger changes nothing. Errors: [ErrUnknownTrigger],
// [ErrInsideTransaction].
func (rt *Runtime[TTx]) PauseTrigger(ctx context.Context, workflow, trigger string) error {
	return rt.changeTrigger(ctx, TriggerKey{workflow, trigger}, pauseTrigger)
}

// PauseTriggerTx is PauseTrigger within the caller's transaction. Errors as for PauseTrigger, and [ErrTxUnusable].
func (rt *Runtime[TTx]) PauseTriggerTx(ctx context.Context, tx TTx, workflow, trigger string) error {
	return rt.joinTrigger(ctx, tx, TriggerKey{workflow, trigger}, pauseTrigger)
}

// ResumeTrigger lets a paused trigger go on, with the first window from now on. Errors as for PauseTrigger.
func (rt *Runtime[TTx]) ResumeTrigger(ctx context.Context, workflow, trigger string) error {
	return rt.changeTrigger(ctx, TriggerKey{workflow, trigger}, resumeTrigger)
}

// ResumeTriggerTx is ResumeTrigger within the caller's transaction. Errors as for PauseTrigger, and [ErrTxUnusable].
func (rt *Runtime[TTx]) ResumeTriggerTx(ctx context.Context, tx TTx, workflow, trigger string) error {
	return rt.joinTrigger(ctx, tx, TriggerKey{workflow, trigger}, resumeTrigger)
}

func pauseTrigger(row TriggerState, _ time.Time) (TriggerState, error) {
	row.Paused = true
	return row, nil
}

func resumeTrigger(row TriggerState, now time.Time) (TriggerState, error) {
	s, err := newSchedule(row.Expression, row.TimeZone)
	if err != nil {
		return row, err
	}
	if row.Paused {
		row.Paused, row.NextAt = false, s.next(now)
	}
	return row, nil
}

type changeTriggerFunc func(row TriggerState, now time.Time) (TriggerState, error)

func (rt *Runtime[TTx]) changeTrigger(ctx context.Context, key TriggerKey, change changeTriggerFunc) error {
	if err := checkCall(ctx); err != nil {
		return err
	}
	return rt.store.InTx(ctx, func(ctx context.Context, tx TTx) error { return rt.changeTriggerTx(ctx, tx, key, change) })
}

// joinTrigger changes a trigger within the caller's transaction.
func (rt *Runtime[TTx]) joinTrigger(ctx context.Context, tx TTx, key TriggerKey, change changeTriggerFunc) error {
	if err := checkJoin(ctx, tx); err != nil {
		return err
	}
	return rt.joinError(rt.changeTriggerTx(ctx, tx, key, change))
}

func (rt *Runtime[TTx]) changeTriggerTx(ctx context.Context, tx TTx, key TriggerKey, change changeTriggerFunc) error {
	row, now, err := rt.lockTrigger(ctx, tx, key)
	if err != nil {
		return err
	}
	if row, err = change(row, now); err != nil {
		return fmt.Errorf("change trigger %s: %w", key, err)
	}
	if _, err = rt.store.SaveCron(ctx, tx, CronChange{Triggers: []TriggerState{row}}); err != nil {
		return fmt.Errorf("change trigger %s: %w", key, err)
	}
	return nil
}

// lockTrigger locks a trigger's row, and then reads the clock.
func (rt *Runtime[TTx]) lockTrigger(ctx context.Context, tx TTx, key TriggerKey) (TriggerState, time.Time, error) {
	unknown := fmt.Errorf("%w %s: no started process has registered such a cron trigger", ErrUnknownTrigger, echo.Quote(key.String()))
	if !validName(key.Workflow) || !validName(key.Trigger) {
		return TriggerState{}, time.Time{}, unknown
	}
	rows, err := rt.store.Triggers(ctx, tx, TriggerQuery{Keys: []TriggerKey{key}, Lock: true})
	if err != nil {
		return TriggerState{}, time.Time{}, fmt.Errorf("lock trigger %s: %w", key, err)
	}
	if len(rows) == 0 {
		return TriggerState{}, time.Time{}, unknown
	}
	now, err := rt.now(ctx, tx)
	return rows[0], now, err
}

// ListTriggersParams say what to list.
type ListTriggersParams struct {
	// Workflow selects the triggers of one workflow. Empty selects all.
	Workflow string

	// Next is how many windows to come are listed, at most 100. Defaults to 3.
	Next int

	// Fires is how many of the newest fires are listed, at most 100. Defaults to 10.
	Fires int
}

// TriggerInspection is a cron trigger as one consistent read found it.
type TriggerInspection struct {
	TriggerState

	// Registered says that this process has the trigger, so that it fires it. A trigger that no process has stands still.
	Registered bool

	// Next are the windows to come. A window in the past is about to fire, or nobody is there to fire it. Of a paused trigger
	// there are none.
	Next []time.Time

	// Fires are the newest ones, newest window first.
	Fires []Fire
}

// ListTriggers lists the cron triggers that started processes have registered, by workflow and name. Errors: [*InputError],
// [ErrInsideTransaction].
func (rt *Runtime[TTx]) ListTriggers(ctx context.Context, params ListTriggersParams) ([]TriggerInspection, error) {
	if err := checkCall(ctx); err != nil {
		return nil, err
	}
	err := firstError(checkName("Workflow", params.Workflow), checkRange("Next", params.Next, 0, 100), checkRange("Fires", params.Fires, 0, 100))
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
	err = rt.store.View(ctx, func(ctx context.Context, tx TTx) error {
		rows, err := rt.store.Triggers(ctx, tx, TriggerQuery{Workflow: params.Workflow})
		if err != nil || len(rows) == 0 {
			return err
		}
		keys := make([]TriggerKey, len(rows))
		place := map[TriggerKey]int{}
		for i, row := range rows {
			keys[i], place[row.TriggerKey] = row.TriggerKey, i
			list = append(list, TriggerInspection{TriggerState: row, Next: row.windows(params.Next)})
		}
		for _, key := range rt.cronKeys() {
			if i, ok := place[key]; ok {
				list[i].Registered = true
			}
		}
		fires, err := rt.store.Fires(ctx, tx, FireQuery{Keys: keys, Newest: params.Fires})
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

// windows are the next n ones, as far as this program can read the row.
func (row TriggerState) windows(n int) []time.Time {
	s, err := newSchedule(row.Expression, row.TimeZone)
	if err != nil || row.Paused {
		return nil
	}
	var next []time.Time
	for at := row.NextAt; len(next) < n && !at.IsZero(); at = s.next(at) {
		next = append(next, at.UTC())
	}
	return next
}
