package squidmesh

import (
	"context"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (

	// sweepLimit caps what one tick looks after of a kind: about what a second is enough for when the database is far away.
	sweepLimit = 4 * maxBatch

	// maxRetryBatch caps the jobs that are handed out at once in one transaction: a queue may need a round trip for each of them.
	maxRetryBatch = 32
)

// unprobed is when a late delivery is repeated if the executor cannot tell what became of its job.
var unprobed = []time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// deliveryID names the delivery of one attempt.
type deliveryID struct {
	run     RunID
	key     flow.StepKey
	attempt int
}

func deliveryOf(row flow.StepState) deliveryID {
	return deliveryID{row.Run, row.StepKey, row.Attempt}
}

// retryAt is when something is tried again.
type retryAt struct {
	at    time.Time
	tries int
}

// failed puts off what failed at a time: by a second, doubling to 30.
func (r retryAt) failed(now time.Time) retryAt {
	r.tries++
	r.at = now.Add(min(time.Second<<min(r.tries-1, 5), 30*time.Second))
	return r
}

// round remembers what was tried with the rows of a list, from one time that it is looked through to the next.
type round struct {
	before, now map[deliveryID]retryAt
}

func (r *round) last(id deliveryID) retryAt { return r.before[id] }

func (r *round) note(id deliveryID, tried retryAt) {
	if tried.tries == 0 {
		return
	}
	if r.now == nil {
		r.now = map[deliveryID]retryAt{}
	}
	r.now[id] = tried
}

// end begins the next round if the list goes on at its beginning.
func (r *round) end(next driver.StepPosition) {
	if next == (driver.StepPosition{}) {
		r.before, r.now = r.now, nil
	}
}

// sweep sends again what nobody will deliver any more: its job was deleted, cancelled or discarded, or a process took it from
// the queue and died before the step was claimed. The attempt stays the same, so whichever delivery comes first wins. A job that was
// refused before it got to a runtime, or that lies too far ahead, comes again when the runtime thinks fit, not the queue.
func (wk *worker[TTx]) sweep(ctx context.Context, svc *service, report driver.WorkerReport) tended {
	if len(report.Overdue) == 0 {
		return tended{}
	}
	if _, ok := wk.queue.executor.(driver.Prober[TTx]); !ok {
		return wk.sendAgain(ctx, svc.repeated(report))
	}
	var found fates
	err := wk.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		found, err = wk.fates(ctx, tx, report.Overdue, svc.began)
		return err
	})
	t := wk.sendPatiently(ctx, &svc.lost, report.Now, found.lost)
	wk.retryAll(ctx, found.retry, &t)
	if err != nil {
		t.troubles = append(t.troubles, trouble{what: "sweep", err: err})
	}
	return t
}

// retryAll has the jobs of rows handed out at once, which takes longer than to replace them.
func (wk *worker[TTx]) retryAll(ctx context.Context, rows []flow.StepState, t *tended) {
	for batch := range slices.Chunk(rows, maxRetryBatch) {
		if err := wk.retry(ctx, batch); err != nil {
			t.troubles = append(t.troubles, trouble{what: "sweep", err: err})
			return
		}
		t.done += len(batch)
	}
}

// retry has the jobs of rows handed out at once.
func (wk *worker[TTx]) retry(ctx context.Context, rows []flow.StepState) error {
	var ids, queues []string
	for _, row := range rows {
		ids, queues = append(ids, row.JobID), append(queues, row.Queue)
	}
	err := wk.inTx(ctx, func(ctx context.Context, tx TTx) error { return wk.queue.retryJobs(ctx, tx, ids) })
	wk.queue.waker.Wake(queues...)
	return err
}

// sendAgain replaces the deliveries of rows.
func (wk *worker[TTx]) sendAgain(ctx context.Context, rows []flow.StepState) tended {
	members := make([]*member, len(rows))
	for i, row := range rows {
		members[i] = redelivery(row)
	}
	return wk.committer.commitFound(ctx, "redeliver", members)
}

// redelivery replaces the delivery of a row, unless somebody has claimed it since the row was read.
func redelivery(row flow.StepState) *member {
	return &member{id: row.Run, event: flow.Redelivered{StepKey: row.StepKey, Attempt: row.Attempt, JobID: row.JobID}}
}

// fates are the rows whose jobs will not come, or not soon enough.
type fates struct {
	retry []flow.StepState // their jobs are to be handed out at once
	lost  []flow.StepState // they need others
}

// fates judges the jobs of rows, for a process that began at a time. The executor must be a [driver.Prober].
func (wk *worker[TTx]) fates(ctx context.Context, tx TTx, rows []flow.StepState, began time.Time) (fates, error) {
	var found fates
	now, err := wk.now(ctx, tx)
	if err != nil {
		return found, err
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.JobID
	}
	jobs, err := wk.queue.probeJobs(ctx, tx, wk.queue.executor.(driver.Prober[TTx]), now, ids)
	if err != nil {
		return found, err
	}
	var coming []flow.StepState
	for _, row := range rows {
		switch job := jobs[row.JobID]; job.Fate(missed(job, row.DueAt, began), now) {
		case flow.FateComes:
			if !job.Paused {
				coming = append(coming, row)
			}
		case flow.FateRetry:
			found.retry = append(found.retry, row)
		case flow.FateLost:
			found.lost = append(found.lost, row)
		}
	}
	forsaken, err := wk.forsaken(ctx, tx, coming)
	found.lost = append(found.lost, forsaken...)
	return found, err
}

// repeated picks the overdue steps whose time has come to be sent once more, for executors that cannot be asked.
func (s *service) repeated(report driver.WorkerReport) []flow.StepState {
	var again []flow.StepState
	for _, row := range report.Overdue {
		id := deliveryOf(row)
		sent := s.sent.last(id)
		if sent.tries < len(unprobed) && report.Now.Sub(row.DueAt) >= unprobed[sent.tries] {
			again = append(again, row)
			sent.tries++
		}
		s.sent.note(id, sent)
	}
	return again
}

// takeOver gives the attempts of lost workers to others.
func (wk *worker[TTx]) takeOver(ctx context.Context, orphans []flow.Hold) tended {
	type owner struct {
		run    RunID
		worker flow.WorkerID
	}
	var order []owner
	holds := map[owner][]flow.StepKey{}
	for _, h := range orphans {
		o := owner{h.Run, h.Worker}
		if holds[o] == nil {
			order = append(order, o)
		}
		holds[o] = append(holds[o], h.StepKey)
	}
	members := make([]*member, len(order))
	for i, o := range order {
		members[i] = &member{id: o.run, event: flow.Lost{Worker: o.worker, Holds: holds[o]}}
	}
	return wk.committer.commitFound(ctx, "take over", members)
}

// dispatch sends what has no job: what was due too far ahead, and what the executor once refused, the latter ever more rarely.
func (wk *worker[TTx]) dispatch(ctx context.Context, svc *service, report driver.WorkerReport) tended {
	return wk.sendPatiently(ctx, &svc.later, report.Now, report.Jobless)
}

// sendPatiently replaces the deliveries of rows, ever more rarely of those whose jobs the executor refuses.
func (wk *worker[TTx]) sendPatiently(ctx context.Context, failed *round, now time.Time, all []flow.StepState) tended {
	var rows []flow.StepState
	var members []*member
	for _, row := range all {
		if again := failed.last(deliveryOf(row)); again.at.After(now) {
			failed.note(deliveryOf(row), again)
			continue
		}
		rows, members = append(rows, row), append(members, redelivery(row))
	}
	t := wk.committer.commitFound(ctx, "redeliver", members)
	for i, m := range members {
		if id := deliveryOf(rows[i]); m.err != nil {
			failed.note(id, failed.last(id).failed(now))
		}
	}
	return t
}
