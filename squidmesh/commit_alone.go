package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// commitAttempts is how often a transaction is tried for a caller who waits, if its errors may pass.
const commitAttempts = 8

// commitAlone writes one member in a transaction of its own. It tries again after errors that may pass. If a COMMIT broke, it first
// finds out what became of it, and only then repeats anything (promise 1). If that cannot be found out, its error wraps
// [ErrCommitUnknown].
func (cm *committer[TTx]) commitAlone(ctx context.Context, m *member) (_ committed, err error) {
	defer func() {
		if err != nil && m.err == nil && m.doubtful != nil && !errors.Is(err, ErrCommitUnknown) {
			err = fmt.Errorf("%w: %w", ErrCommitUnknown, err)
		}
	}()
	dispatch := cm.enqueue
	for try := 1; ; try++ {
		w, err := cm.tryAlone(ctx, m, dispatch)
		facts := memberTry{
			event: flow.TraitsOf(m.event), over: ctx.Err() != nil, last: try >= commitAttempts, refused: m.err != nil, bare: m.plain,
		}
		switch facts.course(cm.traits, err) {
		case courseDone:
			faultAt([]*member{m}, "after_commit")
			m.dispelDoubt()
			cm.settle(w)
			return m.c, nil
		case courseGiveUp:
			return committed{}, err
		case courseRefuse:
			return committed{}, cm.argument(m, err)
		case courseStay:
			m.event = stay(m.event)
			continue
		case courseBare:
			cm.logger.Error("squidmesh: database cannot store the end of step, which is recorded without it", append(m.about(), "error", storeCode(err))...)
			m.event, m.plain = storable(m.event), true
			continue
		case courseJobsLater:
			cm.logger.Error("squidmesh: enqueue failed, left to the tick", append(m.about(), "error", err)...)
			dispatch = cm.enqueueLater
		case courseInsist:
			cm.logger.Warn("squidmesh: end of step not recorded yet", append(m.about(), "tries", try, "error", err)...)
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return committed{}, err
		}
	}
}

// tryAlone is one try. If its COMMIT broke, the error says whether it took effect, or that nobody knows.
func (cm *committer[TTx]) tryAlone(ctx context.Context, m *member, dispatch enqueueFunc[TTx]) (w *batchWrite, err error) {
	m.c, m.err, m.own = committed{}, nil, nil
	event := flow.TraitsOf(m.event)
	err = cm.patiently(m, func(wait bool) error {
		return cm.inTime(ctx, func(ctx context.Context) error {
			return cm.ownTx(ctx, func(ctx context.Context, tx TTx) (err error) {
				if w, err = cm.write(ctx, tx, []*member{m}, wait, dispatch); err != nil {
					return err
				}
				if m.own != nil && !event.Swept {
					return cm.whyNotLocked(ctx, tx, m)
				}
				faultAt([]*member{m}, "before_commit")
				return m.err
			})
		})
	})
	if errors.Is(err, ErrCommitUnknown) {
		if err = cm.readBack(ctx, m.c, err, event.MustBeKnown()); errors.Is(err, errNotCommitted) {
			m.doubt()
		}
	}
	return w, err
}

// stay returns the same end of an attempt, after which the worker does not go on with a successor.
func stay(e flow.Event) flow.Event {
	switch e := e.(type) {
	case flow.Succeeded:
		e.Runnable = nil
		return e
	case flow.Failed:
		e.Runnable = nil
		return e
	default:
		return e
	}
}

// backoff is the pause before the next try: 5 ms, doubling up to 1 s, spread by half.
func backoff(try int) time.Duration {
	d := min(5*time.Millisecond<<min(try-1, 10), time.Second)
	return d/2 + rand.N(d)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// patiently says whether the transaction of a member that goes alone may wait for its run's lock with a connection in hand. Runs
// that somebody holds must not use up the pool, or everything would stand still. So:
//
//   - A tick's member never waits.
//   - An operator's member waits, since its caller says how long.
//   - Of deliveries, which come by the thousand, one at a time waits. The others try again after a pause, in which they have no
//     connection.
func (cm *committer[TTx]) patiently(m *member, commit func(wait bool) error) error {
	switch {
	case flow.TraitsOf(m.event).Swept:
		return commit(false)
	case m.start != nil, !flow.TraitsOf(m.event).Shared:
		return commit(true)
	case cm.atLock.CompareAndSwap(false, true):
		defer cm.atLock.Store(false) // even if an executor ends the goroutine
		return commit(true)
	default:
		return commit(false)
	}
}

// whyNotLocked says why a member's run was not locked: it does not exist, or somebody holds it (errElsewhere).
func (cm *committer[TTx]) whyNotLocked(ctx context.Context, tx TTx, m *member) error {
	runs, err := cm.store.Find(ctx, tx, driver.RunQuery{IDs: []RunID{m.id}})
	switch {
	case err != nil:
		return fmt.Errorf("find run %s: %w", m.id, err)
	case len(runs) == 0:
		m.err = fmt.Errorf("run %s: %w", m.id, ErrNotFound)
		return m.err
	default:
		return errElsewhere
	}
}
