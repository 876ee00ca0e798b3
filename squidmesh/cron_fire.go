package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/internal/schedule"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (
	// onTime is how late a window may be without being missed; newestOnTime is the same for the newest one, so that a restart
	// costs nothing.
	onTime       = 5 * time.Second
	newestOnTime = time.Minute

	// firstLook is when the sweep first looks after a fire; queuedLook is how often it looks whether a queued one may go.
	firstLook  = 5 * time.Second
	queuedLook = 2 * time.Second

	// cronLimit caps the triggers, and the fires, of one transaction. Where there are more the rest comes at once, in the next one.
	cronLimit = 200
)

// cronTriggers are the rows of the registered cron triggers, with the first window of each after now.
func (cr *cron[TTx]) cronTriggers(now time.Time) ([]flow.TriggerState, error) {
	var rows []flow.TriggerState
	for _, spec := range cr.workflows() {
		for _, t := range spec.Triggers() {
			if t.Cron == "" {
				continue
			}
			s, err := schedule.New(t.Cron, t.TimeZone)
			if err != nil {
				return nil, fmt.Errorf("trigger %s/%s: %w", spec.Workflow(), t.Name, err)
			}
			rows = append(rows, flow.TriggerState{
				TriggerKey: flow.TriggerKey{Workflow: spec.Workflow(), Trigger: t.Name}, Expression: t.Cron, TimeZone: t.TimeZone,
				Missed: t.Missed, CatchUp: t.CatchUp, Overlap: t.Overlap, NextAt: s.Next(now),
			})
		}
	}
	return rows, nil
}

// cronKeys name the registered cron triggers: what this process fires.
func (cr *cron[TTx]) cronKeys() []flow.TriggerKey {
	var keys []flow.TriggerKey
	for _, spec := range cr.workflows() {
		for _, t := range spec.Triggers() {
			if t.Cron != "" {
				keys = append(keys, flow.TriggerKey{Workflow: spec.Workflow(), Trigger: t.Name})
			}
		}
	}
	return keys
}

// registerTriggers writes the registered cron triggers into their rows, and returns the fires that their former definitions owed.
func (cr *cron[TTx]) registerTriggers(ctx context.Context, tx TTx, now time.Time) ([]flow.Fire, error) {
	rows, err := cr.cronTriggers(now)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	if _, err := cr.store.SaveCron(ctx, tx, driver.CronChange{Register: rows}); err != nil {
		return nil, fmt.Errorf("register %s: %w", text.Count(len(rows), "trigger"), err)
	}
	owed, err := cr.redefineTriggers(ctx, tx, rows)
	if err != nil {
		return nil, fmt.Errorf("change the definitions of triggers: %w", err)
	}
	return owed, cr.pullBack(ctx, tx, now)
}

// redefineTriggers gives the rows that others have defined differently the definitions of this process. Rows that need nothing are not
// locked, so that a start waits for nobody who fires or operates them.
func (cr *cron[TTx]) redefineTriggers(ctx context.Context, tx TTx, defined []flow.TriggerState) ([]flow.Fire, error) {
	byKey := map[flow.TriggerKey]flow.TriggerState{}
	for _, row := range defined {
		byKey[row.TriggerKey] = row
	}
	rows, err := cr.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: cr.cronKeys()})
	if err != nil {
		return nil, err
	}
	var keys []flow.TriggerKey
	for _, row := range rows {
		if !defines(row, byKey[row.TriggerKey]) {
			keys = append(keys, row.TriggerKey)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	if rows, err = cr.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: keys, Lock: true}); err != nil {
		return nil, err
	}
	now, err := cr.now(ctx, tx)
	if err != nil {
		return nil, err
	}
	var change driver.CronChange
	for _, row := range rows {
		if defines(row, byKey[row.TriggerKey]) {
			continue // another process of this program was faster
		}
		owed, row, err := redefine(row, byKey[row.TriggerKey], now)
		if err != nil {
			return nil, fmt.Errorf("trigger %s: %w", row.TriggerKey, err)
		}
		change.NewFires = append(change.NewFires, owed...)
		change.Defined = append(change.Defined, row)
	}
	return cr.saveFires(ctx, tx, change, now)
}

// defines reports whether a row says what another one does, apart from what has become of them.
func defines(row, other flow.TriggerState) bool {
	return row.Expression == other.Expression && row.TimeZone == other.TimeZone && row.Missed == other.Missed &&
		row.CatchUp == other.CatchUp && row.Overlap == other.Overlap
}

// redefine is a row with another definition. Of a schedule that means the same the next window stays, and what was missed is still due.
// Otherwise the windows that have come by the old one are decided now, by the old policy: nobody else could.
func redefine(row, definition flow.TriggerState, now time.Time) (owed []flow.Fire, _ flow.TriggerState, _ error) {
	s, err := schedule.New(definition.Expression, definition.TimeZone)
	if err != nil {
		return nil, row, err
	}
	next := s.Next(now)
	old, err := schedule.New(row.Expression, row.TimeZone)
	switch {
	case err != nil: // a newer program wrote it, and nobody here can tell what it owed
	case old.Same(s):
		next = row.NextAt
	case row.Paused: // then there are no windows
	default:
		if !row.NextAt.IsZero() && !row.NextAt.After(now) {
			owed, row.NextAt = firesDue(row, old, now)
		}
		next = s.Follow(old, row.NextAt, now)
	}
	row.Expression, row.TimeZone, row.NextAt = definition.Expression, definition.TimeZone, next
	row.Missed, row.CatchUp, row.Overlap = definition.Missed, definition.CatchUp, definition.Overlap
	return owed, row, nil
}

// pullBack brings back the next windows that lie beyond the one after now, as they do once the database's clock has jumped ahead and
// come back. What has been fired meanwhile does not fire again, by the fires' keys.
func (cr *cron[TTx]) pullBack(ctx context.Context, tx TTx, now time.Time) error {
	rows, err := cr.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: cr.cronKeys()})
	if err != nil || len(beyond(rows, now)) == 0 {
		return err
	}
	if rows, err = cr.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: cr.cronKeys(), Lock: true}); err != nil {
		return err
	}
	rows = beyond(rows, now)
	for _, row := range rows {
		cr.logger.Warn("squidmesh: the database's clock came back, and the trigger with it", logWorkflow, row.Workflow, "trigger", row.Trigger,
			"next", row.NextAt)
	}
	_, err = cr.store.SaveCron(ctx, tx, driver.CronChange{Triggers: rows})
	return err
}

// beyond are those of triggers whose next window is not the one after now but a later one, with the one after now.
func beyond(rows []flow.TriggerState, now time.Time) []flow.TriggerState {
	var far []flow.TriggerState
	for _, row := range rows {
		s, err := schedule.New(row.Expression, row.TimeZone)
		if err != nil || row.Paused {
			continue
		}
		if next := s.Next(now); next.Before(row.NextAt) {
			row.NextAt = next
			far = append(far, row)
		}
	}
	return far
}

// fireTriggers fires what is due.
func (cr *cron[TTx]) fireTriggers(ctx context.Context, report driver.WorkerReport) tended {
	if !report.TriggersDue {
		return tended{}
	}
	return cr.eachTrigger(ctx, "fire triggers", cr.fireDue)
}

// careForFires sends again what nobody delivers, for a process that began at a time.
func (cr *cron[TTx]) careForFires(ctx context.Context, report driver.WorkerReport, began time.Time) tended {
	if !report.FiresDue {
		return tended{}
	}
	return cr.eachTrigger(ctx, "look after fires", func(ctx context.Context, tx TTx, now time.Time, keys []flow.TriggerKey) (cronPage, error) {
		return cr.resendFires(ctx, tx, now, keys, began)
	})
}

// cronPage is what came of a page of triggers, or of fires.
type cronPage struct {
	written []flow.Fire       // for the first time
	about   []flow.TriggerKey // also if it failed
	done    int               // how many were moved on, or sent
	full    bool              // there may be more
}

// cronWork is something to do about a page of what is due of triggers.
type cronWork[TTx any] func(ctx context.Context, tx TTx, now time.Time, keys []flow.TriggerKey) (cronPage, error)

// eachTrigger does it about all registered triggers in one transaction. If the executor refuses a job of one, or that transaction takes
// too long, each has one of its own, so that the others do not wait for that one.
func (cr *cron[TTx]) eachTrigger(ctx context.Context, what string, do cronWork[TTx]) tended {
	page, err := cr.inCronTx(ctx, cr.cronKeys(), do)
	switch {
	case err == nil:
		return tended{done: page.done, full: page.full}
	case !errors.Is(err, ErrDispatch) && !silent(err) || len(page.about) < 2:
		return tended{troubles: []trouble{{what: what, err: err}}}
	}
	t := tended{full: page.full}
	for _, key := range page.about {
		page, err := cr.inCronTx(ctx, []flow.TriggerKey{key}, do)
		if err != nil {
			t.troubles = append(t.troubles, trouble{what, []any{logWorkflow, key.Workflow, "trigger", key.Trigger}, err})
			continue
		}
		t.done += page.done
	}
	return t
}

// inCronTx does it in a transaction of its own, and tells the observer of the fires that it wrote first.
func (cr *cron[TTx]) inCronTx(ctx context.Context, keys []flow.TriggerKey, do cronWork[TTx]) (page cronPage, err error) {
	err = cr.inTx(ctx, func(ctx context.Context, tx TTx) error {
		now, err := cr.now(ctx, tx)
		if err != nil {
			return err
		}
		page, err = do(ctx, tx, now, keys)
		fault.Hit("cron.before_commit")
		return err
	})
	fault.Hit("cron.after_commit")
	if err != nil {
		return page, fmt.Errorf("cron: %w", err)
	}
	cr.queue.waker.Wake(cr.config.Queue)
	cr.teller.observeFires(ctx, page.written...)
	return page, nil
}

// fireDue writes the fires of the windows that are due, hands them to the executor, and moves their triggers on, all or
// nothing. A row that cannot be read, since a newer program wrote it, is left to that program.
func (cr *cron[TTx]) fireDue(ctx context.Context, tx TTx, now time.Time, keys []flow.TriggerKey) (page cronPage, err error) {
	due, err := cr.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: keys, DueBy: now, Limit: cronLimit})
	if err != nil {
		return page, err
	}
	page.full = len(due) == cronLimit
	var change driver.CronChange
	for _, row := range due {
		page.about = append(page.about, row.TriggerKey)
		s, err := schedule.New(row.Expression, row.TimeZone)
		if err != nil {
			cr.logger.Error("squidmesh: trigger cannot fire", "workflow", row.Workflow, "trigger", row.Trigger, "error", err)
			continue
		}
		var fires []flow.Fire
		fires, row.NextAt = firesDue(row, s, now)
		change.NewFires = append(change.NewFires, fires...)
		change.Triggers = append(change.Triggers, row)
	}
	page.done = len(change.Triggers)
	page.written, err = cr.saveFires(ctx, tx, change, now)
	return page, err
}

// saveFires writes new fires, sends those that were not there yet, and returns them.
func (cr *cron[TTx]) saveFires(ctx context.Context, tx TTx, change driver.CronChange, now time.Time) ([]flow.Fire, error) {
	inserted, err := cr.store.SaveCron(ctx, tx, change)
	if err != nil {
		return nil, err
	}
	return inserted, cr.send(ctx, tx, inserted, now)
}

// firesDue are the fires of a trigger that is due, and its window after them.
func firesDue(row flow.TriggerState, s schedule.Schedule, now time.Time) ([]flow.Fire, time.Time) {
	wanted := 1
	switch row.Missed {
	case MissedSkip:
		wanted = 0
	case MissedCatchUp:
		wanted = row.CatchUp
	}
	windows := s.Due(row.NextAt, now, max(wanted, int(onTime/time.Second)+1)+1)
	if len(windows) == 0 {
		return nil, s.Next(now)
	}
	newest := windows[len(windows)-1]
	if now.Sub(newest) <= newestOnTime {
		wanted = max(wanted, 1)
	}
	var fires []flow.Fire
	for i, at := range windows {
		switch left := len(windows) - i; {
		case left <= wanted || now.Sub(at) <= onTime:
			fires = append(fires, newFire(row, s.Key(at), windowAt(s, at), now))
		case i+1 == len(windows) || left-1 <= wanted || now.Sub(windows[i+1]) <= onTime: // the newest that does not fire
			f := newFire(row, s.Key(at), windowAt(s, at), now)
			f.State, f.Reason, f.LookAt = flow.FireSkipped, "missed: no process was there to fire it in time", time.Time{}
			fires = append(fires, f)
		}
	}
	return fires, s.Next(newest)
}

// windowAt is the period from a due time of a schedule to the next one.
func windowAt(s schedule.Schedule, at time.Time) driver.Window {
	return driver.Window{StartAt: at.UTC(), EndAt: s.Next(at).UTC()}
}

func newFire(row flow.TriggerState, key string, w driver.Window, now time.Time) flow.Fire {
	return flow.Fire{
		TriggerKey: row.TriggerKey, Key: key, SignalID: driver.SignalID(row.TriggerKey, w), WindowAt: w.StartAt, WindowEnd: w.EndAt,
		State: flow.FirePending, FiredAt: now, LookAt: now.Add(firstLook),
	}
}

// send enqueues the deliveries of pending fires and notes their jobs.
func (cr *cron[TTx]) send(ctx context.Context, tx TTx, fires []flow.Fire, now time.Time) error {
	var batch driver.Batch
	var sent []flow.Fire
	for _, f := range fires {
		if f.State != flow.FirePending {
			continue
		}
		job := driver.CronJob{
			Schedule: driver.Schedule{Now: now, Queue: cr.config.Queue, Priority: 1}, Workflow: f.Workflow, Trigger: f.Trigger, SignalID: f.SignalID,
			IntendedWindow: &driver.Window{StartAt: f.WindowAt, EndAt: f.WindowEnd},
		}
		batch.Crons = append(batch.Crons, job)
		sent = append(sent, f)
	}
	if len(sent) == 0 {
		return nil
	}
	answer, err := cr.queue.enqueueBatch(ctx, tx, batch)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrDispatch, text.Count(len(sent), "cron job"), err)
	case len(answer.Crons) != len(sent):
		return fmt.Errorf("%w: executor answered %d of %d cron jobs", ErrDispatch, len(answer.Crons), len(sent))
	}
	for i := range sent {
		sent[i].JobID = answer.Crons[i].JobID
		sent[i].LookAt = now.Add(min(firstLook<<min(sent[i].Sent, 7), 10*time.Minute))
		sent[i].Sent++
	}
	_, err = cr.store.SaveCron(ctx, tx, driver.CronChange{Fires: sent})
	return err
}

// resendFires sends again the fires whose jobs will not come, ever more rarely where the executor cannot tell, and lets queued
// ones go whose time has come.
func (cr *cron[TTx]) resendFires(ctx context.Context, tx TTx, now time.Time, keys []flow.TriggerKey, began time.Time) (page cronPage, err error) {
	fires, err := cr.store.Fires(ctx, tx, driver.FireQuery{Keys: keys, LookBy: now, Limit: cronLimit})
	if err != nil {
		return page, err
	}
	page.full = len(fires) == cronLimit
	for _, f := range fires {
		if !slices.Contains(page.about, f.TriggerKey) {
			page.about = append(page.about, f.TriggerKey)
		}
	}
	coming, err := cr.coming(ctx, tx, fires, now, began)
	if err != nil {
		return page, err
	}
	var again, later []flow.Fire
	for _, f := range fires {
		switch {
		case f.State == flow.FireQueued:
			busy, err := cr.overlapping(ctx, tx, f, f.WindowAt)
			if err != nil {
				return page, err
			}
			if busy.run || busy.queued {
				f.LookAt = now.Add(queuedLook)
				later = append(later, f)
				continue
			}
			f.State, f.Reason, f.Sent = flow.FirePending, "", 0
			again = append(again, f)
			later = append(later, f)
		case coming[f.JobID]:
			f.LookAt = now.Add(firstLook)
			later = append(later, f)
		default:
			again = append(again, f)
		}
	}
	if len(later) > 0 {
		if _, err := cr.store.SaveCron(ctx, tx, driver.CronChange{Fires: later}); err != nil {
			return page, err
		}
	}
	page.done = len(again)
	return page, cr.send(ctx, tx, again, now)
}

// coming asks the executor which jobs will still be delivered, and has those come that it would hold back; one that cannot tell says none.
func (cr *cron[TTx]) coming(ctx context.Context, tx TTx, fires []flow.Fire, now, began time.Time) (map[string]bool, error) {
	prober, ok := cr.queue.executor.(driver.Prober[TTx])
	var ids []string
	for _, f := range fires {
		if f.JobID != "" {
			ids = append(ids, f.JobID)
		}
	}
	if !ok || len(ids) == 0 {
		return nil, nil
	}
	states, err := cr.queue.probeJobs(ctx, tx, prober, now, ids)
	if err != nil {
		return nil, err
	}
	var retry []string
	var used map[string]bool // only looked for where a job is in a queue of others
	coming := map[string]bool{}
	for _, f := range fires {
		state, found := states[f.JobID]
		if !found {
			continue
		}
		fate := state.Fate(missed(state, f.FiredAt, began), now)
		if state.Queue != "" && state.Queue != cr.config.Queue && !state.Paused {
			if used == nil {
				if used, err = cr.definitions.usedQueues(ctx, tx); err != nil {
					return nil, err
				}
			}
			if !used[state.Queue] { // as after a deploy with another Config.Queue
				fate = flow.FateLost
			}
		}
		coming[f.JobID] = fate != flow.FateLost
		if fate == flow.FateRetry {
			retry = append(retry, f.JobID)
		}
	}
	return coming, cr.queue.retryJobs(ctx, tx, retry)
}

// overlap is what stands in the way of a fire: an unfinished run of its trigger, or an earlier window that waits for one.
type overlap struct {
	run, queued bool
}

func (cr *cron[TTx]) overlapping(ctx context.Context, tx TTx, f flow.Fire, before time.Time) (overlap, error) {
	ahead, err := cr.store.Fires(ctx, tx, driver.FireQuery{Keys: []flow.TriggerKey{f.TriggerKey}, Ahead: before})
	if err != nil {
		return overlap{}, fmt.Errorf("look for what is ahead of window %s of %s: %w", f.Key, f.TriggerKey, err)
	}
	var o overlap
	for _, other := range ahead {
		o.run = o.run || other.State == flow.FireStarted
		o.queued = o.queued || other.State == flow.FireQueued
	}
	return o, nil
}
