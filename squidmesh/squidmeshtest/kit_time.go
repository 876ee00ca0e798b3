package squidmeshtest

import (
	"context"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/internal/standin"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (
	// tickPause is how long the clock moves on to the next tick, where it is not known what the tick will find.
	tickPause = time.Second

	// maxMoves and maxIdle bound how often time moves on, in all and without any commit, before a test is taken to hang.
	maxMoves, maxIdle = 100_000, 1000
)

// RunDue delivers what is due, and what that leads to, until nothing is due any more. The clock stands still.
func (k *Kit[TTx]) RunDue() {
	k.t.Helper()
	k.tick()
	for range maxMoves {
		job, ok := k.queue.Take(k.Now())
		if !ok {
			return
		}
		k.deliver(job)
	}
	k.t.Fatalf("squidmeshtest: the queue is never empty")
}

// Advance moves the clock. Retries, ends of waits and cron windows that become due on the way happen at their time.
func (k *Kit[TTx]) Advance(by time.Duration) {
	k.t.Helper()
	for end := k.Now().Add(by); ; {
		k.RunDue()
		next, ok := k.next()
		if !ok || next.After(end) {
			k.clock.Set(end)
			k.RunDue()
			return
		}
		k.clock.Set(next)
	}
}

// RunUntilIdle moves the clock from one due time to the next, until each run has ended or waits for a decision only. Cron windows
// that pass meanwhile fire, but RunUntilIdle does not wait for one to come. It fails the test if a run stands still.
func (k *Kit[TTx]) RunUntilIdle() {
	k.t.Helper()
	idle, commits := 0, k.commits
	for range maxMoves {
		k.RunDue()
		run, busy := k.busy()
		if !busy {
			return
		}
		if idle++; k.commits != commits {
			idle, commits = 0, k.commits
		}
		next, ok := k.next()
		if !ok {
			next = k.Now().Add(tickPause)
		}
		if idle > maxIdle {
			k.t.Fatalf("squidmeshtest: run %s stands still: %s", run, k.explain(run).Sentence)
		}
		k.clock.Set(next)
	}
	k.t.Fatalf("squidmeshtest: runs go on for ever: use Advance")
}

// tick does what a process does once a second.
func (k *Kit[TTx]) tick() {
	k.t.Helper()
	k.revive()
	if err := k.runtime.Tick(k.ctx); err != nil && !k.process.Dead() {
		k.options.Config.Logger.Warn("squidmeshtest: tick", "error", err)
	}
	k.revive()
}

// deliver hands a job to the process. The job of a process that dies is lost, as that of a queue is which waits for the process; what
// comes again goes back to the queue.
func (k *Kit[TTx]) deliver(job byhand.QueuedJob) {
	ctx := standin.With(k.ctx, k.standIn)
	outcome, err := k.runtime.Perform(ctx, job.Delivery)
	switch {
	case k.process.Dead():
		k.revive()
	case err != nil:
		job.DueAt = k.Now().Add(time.Second)
		k.queue.Add(job)
	case outcome.Kind == flow.OutcomeAgain:
		job.DueAt = outcome.At
		if job.DueAt.IsZero() {
			job.DueAt = k.Now().Add(outcome.After)
		}
		k.queue.Add(job)
	}
}

// openRows are the step rows of all runs that have not ended.
func (k *Kit[TTx]) openRows(ctx context.Context, tx TTx) ([]flow.StepState, error) {
	var unfinished []flow.RunStatus
	for _, s := range flow.RunStatuses {
		if !s.Terminal() {
			unfinished = append(unfinished, s)
		}
	}
	runs, err := k.store.Find(ctx, tx, driver.RunQuery{Statuses: unfinished})
	if err != nil {
		return nil, err
	}
	reads := map[flow.RunID]flow.Reads{}
	for _, r := range runs {
		reads[r.ID] = flow.Reads{All: true}
	}
	loaded, err := k.store.Load(ctx, tx, reads)
	var rows []flow.StepState
	for _, r := range runs {
		for _, row := range loaded[r.ID].Steps {
			rows = append(rows, row)
		}
	}
	return rows, err
}

// orphaned reports whether a row was left by a process that is dead: between deliveries nobody is at work.
func orphaned(row flow.StepState) bool {
	return row.Status == flow.StepRunning && row.Worker != 0
}

// awaited reports whether a delivery of the row is to come.
func awaited(row flow.StepState) bool {
	return row.Status == flow.StepScheduled && !row.DueAt.IsZero()
}

// busy is a run that goes on without a decision; false if there is none.
func (k *Kit[TTx]) busy() (id flow.RunID, found bool) {
	k.t.Helper()
	k.View(func(ctx context.Context, tx TTx) error {
		rows, err := k.openRows(ctx, tx)
		for _, row := range rows {
			if orphaned(row) || awaited(row) {
				id, found = row.Run, true
			}
		}
		return err
	})
	return id, found
}

// next is the next moment at which something happens: a job is due, or a tick finds something to do. A process ticks every second, but
// the clock jumps over those that would find nothing.
func (k *Kit[TTx]) next() (time.Time, bool) {
	now := k.Now()
	var next time.Time
	may := func(at time.Time) {
		if !at.After(now) {
			at = now.Add(tickPause)
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if at, ok := k.queue.Next(); ok {
		may(at)
	}
	k.View(func(ctx context.Context, tx TTx) error {
		if err := k.nextOfSteps(ctx, tx, may); err != nil {
			return err
		}
		return k.nextOfCron(ctx, tx, may)
	})
	return next, !next.IsZero()
}

// nextOfSteps looks for steps that only a tick will help: decisions that expire, and deliveries without a job, with one that is lost, or
// left by a dead process.
func (k *Kit[TTx]) nextOfSteps(ctx context.Context, tx TTx, may func(time.Time)) error {
	rows, err := k.openRows(ctx, tx)
	for _, row := range rows {
		switch {
		case orphaned(row):
			may(k.Now())
		case row.Status == flow.StepPaused && !row.DeadlineAt.IsZero():
			may(row.DeadlineAt)
		case !awaited(row) || k.queue.Has(row.JobID):
		case row.JobID == "":
			may(row.DueAt.Add(-byhand.JobHorizon))
		default:
			may(row.DueAt)
		}
	}
	return err
}

// nextOfCron looks for windows to come, and for fires that are looked after.
func (k *Kit[TTx]) nextOfCron(ctx context.Context, tx TTx, may func(time.Time)) error {
	var keys []flow.TriggerKey
	for _, spec := range k.runtime.Workflows() {
		for _, t := range spec.Triggers() {
			if t.Cron != "" {
				keys = append(keys, flow.TriggerKey{Workflow: spec.Workflow(), Trigger: t.Name})
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	triggers, err := k.store.Triggers(ctx, tx, driver.TriggerQuery{Keys: keys})
	if err != nil {
		return err
	}
	for _, t := range triggers {
		if !t.Paused && !t.NextAt.IsZero() {
			may(t.NextAt)
		}
	}
	fires, err := k.store.Fires(ctx, tx, driver.FireQuery{Keys: keys, Newest: 100})
	for _, f := range fires {
		if !f.LookAt.IsZero() {
			may(f.LookAt)
		}
	}
	return err
}
