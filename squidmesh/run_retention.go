package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// Retention says how long to keep what has ended. A zero duration keeps it for ever. The shortest other duration is a minute.
//
// A run is deleted as a whole: with its steps, attempts, events and holds, and with the fire that started it. A definition is
// deleted when no run has it and no process has used it for a day. Unfinished runs, workers and triggers are never deleted. A
// replay keeps its [Run.ReplayedFrom] when its source is deleted. The key of a deleted run may be used again. A deleted cron window
// does not fire again: its trigger remembers up to where windows were deleted, and a late delivery of an older window starts
// nothing.
type Retention struct {
	// Completed, Failed and Cancelled are how long runs are kept after their end.
	Completed, Failed, Cancelled time.Duration

	// Fires is how long fires of cron triggers are kept that were skipped or refused.
	Fires time.Duration

	// Batch is how many runs, and how many such fires, one transaction deletes at most. It is from 1 to 10,000 and defaults to
	// 1,000.
	Batch int
}

const (
	leastRetention = time.Minute // so that a commit whose answer was lost can still be looked up
	maxPruneBatch  = 10_000

	// shapeUsedEvery is how often a process says that it starts runs of a shape, shapeUnused when one counts as unused.
	shapeUsedEvery = time.Hour
	shapeUnused    = 24 * time.Hour

	// pruneBusy and pruneIdle are the pauses between the batches of one process, while there is work and while there is none.
	pruneBusy = time.Second
	pruneIdle = time.Minute
)

// pruner deletes what has ended, as a [Retention] says. It owns no state and no lock: rows are taken with SKIP LOCKED. Whoever calls PruneRuns
// calls it, and the loop that a started worker has for it.
type pruner[TTx any] struct{ *base[TTx] }

// PruneRuns deletes what is older than the retention allows, batch after batch, and returns what it deleted. Each batch has a
// transaction of its own. Any number of processes may prune at once; they share the work. An error or a crash leaves whole batches
// deleted: the count says how far it came, and the next call goes on.
//
// Errors: [*InputError], [ErrInsideTransaction], [ErrCommitUnknown]. After the last one the count may lack a batch.
func (rt *Runtime[TTx]) PruneRuns(ctx context.Context, r Retention) (driver.Pruned, error) {
	var all driver.Pruned
	if err := outsideTx(ctx); err != nil {
		return all, err
	}
	if err := r.check(); err != nil {
		return all, err
	}
	for shapes := false; ; {
		pruned, more, err := rt.pruner.pruneBatch(ctx, r, shapes)
		if err != nil {
			return all, err
		}
		all.Add(pruned)
		if shapes && !more {
			return all, nil
		}
		shapes = !more // definitions come last, when their runs are gone
	}
}

// PreviewPrune counts what PruneRuns would delete now, and deletes nothing. It reads an index entry for each row that it counts.
// Errors as for [Runtime.PruneRuns].
func (rt *Runtime[TTx]) PreviewPrune(ctx context.Context, r Retention) (driver.Pruned, error) {
	if err := outsideTx(ctx); err != nil {
		return driver.Pruned{}, err
	}
	if err := r.check(); err != nil {
		return driver.Pruned{}, err
	}
	var pruned driver.Pruned
	err := rt.view(ctx, func(ctx context.Context, tx TTx) error {
		now, err := rt.now(ctx, tx)
		if err != nil {
			return err
		}
		q := r.query(now, true)
		q.Count = true
		pruned, err = rt.store.Prune(ctx, tx, q)
		return err
	})
	if err != nil {
		return driver.Pruned{}, fmt.Errorf("preview prune: %w", err)
	}
	return pruned, nil
}

// pruneBatch deletes one batch, and with it the definitions that nothing needs any more, if asked to. It tells whether there may
// be more.
func (p *pruner[TTx]) pruneBatch(ctx context.Context, r Retention, shapes bool) (pruned driver.Pruned, more bool, err error) {
	var q driver.PruneQuery
	err = p.insist(ctx, p.store.InTx, p.traits.Transient, func(ctx context.Context, tx TTx) error {
		now, err := p.now(ctx, tx)
		if err != nil {
			return err
		}
		q = r.query(now, shapes)
		pruned, err = p.store.Prune(ctx, tx, q)
		fault.Hit("prune.before_commit")
		return err
	})
	if err != nil {
		return driver.Pruned{}, false, fmt.Errorf("prune: %w", err)
	}
	fault.Hit("prune.after_commit")
	return pruned, pruned.Runs() >= q.Limit || pruned.Fires >= q.Limit, nil
}

// query is what the retention asks of the store at a moment.
func (r Retention) query(now time.Time, shapes bool) driver.PruneQuery {
	before := func(age time.Duration) time.Time {
		if age == 0 {
			return time.Time{}
		}
		return now.Add(-age)
	}
	q := driver.PruneQuery{
		Completed: before(r.Completed), Failed: before(r.Failed), Cancelled: before(r.Cancelled), Fires: before(r.Fires), Now: now, Limit: r.Batch,
	}
	if q.Limit == 0 {
		q.Limit = 1000
	}
	if shapes && r.prunesRuns() {
		q.Shapes = now.Add(-shapeUnused)
	}
	return q
}

func (r Retention) prunesRuns() bool { return r.Completed > 0 || r.Failed > 0 || r.Cancelled > 0 }

func (r Retention) check() error {
	for _, age := range []struct {
		field string
		age   time.Duration
	}{
		{"Completed", r.Completed}, {"Failed", r.Failed}, {"Cancelled", r.Cancelled}, {"Fires", r.Fires},
	} {
		if age.age != 0 && age.age < leastRetention {
			return &InputError{
				Field: "Retention." + age.field, Code: "out_of_range",
				Detail: fmt.Sprintf("is %s, must be zero, which keeps for ever, or at least %s", age.age, leastRetention),
			}
		}
	}
	if r.Batch < 0 || r.Batch > maxPruneBatch {
		return &InputError{
			Field: "Retention.Batch", Code: "out_of_range", Detail: fmt.Sprintf("is %d, must be from 1 to %d", r.Batch, maxPruneBatch),
		}
	}
	return nil
}

// pruneSome is pruneBatch for the loop, which no silent connection may end.
func (p *pruner[TTx]) pruneSome(ctx context.Context, r Retention, shapes bool) (more bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pruneLimit, errSilent)
	defer cancel()
	_, more, err = p.pruneBatch(ctx, r, shapes)
	return more, err
}

// pruneLoop prunes by the configured retention until the service ends: a batch a second while there is work, else a look a minute. It
// is apart from the tick, which must not wait for a long delete.
func (p *pruner[TTx]) pruneLoop(svc *service) {
	defer close(svc.pruned)
	r := p.config.Retention
	if !r.prunesRuns() && r.Fires == 0 {
		return
	}
	var shapesAt time.Time
	wait := rand.N(pruneBusy) // processes that start together do not look together
	for {
		if pause(svc.ctx, wait) != nil {
			return
		}
		shapes := time.Since(shapesAt) > shapeUsedEvery
		more, err := p.pruneSome(svc.ctx, r, shapes)
		wait = pruneIdle
		switch {
		case err != nil && !errors.Is(err, context.Canceled):
			p.logger.Warn("squidmesh: prune", "error", err)
		case more:
			wait = pruneBusy
		case shapes:
			shapesAt = time.Now()
		}
	}
}
