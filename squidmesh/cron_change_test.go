package squidmesh_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// changedScheduleOwes: a deploy that changes a schedule loses none of the windows that came by the old one.
func changedScheduleOwes[TTx any](b *cronBench[TTx]) {
	nightly := func(expression string, missed squidmesh.Missed, catchUp int) squidmesh.Workflow {
		return digest(squidmesh.Trigger{Name: "nightly", Cron: expression, Missed: missed, CatchUp: catchUp})
	}
	for _, c := range []struct {
		name, now    string
		missed       squidmesh.Missed
		catchUp      int
		old, next    string
		want         []string // windows that start a run, oldest first
		skipped      bool     // the newest that does not
		then         string
		tickFirst    bool // by the old process, which is alive
		definedTwice bool // two new processes
	}{
		{name: "just due, and the old process is alive", old: "0 12 * * *", now: "12:00:00.3", want: []string{"12:00"}, then: "12:30"},
		{name: "the old process was faster", old: "0 12 * * *", now: "12:00:00.3", tickFirst: true, want: []string{"12:00"}, then: "12:30"},
		{name: "ten seconds of downtime", old: "0 12 * * *", now: "12:00:08", want: []string{"12:00"}, then: "12:30"},
		{name: "two new processes", old: "0 12 * * *", now: "12:00:08", definedTwice: true, want: []string{"12:00"}, then: "12:30"},
		{name: "an hour, and late is all right", old: "0 12 * * *", now: "13:00:00", want: []string{"12:00"}, then: "2026-03-03 12:00"},
		{name: "an hour, and late is too late", old: "0 12 * * *", now: "13:00:00", missed: squidmesh.MissedSkip, skipped: true, then: "2026-03-03 12:00"},
		{
			name: "an hour of many windows", old: "0/20 12 * * *", now: "13:00:00", missed: squidmesh.MissedCatchUp, catchUp: 2,
			want: []string{"12:20", "12:40"}, skipped: true, then: "2026-03-03 12:00",
		},
		{name: "nothing came by", old: "0 14 * * *", now: "12:10:00", then: "12:30"},
		{name: "from real time", old: "@every 1h", now: "12:10:00", want: []string{"11:59"}, then: "12:30"},
		{name: "to real time", old: "0 12 * * *", next: "@every 1h", now: "12:00:08", want: []string{"12:00"}, then: "13:00:08"},
	} {
		day := func(clock string) string {
			if len(clock) > len("12:00:00.3") {
				return clock
			}
			return "2026-03-02 " + clock
		}
		next := c.next
		if next == "" {
			next = "0,30 12 * * *"
		}
		b.Run(c.name, func(t *testing.T) {
			b := b.fresh(t)
			b.at("2026-03-02T10:59:00Z")
			old := b.process(b.queue, nightly(c.old, c.missed, c.catchUp))
			now, err := time.Parse("2006-01-02 15:04:05.9", day(c.now))
			require.NoError(b, err)
			b.at(now.Format(time.RFC3339Nano))
			if c.tickFirst {
				require.NoError(b, old.TickCron(b.Context()))
			}
			rt := b.process(b.queue, nightly(next, squidmesh.MissedSkip, 0))
			if c.definedTwice {
				b.process(b.queue, nightly(next, squidmesh.MissedSkip, 0))
			}
			b.advance(time.Second)
			require.NoError(b, old.TickCron(b.Context()))
			require.NoError(b, rt.TickCron(b.Context()))

			state := b.trigger(rt, "nightly")
			layout := "15:04:05.9"
			if len(c.then) > len("12:00:00.3") {
				layout = "2006-01-02 15:04"
			} else if len(c.then) == len("12:00") {
				layout = "15:04"
			}
			require.Equal(b, c.then, state.NextAt.UTC().Format(layout))
			var pending []string
			skipped := false
			for _, f := range state.Fires {
				switch f.State {
				case flow.FirePending:
					pending = append([]string{f.WindowAt.UTC().Format("15:04")}, pending...)
				case flow.FireSkipped:
					skipped = true
				}
			}
			require.Equal(b, c.want, pending)
			require.Equal(b, c.skipped, skipped)
			due := b.queue.take()
			require.Len(b, due, len(c.want), "each has a delivery")
			for _, d := range due {
				require.Equal(b, "fire_started", b.deliver(rt, d).Reason)
			}
		})
	}
}

// sameScheduleStays: who writes a schedule otherwise changes nothing, so what is owed is fired by the tick, in its time.
func sameScheduleStays[TTx any](b *cronBench[TTx]) {
	for _, c := range [][4]string{ // expression and zone, twice
		{"0 7 * * MON-FRI", "UTC", "0 7 * * 1-5", ""},
		{"@daily", "Europe/Berlin", "0 0 * * *", "Europe/Berlin"},
		{"@every 60s", "", "@every 1m", "Europe/Berlin"},
		{"0-59 7,8 * * *", "", "* 7-8 * JAN-DEC ?", "UTC"},
	} {
		b.Run(c[2], func(t *testing.T) {
			b := b.fresh(t)
			b.at("2026-03-02T06:58:30Z")
			of := func(expression, zone string) squidmesh.Workflow {
				return digest(squidmesh.Cron("nightly", expression, zone, squidmesh.Contract{}))
			}
			before := b.trigger(b.process(b.queue, of(c[0], c[1])), "nightly").NextAt
			b.at("2026-03-02T23:59:59Z")
			rt := b.process(b.queue, of(c[2], c[3]))
			row := b.trigger(rt, "nightly")
			require.Equal(b, before, row.NextAt)
			require.Equal(b, [2]string{c[2], c[3]}, [2]string{row.Expression, row.TimeZone}, "as it was written last")
			require.Empty(b, row.Fires)
			require.NotEmpty(b, b.tick(rt))
		})
	}
	for _, c := range [][4]string{{"0 7 * * *", "", "0 7 * * *", "Europe/Berlin"}, {"0 7 1 * *", "", "0 7 1 * MON", ""}, {"0 7 1 * MON", "", "0 7 1-31 * MON", ""}} {
		b.Run("not "+c[2], func(t *testing.T) {
			b := b.fresh(t)
			b.at("2026-03-03T06:30:00Z")
			before := b.trigger(b.process(b.queue, digest(squidmesh.Cron("nightly", c[0], c[1], squidmesh.Contract{}))), "nightly").NextAt
			rt := b.process(b.queue, digest(squidmesh.Cron("nightly", c[2], c[3], squidmesh.Contract{})))
			require.NotEqual(b, before, b.trigger(rt, "nightly").NextAt)
		})
	}
}

// schedulesTakeTurns: two versions that restart one after the other, faster than either is due, do not keep each other from firing.
func schedulesTakeTurns[TTx any](b *cronBench[TTx]) {
	fired := 0
	began := b.clock(time.Time{})
	for i := range 14 {
		rt := b.process(b.queue, digest(squidmesh.Cron("often", []string{"@every 6s", "@every 7s"}[i%2], "", squidmesh.Contract{})))
		for range 3 {
			b.advance(time.Second)
			for _, d := range b.tick(rt) {
				fired++
				require.Equal(b, "fire_started", b.deliver(rt, d).Reason)
			}
		}
		require.NoError(b, rt.Stop(b.Context()))
	}
	require.Equal(b, 42*time.Second, b.clock(time.Time{}).Sub(began))
	require.GreaterOrEqual(b, fired, 5)
	require.LessOrEqual(b, fired, 7)
}

// windowBelongsToTheScheduleThatHolds: a window of the wall clock comes only by the definition that was written last before it. A deploy that moves
// a window and is rolled back fires what its time brings, and nothing twice.
func windowBelongsToTheScheduleThatHolds[TTx any](b *cronBench[TTx]) {
	noon := digest(squidmesh.Cron("nightly", "0 12 * * *", "", squidmesh.Contract{}))
	later := digest(squidmesh.Cron("nightly", "30 12 * * *", "", squidmesh.Contract{}))
	b.at("2026-03-02T11:50:00Z")
	first := b.process(b.queue, noon)
	b.at("2026-03-02T11:55:00Z")
	second := b.process(b.queue, later)
	b.at("2026-03-02T12:00:01Z")
	require.Empty(b, b.tick(first))
	require.Empty(b, b.tick(second))
	b.at("2026-03-02T12:05:00Z")
	first = b.process(b.queue, noon)
	b.at("2026-03-02T12:30:01Z")
	require.Empty(b, b.tick(first))
	require.Empty(b, b.tick(second))

	b.at("2026-03-03T12:00:01Z")
	fired := b.tick(second)
	require.Len(b, fired, 1, "whoever has the trigger fires what the definition says that holds")
	require.Equal(b, "fire_started", b.deliver(second, fired[0]).Reason)
	b.at("2026-03-03T12:30:01Z")
	require.Empty(b, b.tick(second))
}

// A process starts, and puts back what is gone, beside an operator whose transaction has changed a trigger and goes on for as long as it likes.
func TestStart_WaitsForNobodyWhoOperatesATrigger(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	process := func() *squidmesh.Runtime[pgx.Tx] {
		rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
			Store: pgstore.New(pool, nil), Executor: &cronQueue[pgx.Tx]{}, ManualTick: true,
			Workflows: []squidmesh.Workflow{digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{}))},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		require.NoError(t, rt.Start(ctx))
		t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
		return rt
	}
	one := process()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // else the pool would wait for it
	require.NoError(t, one.PauseTriggerTx(t.Context(), tx, "digest", "nightly", squidmesh.TriggerParams{}))
	two := process()
	require.NoError(t, two.Restore(t.Context()))
	require.NoError(t, tx.Commit(t.Context()))
	list, err := two.ListTriggers(t.Context(), squidmesh.ListTriggersParams{})
	require.NoError(t, err)
	require.True(t, list[0].Paused)
}
