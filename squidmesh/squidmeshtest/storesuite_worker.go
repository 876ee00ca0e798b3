package squidmeshtest

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

func workerTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Workers_ALivingOneIsNotLost":            livingWorkerIsNotLost[TTx],
		"Workers_ASilentOneIsLostForGood":        silentWorkerIsLostForGood[TTx],
		"Workers_ALateOneLivesUntilItIsDeclared": lateWorkerLivesUntilDeclared[TTx],
		"Workers_NobodyIsLostForAnOutage":        nobodyIsLostForAnOutage[TTx],
		"Workers_APartOfATickDoesNoMore":         partOfATickDoesNoMore[TTx],
		"Workers_OneThatResignsLeavesItsHolds":   resigningWorkerLeavesItsHolds[TTx],
		"Workers_AnExclusiveOneLosesAllOthers":   exclusiveWorkerLosesOthers[TTx],
		"Workers_ReportVerdictsOfTheirOwnRuns":   workersReportVerdicts[TTx],
		"Workers_ReportFailedBlocks":             workersReportFailedBlocks[TTx],
		"Workers_ReportStepsWithoutAJob":         workersReportJobless[TTx],
		"Workers_ReportExpiredDecisions":         workersReportExpiredDecisions[TTx],
		"Workers_ReportLateAttempts":             workersReportLateAttempts[TTx],
		"Workers_ListsAreCapped":                 workersListsAreCapped[TTx],
		"Workers_ListsGoOnBehindAPlace":          workersListsGoOn[TTx],
		"Workers_TickTogether":                   workersTickTogether[TTx],
		"Workers_HoldsGoWithTheTransition":       holdsGoWithTheTransition[TTx],
		"Workers_TheRosterHasThoseThatMatter":    rosterHasThoseThatMatter[TTx],
	}
}

// long is a lease that does not end during a test; spent one that is over already.
const (
	long  = time.Hour
	spent = time.Microsecond
)

func (b *storeBench[TTx]) register(lease time.Duration) squidmesh.WorkerID {
	b.Helper()
	report := b.tick(squidmesh.WorkerTick{
		Register: &squidmesh.Worker{Name: "host", Queues: []string{"default"}, Functions: []string{"checkout/a"}}, Lease: lease, Limit: 100,
	})
	require.Positive(b, report.Registered)
	require.Less(b, int64(report.Registered), int64(1)<<53, "ids survive JSON readers")
	require.True(b, report.Alive)
	return report.Registered
}

func (b *storeBench[TTx]) beat(worker squidmesh.WorkerID) squidmesh.WorkerReport {
	b.Helper()
	return b.tick(squidmesh.WorkerTick{Heartbeat: worker, Lease: long, Limit: 100})
}

// hold inserts a run that a worker is at work on.
func (b *storeBench[TTx]) hold(worker squidmesh.WorkerID, names ...string) (squidmesh.Run, []squidmesh.Hold) {
	b.Helper()
	run := newRun("held")
	b.insert(run)
	t := next(run)
	for _, name := range names {
		t.Held = append(t.Held, squidmesh.Hold{Worker: worker, Run: run.ID, StepKey: do(name)})
	}
	b.apply(t)
	return t.Run, t.Held
}

// rosterHasThoseThatMatter: who lives, who is silent, and who is lost with steps in its hands.
func rosterHasThoseThatMatter[TTx any](b *storeBench[TTx]) {
	roster := func() squidmesh.WorkerReport {
		b.Helper()
		var report squidmesh.WorkerReport
		require.NoError(b, b.store.View(b.Context(), func(ctx context.Context, tx TTx) (err error) {
			report, err = b.store.Workers(ctx, tx, squidmesh.WorkerTick{Roster: true, Limit: 100})
			return err
		}))
		return report
	}
	report := roster()
	require.Empty(b, report.Roster)
	require.WithinDuration(b, time.Now(), report.Now, time.Minute)

	able := squidmesh.Worker{
		Name: "host-1", Queues: []string{"default", "slow"}, Functions: []string{"checkout/a", "checkout/b"}, Shapes: []string{"3f", "a0"},
	}
	able.ID = b.tick(squidmesh.WorkerTick{Register: &able, Lease: long}).Registered
	silent, idle, holder := b.register(long), b.register(long), b.register(long)
	b.hold(holder, "a")
	b.tick(squidmesh.WorkerTick{Resign: idle, Lease: long})
	b.tick(squidmesh.WorkerTick{Resign: holder, Lease: long})
	b.tick(squidmesh.WorkerTick{Heartbeat: silent, Lease: spent}) // last, since every other tick would declare it lost

	report = roster()
	seen := map[squidmesh.WorkerID]squidmesh.Worker{}
	for _, w := range report.Roster {
		seen[w.ID] = w
	}
	require.Len(b, seen, 3, "one that is lost and holds nothing is of no interest")
	require.True(b, slices.IsSortedFunc(report.Roster, func(x, y squidmesh.Worker) int { return int(x.ID - y.ID) }))
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

func livingWorkerIsNotLost[TTx any](b *storeBench[TTx]) {
	one, two := b.register(long), b.register(long)
	b.hold(one, "a")
	for range 3 {
		report := b.beat(two)
		require.True(b, report.Alive)
		require.Empty(b, report.Orphans)
		require.WithinDuration(b, time.Now(), report.Now, time.Minute)
		require.Equal(b, time.UTC, report.Now.Location())
		require.True(b, b.beat(one).Alive)
	}
}

func silentWorkerIsLostForGood[TTx any](b *storeBench[TTx]) {
	silent := b.silent()
	_, first := b.hold(silent, "b", "a")
	_, second := b.hold(silent, "a")
	want := append(slices.Clone(first), second...)
	slices.SortFunc(want, compareHolds)

	other := b.register(long)
	require.True(b, b.beat(other).Alive)
	b.expire(other)
	for range 2 {
		report := b.beat(other)
		require.True(b, report.Alive)
		require.Equal(b, want, report.Orphans, "in the order of their runs, until somebody takes them over")
	}
	require.False(b, b.beat(silent).Alive, "lost is final")
	require.False(b, b.beat(silent).Alive)
	require.False(b, b.beat(other+1).Alive, "an unknown worker is lost too")
}

// silent registers a worker whose lease has run out.
func (b *storeBench[TTx]) silent() squidmesh.WorkerID {
	b.Helper()
	worker := b.register(long)
	b.tick(squidmesh.WorkerTick{Only: squidmesh.TickLease, Heartbeat: worker, Lease: spent})
	return worker
}

// expire has a worker declare the silent ones lost, for which it has been there long enough. It returns the ids of all that are lost and
// hold something.
func (b *storeBench[TTx]) expire(judge squidmesh.WorkerID) (lost []squidmesh.WorkerID) {
	b.Helper()
	began := b.databaseTime()
	require.Eventually(b, func() bool { return b.databaseTime().After(began.Add(spent)) }, time.Minute, time.Microsecond)
	for _, h := range b.tick(squidmesh.WorkerTick{Only: squidmesh.TickLook, Heartbeat: judge, Lease: spent, Limit: 100}).Orphans {
		if !slices.Contains(lost, h.Worker) {
			lost = append(lost, h.Worker)
		}
	}
	slices.Sort(lost)
	return lost
}

// nobodyIsLostForAnOutage: who comes back first, or starts then, does not judge those who could not renew their leases either. Who does not
// come back is lost a lease later.
func nobodyIsLostForAnOutage[TTx any](b *storeBench[TTx]) {
	first, second, dead := b.silent(), b.silent(), b.silent()
	for _, worker := range []squidmesh.WorkerID{first, second, dead} {
		b.hold(worker, "a")
	}
	for range 2 {
		report := b.beat(first)
		require.True(b, report.Alive)
		require.Empty(b, report.Orphans, "it has not been there for a lease")
	}
	require.Empty(b, b.beat(b.register(long)).Orphans, "nor has one that starts")
	report := b.beat(second)
	require.True(b, report.Alive)
	require.Empty(b, report.Orphans)
	require.Equal(b, []squidmesh.WorkerID{dead}, b.expire(first))
	require.False(b, b.beat(dead).Alive)
	require.True(b, b.beat(first).Alive)
	require.True(b, b.beat(second).Alive)

	// Another one that has been there is as good a witness.
	silent := b.silent()
	b.hold(silent, "a")
	require.Contains(b, b.expire(b.register(long)), silent)
}

func partOfATickDoesNoMore[TTx any](b *storeBench[TTx]) {
	gone, worker, other := b.register(long), b.silent(), b.register(long)
	_, held := b.hold(gone, "a")
	b.hold(worker, "a")
	b.tick(squidmesh.WorkerTick{Only: squidmesh.TickLease, Resign: gone, Lease: long})
	look := squidmesh.WorkerTick{Only: squidmesh.TickLook, Heartbeat: worker, Lease: long, Limit: 100}
	renew := squidmesh.WorkerTick{Only: squidmesh.TickLease, Heartbeat: worker, Lease: long, Limit: 100}

	report := b.tick(renew)
	require.True(b, report.Alive)
	require.Empty(b, report.Orphans, "renewing does not look")
	require.Equal(b, []squidmesh.WorkerID{gone}, b.expire(other), "the lease has been renewed")
	report = b.tick(look)
	require.True(b, report.Alive)
	require.Equal(b, held, report.Orphans)

	renew.Lease = spent
	b.tick(renew)
	require.True(b, b.tick(look).Alive)
	require.Contains(b, b.expire(other), worker, "looking does not renew")
	require.False(b, b.tick(look).Alive)
	require.False(b, b.tick(renew).Alive)

	renew = squidmesh.WorkerTick{Only: squidmesh.TickLease, Register: &squidmesh.Worker{Name: "host"}, Lease: long, Limit: 100}
	report = b.tick(renew)
	require.Positive(b, report.Registered)
	require.True(b, report.Alive)
	require.Empty(b, report.Orphans)
}

func compareHolds(x, y squidmesh.Hold) int {
	if c := slices.Compare(x.Run[:], y.Run[:]); c != 0 {
		return c
	}
	if x.Name < y.Name {
		return -1
	}
	return 1
}

func lateWorkerLivesUntilDeclared[TTx any](b *storeBench[TTx]) {
	late := b.silent()
	require.True(b, b.beat(late).Alive, "nobody was there to declare it lost")
	other := b.register(long)
	require.Empty(b, b.beat(other).Orphans)
	require.True(b, b.beat(late).Alive, "and it has a lease again")
}

func resigningWorkerLeavesItsHolds[TTx any](b *storeBench[TTx]) {
	worker := b.register(long)
	_, held := b.hold(worker, "a")
	other := b.register(long)
	require.Empty(b, b.beat(other).Orphans)
	report := b.tick(squidmesh.WorkerTick{Resign: worker, Lease: long})
	require.False(b, report.Alive)
	require.Equal(b, held, b.beat(other).Orphans, "without waiting for the lease")
	require.False(b, b.beat(worker).Alive)
}

func exclusiveWorkerLosesOthers[TTx any](b *storeBench[TTx]) {
	before := b.register(long)
	_, held := b.hold(before, "a")
	report := b.tick(squidmesh.WorkerTick{Register: &squidmesh.Worker{Name: "next"}, Lease: long, LoseOthers: true, Limit: 100})
	require.True(b, report.Alive)
	require.Equal(b, held, report.Orphans)
	require.False(b, b.beat(before).Alive)
	require.True(b, b.beat(report.Registered).Alive)
}

func workersReportVerdicts[TTx any](b *storeBench[TTx]) {
	mine, other := b.register(long), b.register(long)
	doomed, _ := b.hold(mine, "a", "b")
	b.hold(mine, "a")
	foreign, _ := b.hold(other, "a")
	for _, run := range []squidmesh.Run{doomed, foreign} {
		t := next(run)
		t.Run.Verdict = squidmesh.VerdictCancelled
		b.apply(t)
	}
	require.Equal(b, []squidmesh.RunID{doomed.ID}, b.beat(mine).Verdicts, "once, however many deliveries are held")
	require.Equal(b, []squidmesh.RunID{foreign.ID}, b.beat(other).Verdicts)
}

func workersReportFailedBlocks[TTx any](b *storeBench[TTx]) {
	run, other := newRun("blocks"), newRun("blocks")
	b.insert(run)
	b.insert(other)
	block := func(run squidmesh.RunID, name string, status squidmesh.StepStatus) squidmesh.StepChange {
		row := scheduled(run, name, time.Time{})
		row.JobID, row.Status = "", status
		return row
	}
	t := next(run)
	t.Steps = []squidmesh.StepChange{block(run.ID, "failed", squidmesh.StepFailed), block(run.ID, "at_work", squidmesh.StepRunning)}
	b.apply(t)
	t = next(other)
	t.Steps = []squidmesh.StepChange{block(other.ID, "failed", squidmesh.StepFailed), block(other.ID, "at_work", squidmesh.StepFailed)}
	b.apply(t)

	tick := squidmesh.WorkerTick{Heartbeat: b.register(long), Lease: long, Limit: 100}
	require.Empty(b, b.tick(tick).Failed)
	tick.Blocks = []squidmesh.BlockKey{{Run: other.ID, Name: "failed"}, {Run: run.ID, Name: "at_work"}, {Run: run.ID, Name: "failed"}}
	require.Equal(b, []squidmesh.BlockKey{{Run: run.ID, Name: "failed"}, {Run: other.ID, Name: "failed"}}, b.tick(tick).Failed,
		"of those asked for, in the order of their runs")
}

func workersReportJobless[TTx any](b *storeBench[TTx]) {
	now := b.databaseTime()
	run := newRun("jobless")
	b.insert(run)
	jobless := func(name string, due time.Time) squidmesh.StepChange {
		row := scheduled(run.ID, name, due)
		row.JobID = ""
		return row
	}
	t := next(run)
	soon, overdue, later, reached := jobless("soon", now.Add(time.Hour)), jobless("overdue", now.Add(-time.Hour)),
		jobless("later", now.Add(3*time.Hour)), jobless("reached", time.Time{})
	paused := jobless("paused", now.Add(-time.Hour))
	paused.Status = squidmesh.StepPaused
	overdue.Cause, overdue.Failures, overdue.StartedAt = "a", 2, sampleTime
	t.Steps = []squidmesh.StepChange{soon, overdue, later, reached, paused, scheduled(run.ID, "sent", now.Add(-time.Hour))}
	b.apply(t)

	worker := b.register(long)
	tick := squidmesh.WorkerTick{Heartbeat: worker, Lease: long, Limit: 100, DueWithin: 2 * time.Hour}
	require.Equal(b, []squidmesh.StepState{overdue.StepState, soon.StepState}, b.tick(tick).Jobless)
	tick.DueWithin = 0
	require.Equal(b, []squidmesh.StepState{overdue.StepState}, b.tick(tick).Jobless)

	sent := next(t.Run)
	overdue.New, overdue.JobID = false, "7"
	sent.Steps = []squidmesh.StepChange{overdue}
	b.apply(sent)
	require.Empty(b, b.tick(tick).Jobless)
}

// databaseTime reads the store's clock.
func (b *storeBench[TTx]) databaseTime() (now time.Time) {
	b.Helper()
	b.write(func(ctx context.Context, tx TTx) {
		locked, err := b.store.Lock(ctx, tx, squidmesh.LockQuery{})
		require.NoError(b, err)
		now = locked.Now
	})
	return now
}

func workersReportExpiredDecisions[TTx any](b *storeBench[TTx]) {
	now := b.databaseTime()
	run := newRun("paused")
	b.insert(run)
	open := func(name string, status squidmesh.StepStatus, until time.Time) squidmesh.StepChange {
		row := scheduled(run.ID, name, time.Time{})
		row.JobID, row.Status, row.DeadlineAt = "", status, until
		return row
	}
	old, recent := open("older", squidmesh.StepPaused, now.Add(-time.Hour)), open("newer", squidmesh.StepPaused, now.Add(-time.Minute))
	t := next(run)
	t.Steps = []squidmesh.StepChange{
		recent, old, open("for_ever", squidmesh.StepPaused, time.Time{}), open("tomorrow", squidmesh.StepPaused, now.Add(24*time.Hour)),
		open("running", squidmesh.StepRunning, now.Add(-time.Hour)),
	}
	b.apply(t)

	worker := b.register(long)
	require.Equal(b, []squidmesh.StepState{old.StepState, recent.StepState}, b.beat(worker).Expired, "the oldest first")

	decided := next(t.Run)
	old.New, old.Status, old.DeadlineAt = false, squidmesh.StepCompleted, time.Time{}
	decided.Steps = []squidmesh.StepChange{old}
	b.apply(decided)
	require.Equal(b, []squidmesh.StepState{recent.StepState}, b.beat(worker).Expired)
}

func workersReportLateAttempts[TTx any](b *storeBench[TTx]) {
	now := b.databaseTime()
	wedged, other := b.register(long), b.register(long)
	run, held := b.hold(wedged, "a", "b")
	b.hold(wedged, "a") // another run, which is in time
	running := func(name string, worker squidmesh.WorkerID, deadline time.Time) squidmesh.StepChange {
		row := scheduled(run.ID, name, time.Time{})
		row.JobID, row.Status, row.Worker, row.DeadlineAt = "", squidmesh.StepRunning, worker, deadline
		return row
	}
	late := running("late", wedged, now.Add(-time.Hour))
	t := next(run)
	t.Steps = []squidmesh.StepChange{late, running("slow", wedged, now.Add(-time.Minute)), running("foreign", other, now.Add(-time.Hour))}
	b.apply(t)

	tick := squidmesh.WorkerTick{Heartbeat: other, Lease: long, Limit: 100, Late: 30 * time.Minute}
	report := b.tick(tick)
	require.Equal(b, []squidmesh.StepState{late.StepState}, report.Late, "only what its worker holds the run for")
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
	b.tick(squidmesh.WorkerTick{Resign: gone, Lease: long})
	worker := b.register(long)
	require.Len(b, b.tick(squidmesh.WorkerTick{Heartbeat: worker, Lease: long, Limit: 3}).Orphans, 3)
	require.Empty(b, b.tick(squidmesh.WorkerTick{Heartbeat: worker, Lease: long}).Orphans)

	for range 5 { // who executes many runs must hear of all that are cancelled
		run, _ := b.hold(worker, "a")
		t := next(run)
		t.Run.Verdict = squidmesh.VerdictCancelled
		b.apply(t)
	}
	require.Len(b, b.tick(squidmesh.WorkerTick{Heartbeat: worker, Lease: long, Limit: 3}).Verdicts, 5)
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

	var jobless, overdue, expired, late []squidmesh.StepState
	for i := range 2 {
		run, _ := b.hold(wedged, "a")
		t := next(run)
		for _, name := range []string{"a", "b", "c"} {
			row := func(list string, status squidmesh.StepStatus) *squidmesh.StepChange {
				change := scheduled(run.ID, list+"_"+name, time.Time{})
				change.JobID, change.Status = "", status
				t.Steps = append(t.Steps, change)
				return &t.Steps[len(t.Steps)-1]
			}
			at := now.Add(time.Duration(i-10) * time.Minute)
			r := row("jobless", squidmesh.StepScheduled)
			r.DueAt = at
			jobless = append(jobless, r.StepState)
			r = row("overdue", squidmesh.StepScheduled)
			r.DueAt, r.JobID = at, "7"
			overdue = append(overdue, r.StepState)
			r = row("expired", squidmesh.StepPaused)
			r.DeadlineAt = at
			expired = append(expired, r.StepState)
			r = row("late", squidmesh.StepRunning)
			r.DeadlineAt, r.Worker = at, wedged
			late = append(late, r.StepState)
		}
		b.apply(t)
	}
	b.tick(squidmesh.WorkerTick{Resign: gone, Lease: long})

	tick := squidmesh.WorkerTick{
		Heartbeat: b.register(long), Lease: long, Limit: limit, Overdue: time.Second, Late: time.Second,
	}
	var all squidmesh.WorkerReport
	behind := func(place *squidmesh.StepPlace, rows []squidmesh.StepState) {
		if len(rows) == 0 {
			return
		}
		last := rows[len(rows)-1]
		*place = squidmesh.StepPlace{At: last.DueAt, Run: last.Run, StepKey: last.StepKey}
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

// workersTickTogether: late workers that declare each other lost must neither wait for each other nor both be gone unheard.
func workersTickTogether[TTx any](b *storeBench[TTx]) {
	const workers = 4
	done := make(chan error, workers)
	for range workers {
		go func() {
			done <- func() error {
				var worker squidmesh.WorkerID
				for range 20 {
					err := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
						tick := squidmesh.WorkerTick{Heartbeat: worker, Lease: spent, Limit: 100}
						if worker == 0 {
							tick.Register = &squidmesh.Worker{Name: "host"}
						}
						report, err := b.store.Workers(ctx, tx, tick)
						if report.Registered != 0 {
							worker = report.Registered
						}
						if !report.Alive {
							worker = 0
						}
						return err
					})
					if err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range workers {
		require.NoError(b, <-done)
	}
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
	b.tick(squidmesh.WorkerTick{Resign: worker, Lease: long})
	other := b.register(long)
	require.Equal(b, held[1:], b.beat(other).Orphans)

	gone := next(t.Run)
	gone.Unheld = held
	b.apply(gone) // the second unhold of a hold changes nothing
	require.Empty(b, b.beat(other).Orphans)
}
