package squidmesh_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// cronQueue is an executor that keeps cron deliveries for the test to deliver, also those of transactions that rolled back. Steps
// are lost.
type cronQueue[TTx any] struct {
	mu    sync.Mutex
	jobs  int
	crons []driver.Delivery
	fail  error

	refused string // the workflow whose cron jobs are
}

func (q *cronQueue[TTx]) job() (driver.JobMetadata, error) {
	q.jobs++
	return driver.JobMetadata{JobID: strconv.Itoa(q.jobs), Queue: "squidmesh"}, q.fail
}

func (q *cronQueue[TTx]) EnqueueStep(context.Context, TTx, driver.StepJob) (driver.JobMetadata, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.job()
}

func (q *cronQueue[TTx]) EnqueueSteps(context.Context, TTx, []driver.StepJob) ([]driver.JobMetadata, error) {
	return nil, errors.New("one step is enough")
}

func (q *cronQueue[TTx]) EnqueueCompensation(context.Context, TTx, driver.CompensationJob) (driver.JobMetadata, error) {
	return driver.JobMetadata{}, errors.New("nothing is undone")
}

func (q *cronQueue[TTx]) EnqueueCron(_ context.Context, _ TTx, job driver.CronJob) (driver.JobMetadata, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if job.Workflow == q.refused {
		return driver.JobMetadata{}, errors.New("refused")
	}
	if q.fail == nil {
		q.crons = append(q.crons, job.Delivery())
	}
	return q.job()
}

// take returns the deliveries since it was called last.
func (q *cronQueue[TTx]) take() []driver.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	crons := q.crons
	q.crons = nil
	return crons
}

// probedQueue can tell that its jobs are still to come.
type probedQueue[TTx any] struct{ *cronQueue[TTx] }

func (probedQueue[TTx]) ProbeJobs(_ context.Context, _ TTx, _ time.Time, ids []string) (map[string]flow.JobState, error) {
	states := map[string]flow.JobState{}
	for _, id := range ids {
		states[id] = flow.JobState{State: "available", Deliverable: true}
	}
	return states, nil
}

// cronBench is a database whose clock stands still until the test moves it.
type cronBench[TTx any] struct {
	*testing.T
	store driver.Store[TTx]
	queue *cronQueue[TTx]
	open  func(*cronBench[TTx]) driver.Store[TTx] // on a database of its own
	check func(*invariants.Options) ([]invariants.Violation, error)

	mu  sync.Mutex
	now time.Time
}

// fresh is a bench for a test of its own.
func (b *cronBench[TTx]) fresh(t *testing.T) *cronBench[TTx] {
	t.Helper()
	b = &cronBench[TTx]{T: t, queue: &cronQueue[TTx]{}, open: b.open}
	b.store = b.open(b)
	return b
}

func (b *cronBench[TTx]) clock(time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// at sets the clock.
func (b *cronBench[TTx]) at(text string) {
	b.Helper()
	now, err := time.Parse(time.RFC3339, text)
	require.NoError(b, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = now
}

func (b *cronBench[TTx]) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// process starts a runtime that ticks when the test says so: the leases of several on one SQLite file would end one another.
func (b *cronBench[TTx]) process(ex driver.Executor[TTx], workflows ...squidmesh.Workflow) *squidmesh.Runtime[TTx] {
	b.Helper()
	rt, err := squidmesh.New(&squidmesh.Config[TTx]{
		Store: b.store, Executor: ex, Workflows: workflows, ManualTick: true, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(b, err)
	require.NoError(b, rt.Start(b.Context()))
	b.Cleanup(func() { require.NoError(b, rt.Stop(context.Background())) })
	return rt
}

// tick lets a process look after its triggers, and returns what was enqueued since the last call.
func (b *cronBench[TTx]) tick(rt *squidmesh.Runtime[TTx]) []driver.Delivery {
	b.Helper()
	require.NoError(b, rt.TickCron(b.Context()))
	return b.queue.take()
}

func (b *cronBench[TTx]) deliver(rt *squidmesh.Runtime[TTx], d driver.Delivery) flow.Outcome {
	b.Helper()
	outcome, err := rt.Perform(b.Context(), d)
	require.NoError(b, err)
	return outcome
}

func (b *cronBench[TTx]) trigger(rt *squidmesh.Runtime[TTx], name string) squidmesh.TriggerInspection {
	b.Helper()
	list, err := rt.ListTriggers(b.Context(), squidmesh.ListTriggersParams{})
	require.NoError(b, err)
	for _, t := range list {
		if t.Trigger == name {
			return t
		}
	}
	b.Fatalf("no trigger %s", name)
	return squidmesh.TriggerInspection{}
}

func (b *cronBench[TTx]) states(rt *squidmesh.Runtime[TTx], name string) (states []flow.FireState) {
	b.Helper()
	for _, f := range b.trigger(rt, name).Fires {
		states = append(states, f.State)
	}
	return states
}

func (b *cronBench[TTx]) runs(rt *squidmesh.Runtime[TTx]) []squidmesh.Run {
	b.Helper()
	page, err := rt.ListRuns(b.Context(), squidmesh.ListParams{})
	require.NoError(b, err)
	return page.Runs
}

func digest(triggers ...squidmesh.Trigger) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: "digest", Triggers: triggers,
		Steps: []squidmesh.Step{{Name: "act", Do: squidmesh.Effect(func(context.Context, nothing) error { return nil })}},
	}
}

func TestCron(t *testing.T) {
	t.Parallel()
	onBothStores(t, cronTests[pgx.Tx](), cronTests[*sql.Tx]())
}

// onBothStores runs tests on fresh databases of either dialect.
func onBothStores(t *testing.T, postgres map[string]func(*cronBench[pgx.Tx]), sqlite map[string]func(*cronBench[*sql.Tx])) {
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		runCronTests(t, postgres, func(b *cronBench[pgx.Tx]) driver.Store[pgx.Tx] {
			pool := dbtest.Postgres(b.T)
			b.check = func(o *invariants.Options) ([]invariants.Violation, error) {
				return invariants.CheckPostgres(b.Context(), pool, o)
			}
			// The lease is how long a call waits for the database, which a busy machine may keep from answering. No clock runs it out by itself.
			return pgstore.New(pool, &pgstore.Options{Clock: b.clock, Lease: time.Minute})
		})
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		runCronTests(t, sqlite, func(b *cronBench[*sql.Tx]) driver.Store[*sql.Tx] {
			store := dbtest.SQLite(b.T, &sqlitestore.Options{Clock: b.clock})
			b.check = func(o *invariants.Options) ([]invariants.Violation, error) {
				return invariants.CheckSQLite(b.Context(), store.DB(), o)
			}
			return store
		})
	})
}

func cronTests[TTx any]() map[string]func(*cronBench[TTx]) {
	return map[string]func(*cronBench[TTx]){
		"AWindowFiresOnce":                        windowFiresOnce[TTx],
		"AFireWhoseJobIsLostIsSentAgain":          lostFireIsSentAgain[TTx],
		"AFireWhoseJobIsToComeIsLeftAlone":        comingFireIsLeftAlone[TTx],
		"ARefusedJobLeavesNothing":                refusedJobLeavesNothing[TTx],
		"ARefusedJobKeepsNoOtherTrigger":          refusedJobKeepsNoOther[TTx],
		"AClockThatComesBackBringsWindowsBack":    clockComesBack[TTx],
		"MissedWindowsGoByThePolicy":              missedWindows[TTx],
		"OverlapSkip":                             overlapSkips[TTx],
		"OverlapSkipOutlastsManyWindows":          overlapOutlasts[TTx],
		"OverlapQueueOne":                         overlapQueuesOne[TTx],
		"APausedTriggerHasNoWindows":              pausedTrigger[TTx],
		"WhoOperatesATriggerIsRecorded":           operatorsAreRecorded[TTx],
		"AFireByHandSaysWhoAndWhy":                fireByHand[TTx],
		"TheWindowsDateIsToday":                   windowsDateIsToday[TTx],
		"ANewDefinitionTakesTheRowOver":           newDefinition[TTx],
		"AProcessThatDoesNotKnowWaitsThenGivesUp": unknownWorkflow[TTx],
		"WhatALivingProcessKnowsIsNotRefused":     knownElsewhere[TTx],
		"AScheduleOfTheProgramsOwnWaitsToo":       unknownFromElsewhere[TTx],
		"ARepeatedHourFiresOnce":                  repeatedHour[TTx],
		"DeliveriesFromElsewhereStillStartRuns":   deliveriesFromElsewhere[TTx],
		"AJobWithoutAWindowStartsOneRun":          jobStartsOneRun[TTx],
		"AWindowThatHasNotComeStartsNothing":      windowAhead[TTx],
		"DeliveriesFromElsewhereGoByOverlap":      elsewhereGoesByOverlap[TTx],
		"DeliveriesFromElsewhereQueueOne":         elsewhereQueuesOne[TTx],
		"ARunKeepsTheScheduleOfItsFire":           scheduleIsKept[TTx],
		"CallersKeysDoNotReachWindows":            callersKeysDoNotReachWindows[TTx],
		"AChangedScheduleOwesTheOldWindow":        changedScheduleOwes[TTx],
		"AScheduleThatMeansTheSameStays":          sameScheduleStays[TTx],
		"SchedulesThatTakeTurnsFire":              schedulesTakeTurns[TTx],
		"AWindowBelongsToTheScheduleThatHolds":    windowBelongsToTheScheduleThatHolds[TTx],
		"DefinitionsComeBackToEmptyTables":        definitionsComeBack[TTx],
	}
}

func runCronTests[TTx any](t *testing.T, tests map[string]func(*cronBench[TTx]), open func(b *cronBench[TTx]) driver.Store[TTx]) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := (&cronBench[TTx]{open: open}).fresh(t)
			b.at("2026-03-02T06:59:00Z") // a Monday
			test(b)
			violations, err := b.check(&invariants.Options{Grace: -1})
			require.NoError(t, err)
			require.Empty(t, violations)
		})
	}
}

// windowFiresOnce: whoever ticks and delivers, one window is one fire and one run.
func windowFiresOnce[TTx any](b *cronBench[TTx]) {
	w := digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{}))
	one, two := b.process(b.queue, w), b.process(b.queue, w)
	require.Empty(b, b.tick(one))
	require.Equal(b, "2026-03-02T07:00:00Z", b.trigger(one, "nightly").Next[0].Format(time.RFC3339))

	b.at("2026-03-02T07:00:00Z")
	both := func(do func(rt *squidmesh.Runtime[TTx]) error) {
		b.Helper()
		done := make(chan error, 8)
		for i := range cap(done) {
			go func() { done <- do([]*squidmesh.Runtime[TTx]{one, two}[i%2]) }()
		}
		for range cap(done) {
			require.NoError(b, <-done)
		}
	}
	both(func(rt *squidmesh.Runtime[TTx]) error { return rt.TickCron(b.Context()) })
	sent := b.queue.take()
	require.Len(b, sent, 1)
	require.Equal(b, "2026-03-02T07:00:00Z", sent[0].IntendedWindow.StartAt.Format(time.RFC3339))
	require.Equal(b, "2026-03-03T07:00:00Z", sent[0].IntendedWindow.EndAt.Format(time.RFC3339))
	require.Equal(b, []flow.FireState{flow.FirePending}, b.states(one, "nightly"))

	both(func(rt *squidmesh.Runtime[TTx]) error {
		_, err := rt.Perform(b.Context(), sent[0])
		return err
	})
	runs := b.runs(one)
	require.Len(b, runs, 1)
	require.Equal(b, "2026-03-02T07:00:00Z", runs[0].WindowAt.Format(time.RFC3339))
	require.Equal(b, sent[0].SignalID, runs[0].SignalID)
	fire := b.trigger(two, "nightly").Fires[0]
	require.Equal(b, flow.FireStarted, fire.State)
	require.Equal(b, runs[0].ID, fire.RunID)
	require.Equal(b, squidmesh.RunPending, fire.RunStatus)
	b.at("2026-03-02T12:00:00Z")
	require.Empty(b, b.tick(two))
	require.Equal(b, "2026-03-03T07:00:00Z", b.trigger(two, "nightly").NextAt.Format(time.RFC3339))

	b.at("2026-03-03T07:00:00Z")
	require.Equal(b, "fire_started", b.deliver(two, b.tick(two)[0]).Reason, "though the run before it has not ended")
	require.Len(b, b.runs(one), 2)
}

// lostFireIsSentAgain: the process dies between the tick and the delivery, and the job with it.
func lostFireIsSentAgain[TTx any](b *cronBench[TTx]) {
	w := digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{}))
	first := b.process(b.queue, w)
	b.at("2026-03-02T07:00:00Z")
	sent := b.tick(first)
	require.Len(b, sent, 1)
	require.NoError(b, first.Stop(b.Context()))

	next := b.process(b.queue, w)
	b.advance(4 * time.Second)
	require.Empty(b, b.tick(next))
	b.advance(time.Second)
	again := b.tick(next)
	require.Equal(b, sent, again)
	require.Empty(b, b.tick(next))
	require.Equal(b, "fire_started", b.deliver(next, again[0]).Reason)
	require.Equal(b, flow.OutcomeDone, b.deliver(next, sent[0]).Kind, "the job was only late")
	require.Len(b, b.runs(next), 1)
	b.advance(time.Hour)
	require.Empty(b, b.tick(next))
}

func comingFireIsLeftAlone[TTx any](b *cronBench[TTx]) {
	rt := b.process(probedQueue[TTx]{b.queue}, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	b.at("2026-03-02T07:00:00Z")
	require.Len(b, b.tick(rt), 1)
	for range 5 {
		b.advance(5 * time.Second)
		require.Empty(b, b.tick(rt))
	}
}

func refusedJobLeavesNothing[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	b.at("2026-03-02T07:00:00Z")
	fail := func(err error) {
		b.queue.mu.Lock()
		defer b.queue.mu.Unlock()
		b.queue.fail = err
	}
	fail(errors.New("queue is away"))
	require.ErrorIs(b, rt.TickCron(b.Context()), squidmesh.ErrDispatch)
	require.Empty(b, b.states(rt, "nightly"))
	require.Equal(b, "2026-03-02T07:00:00Z", b.trigger(rt, "nightly").NextAt.Format(time.RFC3339))
	_, err := rt.FireTrigger(b.Context(), "digest", "nightly", squidmesh.TriggerParams{})
	require.ErrorIs(b, err, squidmesh.ErrDispatch)
	require.Empty(b, b.states(rt, "nightly"))
	fail(nil)
	sent := b.tick(rt)
	require.Len(b, sent, 1)

	// Nor does a run whose first job is refused; its fire is still to come.
	fail(errors.New("queue is away"))
	_, err = rt.Perform(b.Context(), sent[0])
	require.ErrorIs(b, err, squidmesh.ErrDispatch)
	require.Empty(b, b.runs(rt))
	require.Equal(b, []flow.FireState{flow.FirePending}, b.states(rt, "nightly"))
	fail(nil)
	require.Equal(b, "fire_started", b.deliver(rt, sent[0]).Reason)
	require.Len(b, b.runs(rt), 1)
}

// refusedJobKeepsNoOther: neither when windows fire nor when a fire is sent again.
func refusedJobKeepsNoOther[TTx any](b *cronBench[TTx]) {
	nightly := squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})
	bad, good := digest(nightly), digest(nightly)
	bad.Name, good.Name = "bad", "good"
	rt := b.process(b.queue, bad, good)
	state := func(workflow string) (states []flow.FireState) {
		list, err := rt.ListTriggers(b.Context(), squidmesh.ListTriggersParams{Workflow: workflow})
		require.NoError(b, err)
		for _, f := range list[0].Fires {
			states = append(states, f.State)
		}
		return states
	}
	refuse := func(workflow string) {
		b.queue.mu.Lock()
		defer b.queue.mu.Unlock()
		b.queue.refused = workflow
	}
	b.at("2026-03-02T07:00:00Z")
	refuse("bad")
	require.ErrorContains(b, rt.TickCron(b.Context()), "workflow=bad trigger=nightly")
	require.Empty(b, state("bad"))
	require.Equal(b, []flow.FireState{flow.FirePending}, state("good"))

	refuse("")
	require.NoError(b, rt.TickCron(b.Context()))
	require.Equal(b, []flow.FireState{flow.FirePending}, state("bad"))
	b.queue.take()
	refuse("bad")
	b.advance(6 * time.Second)
	require.ErrorContains(b, rt.TickCron(b.Context()), "workflow=bad trigger=nightly")
	require.NotEmpty(b, b.queue.take(), "that of the other is sent again")
	require.ErrorIs(b, rt.TickCron(b.Context()), squidmesh.ErrDispatch)
	require.Empty(b, b.queue.take(), "once")
}

// clockComesBack: it was three days ahead for a moment.
func clockComesBack[TTx any](b *cronBench[TTx]) {
	w := digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{}))
	rt := b.process(b.queue, w)
	fire := func() {
		b.Helper()
		sent := b.tick(rt)
		require.Len(b, sent, 1)
		require.Equal(b, "fire_started", b.deliver(rt, sent[0]).Reason)
	}
	b.at("2026-03-05T07:00:00Z")
	fire()
	require.Equal(b, "2026-03-06T07:00:00Z", b.trigger(rt, "nightly").NextAt.Format(time.RFC3339))
	require.NoError(b, rt.Stop(b.Context()))

	b.at("2026-03-02T07:30:00Z")
	rt = b.process(b.queue, w)
	require.Equal(b, "2026-03-03T07:00:00Z", b.trigger(rt, "nightly").NextAt.Format(time.RFC3339))
	b.at("2026-03-03T07:00:00Z")
	fire()
	b.at("2026-03-04T07:00:00Z")
	require.Empty(b, b.tick(rt), "that window was noted as missed")
	b.at("2026-03-05T07:00:00Z")
	require.Empty(b, b.tick(rt), "that window has been fired")
	require.Equal(b, "2026-03-06T07:00:00Z", b.trigger(rt, "nightly").NextAt.Format(time.RFC3339))
}

// A process that lives through a jump of the database's clock brings its triggers back with it.
func TestTick_PullsTriggersBackWithTheClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 6, 59, 0, 0, time.UTC)
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store:    dbtest.SQLite(t, &sqlitestore.Options{Clock: func(time.Time) time.Time { return now }}),
		Executor: &cronQueue[*sql.Tx]{}, ManualTick: true, Logger: slog.New(slog.DiscardHandler),
		Workflows: []squidmesh.Workflow{digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{}))},
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
	next := func(at time.Time) string {
		now = at
		require.NoError(t, rt.Tick(t.Context()))
		list, err := rt.ListTriggers(t.Context(), squidmesh.ListTriggersParams{})
		require.NoError(t, err)
		return list[0].NextAt.Format(time.DateTime)
	}
	began := now
	require.Equal(t, "2026-03-02 07:00:00", next(began))
	require.Equal(t, "2026-03-06 07:00:00", next(began.AddDate(0, 0, 3).Add(time.Minute)))
	require.Equal(t, "2026-03-03 07:00:00", next(began.Add(time.Hour)))
}

// missedWindows: the only process was away for a day.
func missedWindows[TTx any](b *cronBench[TTx]) {
	w := digest(
		squidmesh.Trigger{Name: "latest", Cron: "0 * * * *"},
		squidmesh.Trigger{Name: "skip", Cron: "0 * * * *", Missed: squidmesh.MissedSkip},
		squidmesh.Trigger{Name: "catch_up", Cron: "0 * * * *", Missed: squidmesh.MissedCatchUp, CatchUp: 3},
	)
	require.NoError(b, b.process(b.queue, w).Stop(b.Context()))
	b.at("2026-03-03T07:30:00Z")
	rt := b.process(b.queue, w)
	var fired []string
	for _, d := range b.tick(rt) {
		fired = append(fired, d.Trigger+" "+d.IntendedWindow.StartAt.Format("15:04"))
	}
	require.ElementsMatch(b, []string{"latest 07:00", "catch_up 05:00", "catch_up 06:00", "catch_up 07:00"}, fired)
	skipped := b.trigger(rt, "skip").Fires
	require.Len(b, skipped, 1)
	require.Equal(b, flow.FireSkipped, skipped[0].State)
	require.Contains(b, skipped[0].Reason, "missed")
	require.Len(b, b.trigger(rt, "catch_up").Fires, 4)
	for _, name := range []string{"latest", "skip", "catch_up"} {
		require.Equal(b, "2026-03-03T08:00:00Z", b.trigger(rt, name).NextAt.Format(time.RFC3339))
	}
	b.at("2026-03-03T08:00:00Z")
	require.Len(b, b.tick(rt), 3+4, "and the four that nobody delivered are sent again")
}

func overlapSkips[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Trigger{Name: "hourly", Cron: "0 * * * *", Overlap: squidmesh.OverlapSkip}))
	b.at("2026-03-02T07:00:00Z")
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason)
	b.at("2026-03-02T08:00:00Z")
	require.Equal(b, "fire_skipped", b.deliver(rt, b.tick(rt)[0]).Reason)
	require.Contains(b, b.trigger(rt, "hourly").Fires[0].Reason, "overlap")
	b.end(rt)
	b.at("2026-03-02T09:00:00Z")
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason)
	require.Len(b, b.runs(rt), 2)
}

// overlapOutlasts: a run is at work for longer than anybody would list its windows.
func overlapOutlasts[TTx any](b *cronBench[TTx]) {
	const windows = 120
	trigger := squidmesh.Trigger{
		Name: "minutely", Cron: "* * * * *", Overlap: squidmesh.OverlapSkip, Missed: squidmesh.MissedCatchUp, CatchUp: windows,
	}
	w := digest(trigger)
	require.NoError(b, b.process(b.queue, w).Stop(b.Context()))
	b.advance(windows * time.Minute)
	rt := b.process(b.queue, w)
	sent := b.tick(rt)
	require.Len(b, sent, windows)
	for i, d := range sent {
		want := "fire_skipped"
		if i == 0 {
			want = "fire_started"
		}
		require.Equal(b, want, b.deliver(rt, d).Reason, i)
	}
	b.end(rt)
	b.advance(time.Minute)
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason)
}

// end ends all runs.
func (b *cronBench[TTx]) end(rt *squidmesh.Runtime[TTx]) {
	b.Helper()
	for _, run := range b.runs(rt) {
		if !run.Status.Terminal() {
			_, err := rt.CancelRun(b.Context(), run.ID, squidmesh.CancelParams{})
			require.NoError(b, err)
		}
	}
}

func overlapQueuesOne[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Trigger{Name: "hourly", Cron: "0 * * * *", Overlap: squidmesh.OverlapQueueOne}))
	window := func(at string) string {
		b.Helper()
		b.at(at)
		return b.deliver(rt, b.tick(rt)[0]).Reason
	}
	require.Equal(b, "fire_started", window("2026-03-02T07:00:00Z"))
	require.Equal(b, "fire_queued", window("2026-03-02T08:00:00Z"))
	require.Equal(b, "fire_skipped", window("2026-03-02T09:00:00Z"))
	b.advance(time.Minute)
	require.Empty(b, b.tick(rt), "the first run is at work still")
	b.end(rt)
	require.Empty(b, b.tick(rt))
	b.advance(2 * time.Second)
	sent := b.tick(rt)
	require.Len(b, sent, 1)
	require.Equal(b, "08:00", sent[0].IntendedWindow.StartAt.Format("15:04"))
	require.Equal(b, "fire_started", b.deliver(rt, sent[0]).Reason)
	require.Equal(b, []flow.FireState{flow.FireSkipped, flow.FireStarted, flow.FireStarted}, b.states(rt, "hourly"))
	require.Equal(b, "fire_queued", window("2026-03-02T10:00:00Z"), "the place is free again")
}

func pausedTrigger[TTx any](b *cronBench[TTx]) {
	ctx := b.Context()
	rt := b.process(b.queue, digest(
		squidmesh.Trigger{Name: "hourly", Cron: "0 * * * *", Missed: squidmesh.MissedCatchUp, CatchUp: 100},
		squidmesh.Manual("by_hand", squidmesh.Contract{}),
	))
	require.NoError(b, rt.PauseTrigger(ctx, "digest", "hourly", squidmesh.TriggerParams{}))
	require.NoError(b, rt.PauseTrigger(ctx, "digest", "hourly", squidmesh.TriggerParams{}))
	require.True(b, b.trigger(rt, "hourly").Paused)
	require.Empty(b, b.trigger(rt, "hourly").Next)
	b.at("2026-03-02T10:30:00Z")
	require.Empty(b, b.tick(rt))

	fire, err := rt.FireTrigger(ctx, "digest", "hourly", squidmesh.TriggerParams{})
	require.NoError(b, err)
	again, err := rt.FireTrigger(ctx, "digest", "hourly", squidmesh.TriggerParams{})
	require.NoError(b, err)
	require.NotEqual(b, fire.SignalID, again.SignalID, "each call is a fire of its own")
	byHand := b.queue.take()
	require.Len(b, byHand, 2)
	require.Equal(b, "fire_started", b.deliver(rt, byHand[0]).Reason)
	require.Equal(b, "2026-03-02T10:30:00Z", b.runs(rt)[0].WindowAt.Format(time.RFC3339))

	require.NoError(b, rt.ResumeTrigger(ctx, "digest", "hourly", squidmesh.TriggerParams{}))
	require.Equal(b, "2026-03-02T11:00:00Z", b.trigger(rt, "hourly").Next[0].Format(time.RFC3339))
	require.Empty(b, b.tick(rt), "a pause misses nothing")
	require.NoError(b, rt.ResumeTrigger(ctx, "digest", "hourly", squidmesh.TriggerParams{}))

	require.NoError(b, b.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		require.NoError(b, rt.PauseTriggerTx(ctx, tx, "digest", "hourly", squidmesh.TriggerParams{}))
		require.NoError(b, rt.ResumeTriggerTx(ctx, tx, "digest", "hourly", squidmesh.TriggerParams{}))
		_, err := rt.FireTriggerTx(ctx, tx, "digest", "hourly", squidmesh.TriggerParams{})
		return err
	}))
	require.Len(b, b.queue.take(), 1)

	for _, name := range []string{"by_hand", "hourl", ""} {
		_, err = rt.FireTrigger(ctx, "digest", name, squidmesh.TriggerParams{})
		require.ErrorIs(b, err, squidmesh.ErrUnknownTrigger)
		require.ErrorIs(b, rt.PauseTrigger(ctx, "digest", name, squidmesh.TriggerParams{}), squidmesh.ErrUnknownTrigger)
		require.ErrorIs(b, rt.ResumeTrigger(ctx, "digest", name, squidmesh.TriggerParams{}), squidmesh.ErrUnknownTrigger)
	}
	for key, hint := range map[flow.TriggerKey]string{
		{Workflow: "digest", Trigger: "hourl"}:   `: no started process has registered such a cron trigger, did you mean "hourly"?`,
		{Workflow: "digset", Trigger: "hourly"}:  `: no started process has registered such a cron trigger, did you mean "digest"?`,
		{Workflow: "digest", Trigger: "by_hand"}: ": it is no cron trigger: start its runs with StartRun",
	} {
		err := rt.PauseTrigger(ctx, key.Workflow, key.Trigger, squidmesh.TriggerParams{})
		require.EqualError(b, err, fmt.Sprintf("unknown trigger %q%s", key, hint))
	}
	_, err = rt.ListTriggers(ctx, squidmesh.ListTriggersParams{Next: 101})
	var input *squidmesh.InputError
	require.ErrorAs(b, err, &input)
}

// operatorsAreRecorded: the row keeps who paused or resumed it last, and a call that changes nothing takes nobody's place.
func operatorsAreRecorded[TTx any](b *cronBench[TTx]) {
	ctx := b.Context()
	workflow := digest(squidmesh.Cron("hourly", "0 * * * *", "", squidmesh.Contract{}))
	rt := b.process(b.queue, workflow)
	says := func(paused bool, at, actor, comment string) {
		b.Helper()
		row := b.trigger(rt, "hourly")
		require.Equal(b, paused, row.Paused)
		require.Equal(b, []string{actor, comment}, []string{row.Actor, row.Comment})
		if at == "" {
			require.Zero(b, row.ChangedAt)
			return
		}
		require.Equal(b, at, row.ChangedAt.Format(time.RFC3339))
	}
	by := func(actor, comment string) squidmesh.TriggerParams {
		return squidmesh.TriggerParams{Actor: actor, Comment: comment}
	}
	says(false, "", "", "")
	require.NoError(b, rt.ResumeTrigger(ctx, "digest", "hourly", by("ann", "goes on")))
	says(false, "", "", "")

	b.at("2026-03-02T07:10:00Z")
	require.NoError(b, rt.PauseTrigger(ctx, "digest", "hourly", by("ann", "the mail server is away")))
	b.at("2026-03-02T07:20:00Z")
	require.NoError(b, rt.PauseTrigger(ctx, "digest", "hourly", by("bob", "me too")))
	says(true, "2026-03-02T07:10:00Z", "ann", "the mail server is away")
	b.process(b.queue, workflow) // which registers it anew
	says(true, "2026-03-02T07:10:00Z", "ann", "the mail server is away")

	b.at("2026-03-02T08:30:00Z")
	require.NoError(b, rt.ResumeTrigger(ctx, "digest", "hourly", by("bob", "")))
	says(false, "2026-03-02T08:30:00Z", "bob", "")
	require.NoError(b, rt.ResumeTrigger(ctx, "digest", "hourly", by("ann", "again")))
	b.at("2026-03-02T09:00:00Z")
	require.Len(b, b.tick(rt), 1)
	says(false, "2026-03-02T08:30:00Z", "bob", "")

	require.NoError(b, b.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		return rt.PauseTriggerTx(ctx, tx, "digest", "hourly", by("cyd", "in a transaction"))
	}))
	says(true, "2026-03-02T09:00:00Z", "cyd", "in a transaction")
	require.ErrorIs(b, b.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		require.NoError(b, rt.ResumeTriggerTx(ctx, tx, "digest", "hourly", by("dan", "rolls back")))
		return context.Canceled
	}), context.Canceled)
	says(true, "2026-03-02T09:00:00Z", "cyd", "in a transaction")
	require.NoError(b, b.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		return rt.ResumeTriggerTx(ctx, tx, "digest", "hourly", by("", "nobody's name"))
	}))
	says(false, "2026-03-02T09:00:00Z", "", "nobody's name")
}

// fireByHand: the fire says who asked for it and why, and the run that it starts who started it.
func fireByHand[TTx any](b *cronBench[TTx]) {
	ctx := b.Context()
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	b.at("2026-03-02T07:00:00Z")
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason)
	b.at("2026-03-02T08:00:00Z")
	_, err := rt.FireTrigger(ctx, "digest", "nightly", squidmesh.TriggerParams{Actor: "ann", Comment: "the morning's was lost"})
	require.NoError(b, err)
	b.at("2026-03-02T09:00:00Z")
	require.NoError(b, b.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		_, err := rt.FireTriggerTx(ctx, tx, "digest", "nightly", squidmesh.TriggerParams{Actor: "bob"})
		return err
	}))
	b.at("2026-03-02T10:00:00Z")
	_, err = rt.FireTrigger(ctx, "digest", "nightly", squidmesh.TriggerParams{Comment: "nobody's name"})
	require.NoError(b, err)
	for _, d := range b.queue.take() {
		require.Equal(b, "fire_started", b.deliver(rt, d).Reason)
	}
	fires := b.trigger(rt, "nightly").Fires
	require.Len(b, fires, 4)
	for i, want := range []struct{ actor, comment, started string }{
		{"", "nobody's name", "cron"}, {"bob", "", "bob"}, {"ann", "the morning's was lost", "ann"}, {"", "", "cron"},
	} {
		require.Equal(b, []string{want.actor, want.comment}, []string{fires[i].Actor, fires[i].Comment})
		in, err := rt.InspectRun(ctx, fires[i].RunID, &squidmesh.InspectOptions{History: true})
		require.NoError(b, err)
		require.Equal(b, flow.AuditStarted, in.Audit[0].Kind)
		require.Equal(b, want.started, in.Audit[0].Actor)
		folded, err := flow.Fold(in.Spec, in.Audit)
		require.NoError(b, err)
		require.Equal(b, fires[i].SignalID, folded.Run.SignalID)
	}
}

type dated struct {
	Day string    `json:"day"`
	At  time.Time `json:"at"`
}

// windowsDateIsToday: the window of 23:30 in Berlin is delivered on the next day.
func windowsDateIsToday[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "30 23 * * *", "Europe/Berlin",
		squidmesh.Payload[dated](squidmesh.Defaults{"day": squidmesh.DefaultToday, "at": squidmesh.DefaultNow}))))
	b.at("2026-03-03T00:10:00Z")
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason)
	run, err := rt.InspectRun(b.Context(), b.runs(rt)[0].ID, nil)
	require.NoError(b, err)
	require.JSONEq(b, `{"day":"2026-03-02","at":"2026-03-02T22:30:00Z"}`, string(run.Run.Payload))
}

func newDefinition[TTx any](b *cronBench[TTx]) {
	old := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	require.NoError(b, old.Stop(b.Context()))
	b.at("2026-03-02T07:30:00Z")
	rt := b.process(b.queue, digest(squidmesh.Trigger{Name: "nightly", Cron: "0 8 * * *", TimeZone: "Europe/Berlin"}))
	require.Equal(b, "2026-03-03T07:00:00Z", b.trigger(rt, "nightly").NextAt.Format(time.RFC3339))
	require.Equal(b, []flow.FireState{flow.FirePending}, b.states(rt, "nightly"), "the old window is owed, and late by the old policy")
	require.Len(b, b.queue.take(), 1)
	require.NoError(b, rt.Stop(b.Context()))

	other := b.process(b.queue, squidmesh.Workflow{Name: "other", Triggers: []squidmesh.Trigger{
		squidmesh.Manual("go", squidmesh.Contract{}), squidmesh.Cron("yearly", "@yearly", "", squidmesh.Contract{}),
	}, Steps: digest().Steps})
	b.at("2026-03-03T07:00:00Z")
	require.Empty(b, b.tick(other), "fired by those who know it")
	require.False(b, b.trigger(other, "nightly").Registered)
	require.True(b, b.trigger(other, "yearly").Registered)
}

func unknownWorkflow[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	b.at("2026-03-02T07:00:00Z")
	sent := b.tick(rt)
	require.NoError(b, rt.Stop(b.Context()))
	old := b.process(b.queue, digest(squidmesh.Manual("go", squidmesh.Contract{})))
	require.Equal(b, "definition_unknown", b.deliver(old, sent[0]).Reason)
	another := digest(squidmesh.Manual("go", squidmesh.Contract{}))
	another.Name = "another"
	require.Equal(b, "definition_unknown", b.deliver(b.process(b.queue, another), sent[0]).Reason, "nor does it know the workflow")
	b.advance(time.Minute)
	outcome := b.deliver(old, sent[0])
	require.Equal(b, flow.OutcomeDrop, outcome.Kind)
	require.Contains(b, outcome.Detail, "unknown trigger")
	fire := b.trigger(old, "nightly").Fires[0]
	require.Equal(b, flow.FireRefused, fire.State)
	require.Contains(b, fire.Reason, "unknown trigger")
	require.Empty(b, b.runs(old))
}

// requireSoon expects that a delivery comes again, for a living process knows its trigger.
func (b *cronBench[TTx]) requireSoon(outcome flow.Outcome) {
	b.Helper()
	require.Equal(b, flow.OutcomeAgain, outcome.Kind)
	require.Equal(b, "definition_unknown", outcome.Reason)
	require.GreaterOrEqual(b, outcome.After, 100*time.Millisecond)
	require.LessOrEqual(b, outcome.After, 500*time.Millisecond)
}

// knownElsewhere: whoever fetches a fire first, and however late it is.
func knownElsewhere[TTx any](b *cronBench[TTx]) {
	weekly := squidmesh.Cron("weekly", "0 7 * * 1", "", squidmesh.Contract{})
	w := digest(weekly, squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{}))
	rt := b.process(b.queue, w)
	b.at("2026-03-02T07:00:00Z")
	sent := b.tick(rt)
	require.Len(b, sent, 2)
	nightly := sent[slices.IndexFunc(sent, func(d driver.Delivery) bool { return d.Trigger == "nightly" })]
	require.NoError(b, rt.Stop(b.Context()))
	old := b.process(b.queue, digest(weekly))
	b.advance(time.Hour)
	rt = b.process(b.queue, w)
	b.requireSoon(b.deliver(old, nightly))
	b.requireSoon(b.deliver(old, nightly))
	require.Equal(b, "fire_started", b.deliver(rt, nightly).Reason)
	require.Len(b, b.runs(rt), 1)
}

// unknownFromElsewhere: what a scheduler of the program's own enqueues waits as fires do, from when it was due.
func unknownFromElsewhere[TTx any](b *cronBench[TTx]) {
	w := digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{}))
	old := b.process(b.queue, digest(squidmesh.Manual("go", squidmesh.Contract{})))
	theirs := driver.CronJob{Workflow: "digest", Trigger: "nightly", SignalID: "theirs"}.Delivery()
	require.Equal(b, flow.OutcomeDrop, b.deliver(old, theirs).Kind, "nobody says when it was due")

	theirs.DueAt = b.clock(time.Time{})
	require.Equal(b, flow.Outcome{Kind: flow.OutcomeAgain, After: 2 * time.Second, Reason: "definition_unknown"}, b.deliver(old, theirs))
	b.advance(time.Minute)
	outcome := b.deliver(old, theirs)
	require.Equal(b, flow.OutcomeDrop, outcome.Kind)
	require.Contains(b, outcome.Detail, "unknown trigger")

	rt := b.process(b.queue, w)
	b.requireSoon(b.deliver(old, theirs))
	require.Equal(b, flow.OutcomeDone, b.deliver(rt, theirs).Kind)
	require.Equal(b, "theirs", b.runs(rt)[0].SignalID)
	require.NoError(b, rt.Stop(b.Context()))
	require.Equal(b, flow.OutcomeDrop, b.deliver(old, theirs).Kind)
}

// repeatedHour: in Berlin 02:30 comes twice in the night of 2026-10-25.
func repeatedHour[TTx any](b *cronBench[TTx]) {
	b.at("2026-10-24T22:00:00Z")
	rt := b.process(probedQueue[TTx]{b.queue}, digest(squidmesh.Cron("nightly", "30 2 * * *", "Europe/Berlin", squidmesh.Contract{})))
	var fired []driver.Delivery
	for range 10 {
		b.advance(30 * time.Minute)
		fired = append(fired, b.tick(rt)...)
	}
	require.Len(b, fired, 1)
	require.Equal(b, "2026-10-25T00:30:00Z", fired[0].IntendedWindow.StartAt.Format(time.RFC3339))
}

// deliveriesFromElsewhere: a scheduler of the program's own enqueues cron jobs too.
func deliveriesFromElsewhere[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	b.at("2026-03-02T07:00:00Z")
	ours := b.tick(rt)[0]
	theirs := ours
	theirs.SignalID = ""
	require.Equal(b, "fire_started", b.deliver(rt, theirs).Reason, "the window derives the same signal")
	require.Equal(b, "fire_started", b.deliver(rt, ours).Reason)
	require.Len(b, b.runs(rt), 1)

	theirs.SignalID = "theirs"
	require.Equal(b, "fire_started", b.deliver(rt, theirs).Reason, "whatever they call it")
	require.Len(b, b.runs(rt), 1)

	// What a run keeps of its fire is what the delivery said, or was derived from it.
	schedule := func(run squidmesh.Run) string {
		stamp := func(at time.Time) string {
			if at.IsZero() {
				return ""
			}
			return at.UTC().Format("15:04")
		}
		signal := run.SignalID
		if strings.HasPrefix(signal, "sha256:") {
			signal = "derived"
		}
		return strings.TrimSpace(signal + " " + stamp(run.WindowAt) + "-" + stamp(run.WindowEnd))
	}
	b.at("2026-03-02T09:00:00Z")
	eight, nine := b.now.Add(-time.Hour), b.now
	for name, tc := range map[string]struct {
		deliveries []driver.Delivery
		runs       []string
	}{
		"one signal":                {[]driver.Delivery{{SignalID: "abc"}, {SignalID: "abc"}}, []string{"abc -"}},
		"raw":                       {[]driver.Delivery{{}, {IntendedWindow: &driver.Window{}}}, []string{"-", "-"}},
		"one window":                {[]driver.Delivery{{IntendedWindow: &driver.Window{StartAt: eight, EndAt: nine}}, {IntendedWindow: &driver.Window{StartAt: eight, EndAt: nine}}}, []string{"derived 08:00-09:00"}},
		"one window, two signals":   {[]driver.Delivery{{SignalID: "d", IntendedWindow: &driver.Window{StartAt: nine, EndAt: nine}}, {SignalID: "e", IntendedWindow: &driver.Window{StartAt: nine, EndAt: nine}}}, []string{"d 09:00-09:00"}},
		"the start of a window":     {[]driver.Delivery{{IntendedWindow: &driver.Window{StartAt: eight}}, {IntendedWindow: &driver.Window{StartAt: eight}}}, []string{"08:00-"}},
		"the ends of two":           {[]driver.Delivery{{IntendedWindow: &driver.Window{EndAt: eight}}, {IntendedWindow: &driver.Window{EndAt: nine}}}, []string{"-08:00", "-09:00"}},
		"one signal, half a window": {[]driver.Delivery{{SignalID: "f", IntendedWindow: &driver.Window{StartAt: eight}}, {SignalID: "f"}}, []string{"f 08:00-"}},
	} {
		known := map[squidmesh.RunID]bool{}
		for _, run := range b.runs(rt) {
			known[run.ID] = true
		}
		for _, d := range tc.deliveries {
			d.Version, d.Kind, d.Workflow, d.Trigger = 1, driver.DeliverCron, "digest", "nightly"
			require.Equal(b, flow.Outcome{Kind: flow.OutcomeDone}, b.deliver(rt, d), name)
		}
		var started []string
		for _, run := range b.runs(rt) {
			if !known[run.ID] {
				started = append(started, schedule(run))
			}
		}
		require.ElementsMatch(b, tc.runs, started, name)
	}
	before := len(b.runs(rt))
	for field, bad := range map[string][]driver.Delivery{
		"signal_id":              {{SignalID: "a\x00"}, {SignalID: strings.Repeat("x", 181)}},
		"intended_window.end_at": {{IntendedWindow: &driver.Window{StartAt: nine, EndAt: eight}}},
	} {
		for _, d := range bad {
			d.Version, d.Kind, d.Workflow, d.Trigger = 1, driver.DeliverCron, "digest", "nightly"
			outcome := b.deliver(rt, d)
			require.Equal(b, flow.OutcomeDrop, outcome.Kind)
			require.Contains(b, outcome.Detail, field)
		}
	}
	require.Len(b, b.runs(rt), before)
}

// raw is a cron delivery that nobody gave a signal or a window, as of a job that was written by hand.
func raw(job string) driver.Delivery {
	return driver.Delivery{Version: 1, Kind: driver.DeliverCron, Workflow: "digest", Trigger: "nightly", Job: job}
}

// jobStartsOneRun: the job is all that names the run of such a delivery.
func jobStartsOneRun[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	for _, job := range []string{"17", "17", "18", "17", "\x00" + strings.Repeat("x", 1000)} {
		require.Equal(b, flow.Outcome{Kind: flow.OutcomeDone}, b.deliver(rt, raw(job)))
	}
	require.Len(b, b.runs(rt), 3)
	anew := raw("17")
	anew.DueAt = b.clock(time.Time{})
	b.deliver(rt, anew)
	require.Len(b, b.runs(rt), 4, "a queue that was made anew counts anew")
	for _, run := range b.runs(rt) {
		require.Empty(b, run.Key)
		require.Empty(b, run.SignalID)
	}
}

// windowAhead: a window would else count as done before it comes.
func windowAhead[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	b.at("2026-03-02T06:58:59Z")
	forged := raw("1")
	forged.IntendedWindow = &driver.Window{StartAt: b.now.Add(61 * time.Second), EndAt: b.now.Add(61*time.Second + 24*time.Hour)}
	half, far, named := forged, forged, forged
	half.IntendedWindow = &driver.Window{StartAt: forged.IntendedWindow.StartAt}
	far.IntendedWindow = &driver.Window{StartAt: time.Date(9998, 1, 1, 0, 0, 0, 0, time.UTC), EndAt: time.Date(9998, 1, 2, 0, 0, 0, 0, time.UTC)}
	named.SignalID = "theirs"
	for _, d := range []driver.Delivery{forged, half, far, named} {
		outcome := b.deliver(rt, d)
		require.Equal(b, flow.OutcomeDrop, outcome.Kind)
		require.Equal(b, flow.DeliveryWindowAhead, outcome.Reason)
		require.Contains(b, outcome.Detail, "and it is 2026-03-02T06:58:59Z")
	}
	require.Empty(b, b.runs(rt))
	b.at("2026-03-02T07:00:00Z")
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason, "the window has its run")

	b.at("2026-03-03T06:59:00Z")
	early := forged
	early.IntendedWindow = &driver.Window{StartAt: b.now.Add(time.Minute), EndAt: b.now.Add(time.Minute + 24*time.Hour)}
	require.Equal(b, flow.OutcomeDone, b.deliver(rt, early).Kind, "a clock that is a minute ahead")
	b.advance(time.Minute)
	require.Equal(b, "fire_started", b.deliver(rt, b.tick(rt)[0]).Reason)
	require.Len(b, b.runs(rt), 2, "and its window is the same")
}

// elsewhereGoesByOverlap: whatever their windows are, also past ones.
func elsewhereGoesByOverlap[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Trigger{Name: "nightly", Cron: "0 7 * * *", Overlap: squidmesh.OverlapSkip}))
	past := func(days int) driver.Delivery {
		d := raw("")
		at := b.clock(time.Time{}).AddDate(0, 0, -days)
		d.IntendedWindow = &driver.Window{StartAt: at, EndAt: at.AddDate(0, 0, 1)}
		return d
	}
	half := past(9)
	half.IntendedWindow = &driver.Window{EndAt: half.IntendedWindow.EndAt}
	signal := raw("")
	signal.SignalID = "theirs"
	all := []driver.Delivery{raw("1"), raw("2"), raw(""), past(1), past(2), half, signal}
	for i, d := range all {
		want := "fire_skipped"
		if i == 0 {
			want = "fire_started"
		}
		require.Equal(b, want, b.deliver(rt, d).Reason, i)
	}
	require.Len(b, b.runs(rt), 1)
	b.at("2026-03-02T07:00:00Z")
	require.Equal(b, "fire_skipped", b.deliver(rt, b.tick(rt)[0]).Reason, "nor does a window overlap with what came from elsewhere")
	b.end(rt)
	for i, d := range all {
		if d.Job != "" || d.SignalID != "" {
			require.Contains(b, b.deliver(rt, d).Reason, "fire_", i)
		}
	}
	require.Len(b, b.runs(rt), 1, "what is delivered again has been decided")
	require.Equal(b, "fire_started", b.deliver(rt, past(3)).Reason)
	require.Len(b, b.runs(rt), 2)
}

// elsewhereQueuesOne: one waits as a fire does, and others are skipped.
func elsewhereQueuesOne[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Trigger{Name: "nightly", Cron: "0 7 * * *", Overlap: squidmesh.OverlapQueueOne}))
	for job, want := range []string{"fire_started", "fire_queued", "fire_skipped", "fire_skipped"} {
		require.Equal(b, want, b.deliver(rt, raw(strconv.Itoa(job))).Reason)
	}
	b.advance(3 * time.Second)
	require.Empty(b, b.tick(rt), "its run is at work")
	b.end(rt)
	b.advance(3 * time.Second)
	sent := b.tick(rt)
	require.Len(b, sent, 1)
	require.Equal(b, "fire_started", b.deliver(rt, sent[0]).Reason)
	require.Equal(b, "fire_started", b.deliver(rt, sent[0]).Reason)
	require.Equal(b, "fire_started", b.deliver(rt, raw("1")).Reason)
	require.Len(b, b.runs(rt), 2)
}

// scheduleIsKept: what a run knows of its fire stands beside its payload, and a replay keeps it.
func scheduleIsKept[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "Europe/Berlin", squidmesh.Contract{})))
	b.at("2026-03-03T06:00:07Z")
	fired := b.tick(rt)[0]
	b.at("2026-03-03T06:00:30Z")
	require.Equal(b, "fire_started", b.deliver(rt, fired).Reason)
	schedule := func(id squidmesh.RunID) []string {
		b.Helper()
		in, err := rt.InspectRun(b.Context(), id, nil)
		require.NoError(b, err)
		require.JSONEq(b, "{}", string(in.Run.Payload))
		trigger, ok := in.Spec.Trigger(in.Run.Trigger)
		require.True(b, ok)
		stamp := func(at time.Time) string { return at.Format(time.RFC3339) }
		return []string{
			trigger.Cron, trigger.TimeZone, stamp(in.Run.WindowAt), stamp(in.Run.WindowEnd), stamp(in.Run.ReceivedAt), in.Run.SignalID,
		}
	}
	want := []string{
		"0 7 * * *", "Europe/Berlin", "2026-03-03T06:00:00Z", "2026-03-04T06:00:00Z", "2026-03-03T06:00:30Z", fired.SignalID,
	}
	run := b.runs(rt)[0].ID
	require.Equal(b, want, schedule(run))

	b.end(rt)
	b.at("2026-03-05T12:00:00Z")
	replay, err := rt.ReplayRun(b.Context(), run, squidmesh.ReplayParams{})
	require.NoError(b, err)
	require.Equal(b, want, schedule(replay.ID))

	byHand, err := rt.StartRun(b.Context(), squidmesh.StartParams{Workflow: "digest", Trigger: "nightly"})
	require.NoError(b, err)
	require.Zero(b, byHand.ReceivedAt)
	require.Zero(b, byHand.WindowAt)
}

// A step can read the window that its run is for.
func TestCron_StepsKnowTheirWindow(t *testing.T) {
	t.Parallel()
	seen := make(chan squidmesh.StepInfo, 1)
	rt := startTest(t, squidmesh.Workflow{
		Name: "digest", Triggers: []squidmesh.Trigger{squidmesh.Cron("nightly", "@yearly", "", squidmesh.Contract{})},
		Steps: []squidmesh.Step{{Name: "act", Do: squidmesh.Effect(func(ctx context.Context, _ nothing) error {
			info, _ := squidmesh.Info(ctx)
			seen <- info
			return nil
		})}},
	})
	fire, err := rt.FireTrigger(t.Context(), "digest", "nightly", squidmesh.TriggerParams{})
	require.NoError(t, err)
	info := <-seen
	require.Equal(t, fire.WindowAt, info.WindowAt)
	require.Equal(t, fire.WindowEnd, info.WindowEnd)
	require.False(t, info.ReceivedAt.Before(fire.FiredAt))
	require.Equal(t, fire.SignalID, info.SignalID)
}

// Somebody empties the tables under a runtime that lives on. Its definitions come back, and its trigger fires; a trigger that another version
// has defined stays that version's.
func definitionsComeBack[TTx any](b *cronBench[TTx]) {
	rt := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})))
	require.NoError(b, b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) (err error) {
		for _, table := range []string{"squidmesh_fire", "squidmesh_trigger", "squidmesh_spec"} {
			switch tx := any(tx).(type) {
			case pgx.Tx:
				_, err = tx.Exec(ctx, "delete from "+table)
			case *sql.Tx:
				_, err = tx.ExecContext(ctx, "delete from "+table)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(b, rt.Restore(b.Context()))
	b.trigger(rt, "nightly")
	require.NoError(b, b.store.View(b.Context(), func(ctx context.Context, tx TTx) error {
		spec := rt.Workflows()[0]
		found, err := b.store.Specs(ctx, tx, []string{spec.Shape()})
		require.Contains(b, found, spec.Shape())
		return err
	}))
	b.advance(time.Minute)
	require.Len(b, b.tick(rt), 1)

	newer := b.process(b.queue, digest(squidmesh.Cron("nightly", "0 8 * * *", "", squidmesh.Contract{})))
	require.NoError(b, rt.Restore(b.Context()))
	require.Equal(b, "0 8 * * *", b.trigger(newer, "nightly").Expression)
}
