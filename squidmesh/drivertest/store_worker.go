package drivertest

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func workerTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Workers_ReportVerdictsOfTheirOwnRuns": workersReportVerdicts[TTx],
		"Workers_ReportFailedBlocks":           workersReportFailedBlocks[TTx],
		"Workers_ReportStepsWithoutAJob":       workersReportJobless[TTx],
		"Workers_ReportExpiredDecisions":       workersReportExpiredDecisions[TTx],
		"Workers_ReportLateAttempts":           workersReportLateAttempts[TTx],
		"Workers_ListsAreCapped":               workersListsAreCapped[TTx],
		"Workers_ListsGoOnBehindAPlace":        workersListsGoOn[TTx],
		"Workers_HoldsGoWithTheTransition":     holdsGoWithTheTransition[TTx],
		"Workers_TheRosterHasThoseThatMatter":  rosterHasThoseThatMatter[TTx],
	}
}

// hold inserts a run that a worker is at work on.
func (b *storeBench[TTx]) hold(worker flow.WorkerID, names ...string) (flow.Run, []flow.Hold) {
	b.Helper()
	run := newRun("held")
	b.insert(run)
	t := next(run)
	for _, name := range names {
		t.Held = append(t.Held, flow.Hold{Worker: worker, Run: run.ID, StepKey: do(name)})
	}
	b.apply(t)
	return t.Run, t.Held
}

// rosterHasThoseThatMatter: who lives, who is silent, and who is lost with steps in its hands.
func rosterHasThoseThatMatter[TTx any](b *storeBench[TTx]) {
	roster := func() driver.WorkerReport {
		b.Helper()
		var report driver.WorkerReport
		require.NoError(b, b.store.View(b.Context(), func(ctx context.Context, tx TTx) (err error) {
			report, err = b.store.Workers(ctx, tx, driver.WorkerTick{ListWorkers: true, Limit: 100})
			return err
		}))
		return report
	}
	report := roster()
	require.Empty(b, report.Workers)
	require.WithinDuration(b, time.Now(), report.Now, time.Minute)

	able := flow.Worker{
		Name: "host-1", Queues: []string{"default", "slow"}, Functions: []string{"checkout/a", "checkout/b"}, Shapes: []string{"3f", "a0"},
	}
	able.ID = b.tick(driver.WorkerTick{Register: &able, Lease: long}).Registered
	silent, idle, holder := b.register(long), b.register(long), b.register(long)
	b.hold(holder, "a")
	b.tick(driver.WorkerTick{Resign: idle, Lease: long})
	b.tick(driver.WorkerTick{Resign: holder, Lease: long})
	b.tick(driver.WorkerTick{Heartbeat: silent, Lease: spent}) // last, since every other tick would declare it lost

	report = roster()
	seen := map[flow.WorkerID]flow.Worker{}
	for _, w := range report.Workers {
		seen[w.ID] = w
	}
	require.Len(b, seen, 3, "one that is lost and holds nothing is of no interest")
	require.True(b, slices.IsSortedFunc(report.Workers, func(x, y flow.Worker) int { return int(x.ID - y.ID) }))
	living := seen[able.ID]
	require.WithinDuration(b, report.Now.Add(long), living.LeaseUntil, time.Minute)
	living.LeaseUntil = time.Time{}
	require.Equal(b, able, living)
	require.Contains(b, seen, holder)
	require.False(b, seen[holder].LostAt.IsZero())
	require.Contains(b, seen, silent)
	require.True(b, seen[silent].LostAt.IsZero())
	require.False(b, seen[silent].LeaseUntil.After(roster().Now))
}

func compareHolds(x, y flow.Hold) int {
	if c := slices.Compare(x.Run[:], y.Run[:]); c != 0 {
		return c
	}
	if x.Name < y.Name {
		return -1
	}
	return 1
}

func workersReportVerdicts[TTx any](b *storeBench[TTx]) {
	mine, other := b.register(long), b.register(long)
	doomed, _ := b.hold(mine, "a", "b")
	b.hold(mine, "a")
	foreign, _ := b.hold(other, "a")
	for _, run := range []flow.Run{doomed, foreign} {
		t := next(run)
		t.Run.Verdict = flow.VerdictCancelled
		b.apply(t)
	}
	require.Equal(b, []flow.RunID{doomed.ID}, b.beat(mine).Verdicts, "once, however many deliveries are held")
	require.Equal(b, []flow.RunID{foreign.ID}, b.beat(other).Verdicts)
}

func workersReportFailedBlocks[TTx any](b *storeBench[TTx]) {
	run, other := newRun("blocks"), newRun("blocks")
	b.insert(run)
	b.insert(other)
	block := func(run flow.RunID, name string, status flow.StepStatus) flow.StepChange {
		row := scheduled(run, name, time.Time{})
		row.JobID, row.Status = "", status
		return row
	}
	t := next(run)
	t.Steps = []flow.StepChange{block(run.ID, "failed", flow.StepFailed), block(run.ID, "at_work", flow.StepRunning)}
	b.apply(t)
	t = next(other)
	t.Steps = []flow.StepChange{block(other.ID, "failed", flow.StepFailed), block(other.ID, "at_work", flow.StepFailed)}
	b.apply(t)

	tick := driver.WorkerTick{Heartbeat: b.register(long), Lease: long, Limit: 100}
	require.Empty(b, b.tick(tick).Failed)
	tick.Blocks = []driver.BlockKey{{Run: other.ID, Name: "failed"}, {Run: run.ID, Name: "at_work"}, {Run: run.ID, Name: "failed"}}
	require.Equal(b, []driver.BlockKey{{Run: run.ID, Name: "failed"}, {Run: other.ID, Name: "failed"}}, b.tick(tick).Failed,
		"of those asked for, in the order of their runs")
}

func workersReportJobless[TTx any](b *storeBench[TTx]) {
	now := b.databaseTime()
	run := newRun("jobless")
	b.insert(run)
	jobless := func(name string, due time.Time) flow.StepChange {
		row := scheduled(run.ID, name, due)
		row.JobID = ""
		return row
	}
	t := next(run)
	soon, overdue, later, reached := jobless("soon", now.Add(time.Hour)), jobless("overdue", now.Add(-time.Hour)),
		jobless("later", now.Add(3*time.Hour)), jobless("reached", time.Time{})
	paused := jobless("paused", now.Add(-time.Hour))
	paused.Status = flow.StepPaused
	overdue.Cause, overdue.Failures, overdue.StartedAt = "a", 2, sampleTime
	t.Steps = []flow.StepChange{soon, overdue, later, reached, paused, scheduled(run.ID, "sent", now.Add(-time.Hour))}
	b.apply(t)

	worker := b.register(long)
	tick := driver.WorkerTick{Heartbeat: worker, Lease: long, Limit: 100, DueWithin: 2 * time.Hour}
	require.Equal(b, []flow.StepState{overdue.StepState, soon.StepState}, b.tick(tick).Jobless)
	tick.DueWithin = 0
	require.Equal(b, []flow.StepState{overdue.StepState}, b.tick(tick).Jobless)

	sent := next(t.Run)
	overdue.New, overdue.JobID = false, "7"
	sent.Steps = []flow.StepChange{overdue}
	b.apply(sent)
	require.Empty(b, b.tick(tick).Jobless)
}

// databaseTime reads the store's clock.
func (b *storeBench[TTx]) databaseTime() (now time.Time) {
	b.Helper()
	b.write(func(ctx context.Context, tx TTx) {
		locked, err := b.store.Lock(ctx, tx, driver.LockQuery{})
		require.NoError(b, err)
		now = locked.Now
	})
	return now
}

func workersReportExpiredDecisions[TTx any](b *storeBench[TTx]) {
	now := b.databaseTime()
	run := newRun("paused")
	b.insert(run)
	open := func(name string, status flow.StepStatus, until time.Time) flow.StepChange {
		row := scheduled(run.ID, name, time.Time{})
		row.JobID, row.Status, row.DeadlineAt = "", status, until
		return row
	}
	old, recent := open("older", flow.StepPaused, now.Add(-time.Hour)), open("newer", flow.StepPaused, now.Add(-time.Minute))
	t := next(run)
	t.Steps = []flow.StepChange{
		recent, old, open("for_ever", flow.StepPaused, time.Time{}), open("tomorrow", flow.StepPaused, now.Add(24*time.Hour)),
		open("running", flow.StepRunning, now.Add(-time.Hour)),
	}
	b.apply(t)

	worker := b.register(long)
	require.Equal(b, []flow.StepState{old.StepState, recent.StepState}, b.beat(worker).Expired, "the oldest first")

	decided := next(t.Run)
	old.New, old.Status, old.DeadlineAt = false, flow.StepCompleted, time.Time{}
	decided.Steps = []flow.StepChange{old}
	b.apply(decided)
	require.Equal(b, []flow.StepState{recent.StepState}, b.beat(worker).Expired)
}

func workersReportLateAttempts[TTx any](b *storeBench[TTx]) {
	now := b.databaseTime()
	wedged, other := b.register(long), b.register(long)
	run, held := b.hold(wedged, "a", "b")
	b.hold(wedged, "a") // another run, which is in time
	running := func(name string, worker flow.WorkerID, deadline time.Time) flow.StepChange {
		row := scheduled(run.ID, name, time.Time{})
		row.JobID, row.Status, row.Worker, row.DeadlineAt = "", flow.StepRunning, worker, deadline
		return row
	}
	late := running("late", wedged, now.Add(-time.Hour))
	t := next(run)
	t.Steps = []flow.StepChange{late, running("slow", wedged, now.Add(-time.Minute)), running("foreign", other, now.Add(-time.Hour))}
	b.apply(t)

	tick := driver.WorkerTick{Heartbeat: other, Lease: long, Limit: 100, Late: 30 * time.Minute}
	report := b.tick(tick)
	require.Equal(b, []flow.StepState{late.StepState}, report.Late, "only what its worker holds the run for")
	require.ElementsMatch(b, held, report.Held)
	tick.Late = 0
	report = b.tick(tick)
	require.Empty(b, report.Late)
	require.Empty(b, report.Held)
}

func workersListsAreCapped[TTx any](b *storeBench[TTx]) {
	gone := b.register(long)
	for range 5 {
		b.hold(gone, "a")
	}
	b.tick(driver.WorkerTick{Resign: gone, Lease: long})
	worker := b.register(long)
	require.Len(b, b.tick(driver.WorkerTick{Heartbeat: worker, Lease: long, Limit: 3}).Orphans, 3)
	require.Empty(b, b.tick(driver.WorkerTick{Heartbeat: worker, Lease: long}).Orphans)

	for range 5 { // who executes many runs must hear of all that are cancelled
		run, _ := b.hold(worker, "a")
		t := next(run)
		t.Run.Verdict = flow.VerdictCancelled
		b.apply(t)
	}
	require.Len(b, b.tick(driver.WorkerTick{Heartbeat: worker, Lease: long, Limit: 3}).Verdicts, 5)
}

// workersListsGoOn: page by page a worker comes to every row once, also of those that only their names tell apart.
func workersListsGoOn[TTx any](b *storeBench[TTx]) {
	const limit = 2
	now := b.databaseTime()
	gone, wedged := b.register(long), b.register(long)
	_, first := b.hold(gone, "a", "b", "c")
	_, second := b.hold(gone, "a", "b")
	orphans := slices.Concat(first, second)
	slices.SortFunc(orphans, compareHolds)

	var jobless, overdue, expired, late []flow.StepState
	for i := range 2 {
		run, _ := b.hold(wedged, "a")
		t := next(run)
		for _, name := range []string{"a", "b", "c"} {
			row := func(list string, status flow.StepStatus) *flow.StepChange {
				change := scheduled(run.ID, list+"_"+name, time.Time{})
				change.JobID, change.Status = "", status
				t.Steps = append(t.Steps, change)
				return &t.Steps[len(t.Steps)-1]
			}
			at := now.Add(time.Duration(i-10) * time.Minute)
			r := row("jobless", flow.StepScheduled)
			r.DueAt = at
			jobless = append(jobless, r.StepState)
			r = row("overdue", flow.StepScheduled)
			r.DueAt, r.JobID = at, "7"
			overdue = append(overdue, r.StepState)
			r = row("expired", flow.StepPaused)
			r.DeadlineAt = at
			expired = append(expired, r.StepState)
			r = row("late", flow.StepRunning)
			r.DeadlineAt, r.Worker = at, wedged
			late = append(late, r.StepState)
		}
		b.apply(t)
	}
	b.tick(driver.WorkerTick{Resign: gone, Lease: long})

	tick := driver.WorkerTick{
		Heartbeat: b.register(long), Lease: long, Limit: limit, Overdue: time.Second, Late: time.Second,
	}
	var all driver.WorkerReport
	behind := func(place *driver.StepPosition, rows []flow.StepState) {
		if len(rows) == 0 {
			return
		}
		last := rows[len(rows)-1]
		*place = driver.StepPosition{At: last.DueAt, Run: last.Run, StepKey: last.StepKey}
		if last.DueAt.IsZero() {
			place.At = last.DeadlineAt
		}
	}
	for range 4 {
		report := b.tick(tick)
		all.Orphans = append(all.Orphans, report.Orphans...)
		all.Jobless = append(all.Jobless, report.Jobless...)
		all.Overdue = append(all.Overdue, report.Overdue...)
		all.Expired = append(all.Expired, report.Expired...)
		all.Late = append(all.Late, report.Late...)
		if n := len(report.Orphans); n > 0 {
			tick.From.Orphans = report.Orphans[n-1]
		}
		behind(&tick.From.Jobless, report.Jobless)
		behind(&tick.From.Overdue, report.Overdue)
		behind(&tick.From.Expired, report.Expired)
		behind(&tick.From.Late, report.Late)
	}
	require.Equal(b, orphans, all.Orphans)
	require.Equal(b, jobless, all.Jobless)
	require.Equal(b, overdue, all.Overdue)
	require.Equal(b, expired, all.Expired)
	require.Equal(b, late, all.Late)
}

func holdsGoWithTheTransition[TTx any](b *storeBench[TTx]) {
	worker := b.register(long)
	run, held := b.hold(worker, "a", "b")
	again := next(run)
	again.Held = held[:1] // a delivery that came twice
	b.apply(again)
	t := next(again.Run)
	t.Unheld = held[:1]
	b.apply(t)
	b.tick(driver.WorkerTick{Resign: worker, Lease: long})
	other := b.register(long)
	require.Equal(b, held[1:], b.beat(other).Orphans)

	gone := next(t.Run)
	gone.Unheld = held
	b.apply(gone) // the second unhold of a hold changes nothing
	require.Empty(b, b.beat(other).Orphans)
}
