package drivertest

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func cronTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Cron_TriggersAreRegistered":       triggersAreRegistered[TTx],
		"Cron_TriggersAreOperated":         triggersAreOperated[TTx],
		"Cron_DueTriggers":                 dueTriggers[TTx],
		"Cron_TriggersAreLocked":           triggersAreLocked[TTx],
		"Cron_RegisteringWaitsForNobody":   registeringWaitsForNobody[TTx],
		"Cron_FiresAreUnique":              firesAreUnique[TTx],
		"Cron_FiresKeepWhatTheyAreGiven":   firesKeepWhatTheyAreGiven[TTx],
		"Cron_LateFires":                   lateFires[TTx],
		"Cron_NewestFires":                 newestFires[TTx],
		"Cron_FiresAheadOfAWindow":         firesAhead[TTx],
		"Cron_WorkersReportWhatIsDue":      workersReportCron[TTx],
		"Cron_NothingIsWrittenInRollbacks": cronRollsBack[TTx],
	}
}

func (b *storeBench[TTx]) saveCron(c driver.CronChange) (inserted []flow.Fire) {
	b.Helper()
	b.write(func(ctx context.Context, tx TTx) {
		var err error
		inserted, err = b.store.SaveCron(ctx, tx, c)
		require.NoError(b, err)
	})
	return inserted
}

func (b *storeBench[TTx]) triggers(q driver.TriggerQuery) (rows []flow.TriggerState) {
	b.Helper()
	in := b.view
	if q.Lock || !q.DueBy.IsZero() {
		in = b.write
	}
	in(func(ctx context.Context, tx TTx) {
		var err error
		rows, err = b.store.Triggers(ctx, tx, q)
		require.NoError(b, err)
	})
	return rows
}

func (b *storeBench[TTx]) fires(q driver.FireQuery) (fires []flow.Fire) {
	b.Helper()
	in := b.write
	if q.Newest > 0 || !q.Ahead.IsZero() || q.Commented {
		in = b.view
	}
	in(func(ctx context.Context, tx TTx) {
		var err error
		fires, err = b.store.Fires(ctx, tx, q)
		require.NoError(b, err)
	})
	return fires
}

var (
	nightly = flow.TriggerKey{Workflow: "digest", Trigger: "nightly"}
	weekly  = flow.TriggerKey{Workflow: "digest", Trigger: "weekly"}
	hourly  = flow.TriggerKey{Workflow: "poll", Trigger: "hourly"}
)

func trigger(key flow.TriggerKey, next time.Time) flow.TriggerState {
	return flow.TriggerState{
		TriggerKey: key, Expression: "0 7 * * *", TimeZone: "Europe/Berlin", Missed: flow.MissedCatchUp, CatchUp: 3,
		Overlap: flow.OverlapSkip, NextAt: next,
	}
}

// pending is a fire whose delivery is on the way.
func pending(key flow.TriggerKey, name string, window, look time.Time) flow.Fire {
	return flow.Fire{
		TriggerKey: key, Key: name, SignalID: "signal " + name, WindowAt: window, WindowEnd: window.Add(time.Hour),
		State: flow.FirePending, FiredAt: sampleTime, LookAt: look,
	}
}

func triggersAreRegistered[TTx any](b *storeBench[TTx]) {
	rows := []flow.TriggerState{trigger(hourly, sampleTime), trigger(nightly, time.Time{}), trigger(weekly, sampleTime)}
	b.saveCron(driver.CronChange{Register: rows})
	want := []flow.TriggerState{rows[1], rows[2], rows[0]}
	require.Equal(b, want, b.triggers(driver.TriggerQuery{}), "by workflow and name")
	require.Equal(b, want[:2], b.triggers(driver.TriggerQuery{Workflow: "digest"}))
	require.Equal(b, want[1:], b.triggers(driver.TriggerQuery{Keys: []flow.TriggerKey{hourly, weekly}}))
	require.Empty(b, b.triggers(driver.TriggerQuery{Keys: []flow.TriggerKey{}, Lock: true}))

	paused := rows[2]
	paused.Paused, paused.NextAt, paused.ChangedAt, paused.Actor, paused.Comment = true, sampleTime.Add(time.Hour), sampleTime, "ann", "why"
	b.saveCron(driver.CronChange{Operated: []flow.TriggerState{paused}})

	policy := trigger(weekly, sampleTime.Add(5*time.Hour))
	policy.Missed, policy.CatchUp, policy.Overlap = flow.MissedLatest, 0, flow.OverlapAllow
	zone := trigger(hourly, sampleTime.Add(2*time.Hour))
	zone.TimeZone = ""
	expression := trigger(nightly, sampleTime.Add(3*time.Hour))
	expression.Expression = "@daily"
	b.saveCron(driver.CronChange{Register: []flow.TriggerState{policy, zone, expression}})
	require.Equal(b, []flow.TriggerState{rows[1], paused, rows[0]}, b.triggers(driver.TriggerQuery{}), "those that are there stay")

	b.saveCron(driver.CronChange{Defined: []flow.TriggerState{policy, zone, expression}})
	policy.Paused = true // a pause stays one
	policy.ChangedAt, policy.Actor, policy.Comment = paused.ChangedAt, paused.Actor, paused.Comment
	require.Equal(b, []flow.TriggerState{expression, policy, zone}, b.triggers(driver.TriggerQuery{}))
}

// triggersAreOperated: what moves a trigger on says nothing of who paused it.
func triggersAreOperated[TTx any](b *storeBench[TTx]) {
	row, other := trigger(nightly, sampleTime), trigger(weekly, sampleTime)
	b.saveCron(driver.CronChange{Register: []flow.TriggerState{row, other}})
	rows := func() []flow.TriggerState {
		return b.triggers(driver.TriggerQuery{Keys: []flow.TriggerKey{nightly, weekly}, Lock: true})
	}
	operated := func(paused bool, actor, comment string) {
		row.Paused, row.ChangedAt = paused, row.ChangedAt.Add(time.Hour)
		row.NextAt, row.Actor, row.Comment = row.NextAt.Add(time.Hour), actor, comment
		b.saveCron(driver.CronChange{Operated: []flow.TriggerState{row}})
		require.Equal(b, []flow.TriggerState{row, other}, rows())
	}
	row.ChangedAt = sampleTime
	operated(true, "ann", "first line é\nsecond")
	moved := trigger(nightly, sampleTime.Add(2*time.Hour))
	b.saveCron(driver.CronChange{Triggers: []flow.TriggerState{moved}})
	row.NextAt = moved.NextAt
	require.Equal(b, []flow.TriggerState{row, other}, rows())
	operated(false, "", "")
	operated(true, "bob", "")
	operated(false, "", `{"$sealed": "no"}`)
}

func dueTriggers[TTx any](b *storeBench[TTx]) {
	late, due, paused := trigger(weekly, sampleTime.Add(-time.Hour)), trigger(nightly, sampleTime), trigger(hourly, sampleTime)
	never := trigger(flow.TriggerKey{Workflow: "w", Trigger: "never"}, time.Time{})
	b.saveCron(driver.CronChange{Register: []flow.TriggerState{late, due, paused, never}})
	paused.Paused = true
	b.saveCron(driver.CronChange{Operated: []flow.TriggerState{paused}})
	q := driver.TriggerQuery{Keys: []flow.TriggerKey{nightly, weekly, hourly, never.TriggerKey}, DueBy: sampleTime, Limit: 10}
	require.Equal(b, []flow.TriggerState{late, due}, b.triggers(q))
	q.Limit = 1
	require.Equal(b, []flow.TriggerState{late}, b.triggers(q))
	q.Limit, q.Keys = 10, []flow.TriggerKey{nightly}
	require.Equal(b, []flow.TriggerState{due}, b.triggers(q), "of the triggers that were asked for")
	q.DueBy = sampleTime.Add(-time.Microsecond)
	require.Empty(b, b.triggers(q))
}

// triggersAreLocked: what one process fires, the other leaves alone.
func triggersAreLocked[TTx any](b *storeBench[TTx]) {
	if !b.postgres() {
		b.Skip("one transaction writes at a time")
	}
	b.saveCron(driver.CronChange{
		Register: []flow.TriggerState{trigger(nightly, sampleTime), trigger(weekly, sampleTime)},
		NewFires: []flow.Fire{pending(nightly, "a", sampleTime, sampleTime), pending(weekly, "b", sampleTime, sampleTime)},
	})
	keys := []flow.TriggerKey{nightly, weekly}
	b.write(func(ctx context.Context, tx TTx) {
		_, err := b.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: keys[:1], Lock: true})
		require.NoError(b, err)
		_, err = b.store.Fires(ctx, tx, driver.FireQuery{Keys: keys[1:], SignalID: "signal b"})
		require.NoError(b, err)
		left := b.triggers(driver.TriggerQuery{Keys: keys, DueBy: sampleTime, Limit: 10})
		require.Len(b, left, 1)
		require.Equal(b, weekly, left[0].TriggerKey)
		late := b.fires(driver.FireQuery{Keys: keys, LookBy: sampleTime, Limit: 10})
		require.Len(b, late, 1)
		require.Equal(b, nightly, late[0].TriggerKey)
	})
}

// registeringWaitsForNobody: a trigger that is there is left as it is, also beside somebody who has changed it and not committed.
func registeringWaitsForNobody[TTx any](b *storeBench[TTx]) {
	if !b.postgres() {
		b.Skip("one transaction writes at a time")
	}
	row, other := trigger(nightly, sampleTime), trigger(weekly, sampleTime)
	b.saveCron(driver.CronChange{Register: []flow.TriggerState{row}})
	row.Paused, row.ChangedAt = true, sampleTime
	b.write(func(ctx context.Context, tx TTx) {
		_, err := b.store.SaveCron(ctx, tx, driver.CronChange{Operated: []flow.TriggerState{row}})
		require.NoError(b, err)
		within, cancel := context.WithTimeout(b.Context(), 30*time.Second)
		defer cancel()
		require.NoError(b, b.store.InTx(within, func(ctx context.Context, tx TTx) error {
			_, err := b.store.SaveCron(ctx, tx, driver.CronChange{Register: []flow.TriggerState{trigger(nightly, sampleTime), other}})
			return err
		}))
	})
	require.Equal(b, []flow.TriggerState{row, other}, b.triggers(driver.TriggerQuery{}))
}

func firesAreUnique[TTx any](b *storeBench[TTx]) {
	one, two := pending(nightly, "one", sampleTime, sampleTime), pending(nightly, "two", sampleTime, sampleTime)
	other := pending(weekly, "one", sampleTime, sampleTime)
	require.Equal(b, []flow.Fire{one, other}, b.saveCron(driver.CronChange{NewFires: []flow.Fire{one, other}}))
	again, signal := one, two
	again.SignalID = "another"
	signal.SignalID = one.SignalID
	require.Equal(b, []flow.Fire{two}, b.saveCron(driver.CronChange{NewFires: []flow.Fire{again, signal, two, one}}))
	require.Len(b, b.fires(driver.FireQuery{Keys: []flow.TriggerKey{nightly}, Newest: 10}), 2)
}

func firesKeepWhatTheyAreGiven[TTx any](b *storeBench[TTx]) {
	f := pending(nightly, "2026-10-25T02:30 Europe/Berlin", sampleTime, sampleTime.Add(time.Second))
	f.Reason, f.Sent, f.JobID, f.Actor, f.Comment = "overlap: é", 3, "77", "ann", "why"
	require.Equal(b, []flow.Fire{f}, b.saveCron(driver.CronChange{NewFires: []flow.Fire{f}}))
	q := driver.FireQuery{Keys: []flow.TriggerKey{nightly}, SignalID: f.SignalID}
	require.Equal(b, []flow.Fire{f}, b.fires(q))

	run := newRun("digest")
	b.insert(run)
	f.State, f.Reason, f.RunID, f.LookAt, f.Sent, f.JobID = flow.FireStarted, "", run.ID, time.Time{}, 4, "78"
	b.saveCron(driver.CronChange{Fires: []flow.Fire{f}})
	f.RunStatus = run.Status
	require.Equal(b, []flow.Fire{f}, b.fires(q))

	bare := pending(nightly, "bare", sampleTime, time.Time{})
	bare.WindowEnd, bare.State, bare.Reason = time.Time{}, flow.FireSkipped, "missed"
	b.saveCron(driver.CronChange{NewFires: []flow.Fire{bare}})
	q.SignalID = bare.SignalID
	require.Equal(b, []flow.Fire{bare}, b.fires(q))
	q.SignalID = "unknown"
	require.Empty(b, b.fires(q))
	q.Keys, q.SignalID = []flow.TriggerKey{weekly}, bare.SignalID
	require.Empty(b, b.fires(q), "of the trigger that was asked for")
}

func lateFires[TTx any](b *storeBench[TTx]) {
	first, second := pending(nightly, "a", sampleTime, sampleTime.Add(-time.Hour)), pending(weekly, "b", sampleTime, sampleTime)
	b.saveCron(driver.CronChange{NewFires: []flow.Fire{
		second, first, pending(nightly, "c", sampleTime, sampleTime.Add(time.Microsecond)), pending(hourly, "d", sampleTime, sampleTime),
	}})
	q := driver.FireQuery{Keys: []flow.TriggerKey{nightly, weekly}, LookBy: sampleTime, Limit: 10}
	require.Equal(b, []flow.Fire{first, second}, b.fires(q))
	q.Limit = 1
	require.Equal(b, []flow.Fire{first}, b.fires(q))
}

func newestFires[TTx any](b *storeBench[TTx]) {
	var all []flow.Fire
	for i, name := range []string{"a", "b", "c"} {
		all = append(all, pending(nightly, name, sampleTime.Add(time.Duration(i)*time.Hour), sampleTime),
			pending(weekly, name, sampleTime.Add(-time.Duration(i)*time.Hour), sampleTime))
	}
	b.saveCron(driver.CronChange{NewFires: all})
	q := driver.FireQuery{Keys: []flow.TriggerKey{nightly, weekly}, Newest: 2}
	require.Equal(b, []flow.Fire{all[4], all[2], all[1], all[3]}, b.fires(q))
	q.Keys = []flow.TriggerKey{hourly}
	require.Empty(b, b.fires(q))
}

// firesAhead: what holds a window up is found however many windows came to nothing since.
func firesAhead[TTx any](b *storeBench[TTx]) {
	start := func(key flow.TriggerKey, name string, window time.Time) (flow.Run, flow.Fire) {
		run := newRun(key.Workflow)
		run.Trigger, run.WindowAt, run.SignalID = key.Trigger, window.UTC(), "signal "+name
		b.insert(run)
		f := pending(key, name, window, time.Time{})
		f.State, f.RunID, f.RunStatus = flow.FireStarted, run.ID, run.Status
		return run, f
	}
	end := func(run flow.Run) {
		t := next(run)
		t.Run.Status, t.Run.Open, t.Run.FinishedAt = flow.RunCompleted, 0, t.Run.LastAt
		b.apply(t)
	}
	at := func(hour int) time.Time { return sampleTime.Add(time.Duration(hour) * time.Hour) }
	const idle = 250 // windows after the one that is at work
	run, busy := start(nightly, "busy", at(1))
	ended, over := start(nightly, "over", at(0))
	end(ended)
	_, foreign := start(weekly, "foreign", at(1))
	queued := pending(nightly, "queued", at(2), sampleTime)
	queued.State, queued.Reason = flow.FireQueued, "waits"
	all := []flow.Fire{busy, over, foreign, queued}
	for i := range idle {
		skipped := pending(nightly, fmt.Sprintf("skipped %d", i), at(3+i), time.Time{})
		skipped.State, skipped.Reason = flow.FireSkipped, "overlap"
		all = append(all, skipped)
	}
	b.saveCron(driver.CronChange{NewFires: all})
	start(nightly, "replay", at(1)) // a run of a window, but not one that a fire has started

	ahead := func(window time.Time, keys ...flow.TriggerKey) []flow.Fire {
		return b.fires(driver.FireQuery{Keys: keys, Ahead: window})
	}
	require.Equal(b, []flow.Fire{busy, queued}, ahead(at(3+idle), nightly))
	require.Equal(b, []flow.Fire{busy}, ahead(at(2), nightly), "it does not wait for itself")
	require.Equal(b, []flow.Fire{foreign}, ahead(at(3+idle), weekly))
	require.Equal(b, []flow.Fire{busy, queued, foreign}, ahead(at(3+idle), nightly, weekly))
	require.Empty(b, ahead(at(3+idle), hourly))

	end(run)
	require.Equal(b, []flow.Fire{queued}, ahead(at(3+idle), nightly), "a run without a fire of its own counts for nothing")
	queued.State, queued.Reason, queued.LookAt = flow.FireSkipped, "overlap", time.Time{}
	b.saveCron(driver.CronChange{Fires: []flow.Fire{queued}})
	require.Empty(b, ahead(at(3+idle), nightly))
}

func workersReportCron[TTx any](b *storeBench[TTx]) {
	worker := b.register(long)
	var now time.Time
	b.write(func(ctx context.Context, tx TTx) {
		locked, err := b.store.Lock(ctx, tx, driver.LockQuery{})
		require.NoError(b, err)
		now = locked.Now
	})
	check := func(triggers, fires bool, keys ...flow.TriggerKey) {
		b.Helper()
		report := b.tick(driver.WorkerTick{Heartbeat: worker, Lease: long, Limit: 100, Triggers: keys})
		require.Equal(b, triggers, report.TriggersDue)
		require.Equal(b, fires, report.FiresDue)
	}
	check(false, false, nightly, weekly)
	b.saveCron(driver.CronChange{
		Register: []flow.TriggerState{trigger(nightly, now.Add(-time.Second)), trigger(weekly, now.Add(time.Hour))},
		NewFires: []flow.Fire{pending(weekly, "a", now, now.Add(-time.Second)), pending(nightly, "b", now, now.Add(time.Hour))},
	})
	check(true, true, nightly, weekly)
	check(true, false, nightly)
	check(false, true, weekly)
	check(false, false, hourly)
	check(false, false)
	paused := trigger(nightly, now.Add(-time.Second))
	paused.Paused = true
	b.saveCron(driver.CronChange{Operated: []flow.TriggerState{paused}})
	check(false, false, nightly)
}

func cronRollsBack[TTx any](b *storeBench[TTx]) {
	err := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
		_, err := b.store.SaveCron(ctx, tx, driver.CronChange{
			Register: []flow.TriggerState{trigger(nightly, sampleTime)},
			NewFires: []flow.Fire{pending(nightly, "a", sampleTime, sampleTime)},
		})
		require.NoError(b, err)
		return context.Canceled
	})
	require.ErrorIs(b, err, context.Canceled)
	require.Empty(b, b.triggers(driver.TriggerQuery{}))
	require.Empty(b, b.fires(driver.FireQuery{Keys: []flow.TriggerKey{nightly}, Newest: 1}))
}
