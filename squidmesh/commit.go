package squidmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/lever"
)

// commitAttempts bounds how often a transaction is run again after a transient error on behalf of a caller who waits.
const commitAttempts = 8

// commit decides an event under the run's lock and writes what follows: together with others if it may, else alone.
func (rt *Runtime[TTx]) commit(ctx context.Context, id RunID, e Event) (committed, error) {
	return rt.commitMember(ctx, &member{id: id, event: e})
}

func (rt *Runtime[TTx]) commitMember(ctx context.Context, m *member) (committed, error) {
	m.ctx, m.asked = ctx, time.Now()
	if m.grouped() && !lever.Off(lever.Batch) {
		if err := rt.submit(m); err != nil {
			return committed{}, err
		}
		if !rt.resolve(ctx, m) {
			return m.c, m.err
		}
	}
	return rt.commitAlone(ctx, m)
}

// commitAlone writes one member in a transaction of its own. Transient errors are retried, and the fate of a COMMIT that broke
// is read back before anything is repeated.
func (rt *Runtime[TTx]) commitAlone(ctx context.Context, m *member) (_ committed, err error) {
	defer func() {
		if err != nil && m.err == nil && m.doubtful != nil && !errors.Is(err, ErrCommitUnknown) {
			err = fmt.Errorf("%w: %w", ErrCommitUnknown, err)
		}
	}()
	dispatch := rt.enqueue
	for try := 1; ; try++ {
		m.c, m.err, m.own = committed{}, nil, nil
		var w *writing
		err := rt.patiently(m, func(wait bool) error {
			return rt.inTime(ctx, func(ctx context.Context) error {
				return rt.ownTx(ctx, func(ctx context.Context, tx TTx) (err error) {
					if w, err = rt.write(ctx, tx, []*member{m}, wait, dispatch); err != nil {
						return err
					}
					if m.own != nil && !sweeps(m.event) {
						return rt.held(ctx, tx, m)
					}
					faultAt([]*member{m}, "before_commit")
					return m.err
				})
			})
		})
		if errors.Is(err, ErrCommitUnknown) {
			if err = rt.readBack(ctx, m.c, err, mustBeKnown(m.event)); errors.Is(err, errNotCommitted) {
				m.doubt()
			}
		}
		switch {
		case errors.Is(err, errElsewhere):
		case silent(err) && ctx.Err() == nil && !sweeps(m.event): // until the caller has no more time
		case err == nil:
			faultAt([]*member{m}, "after_commit")
			m.dispelDoubt()
			rt.settle(w) // a swept member whose run is locked elsewhere has led to nothing
			return m.c, nil
		case ctx.Err() != nil:
			return committed{}, err
		case errors.Is(err, ErrUnreadable) && endOf(m.event) && goesOn(m.event):
			m.event = stay(m.event) // the step has ended; somebody else may be able to open what the next one needs
			continue
		case errors.Is(err, errNotCommitted), errors.Is(err, ErrSeal) && endOf(m.event), rt.traits.Transient(err):
			if try >= commitAttempts && (!endOf(m.event) || sweeps(m.event)) {
				return committed{}, err
			}
			if try >= commitAttempts {
				rt.notYet(m, try, err)
			}
		case errors.Is(err, ErrDispatch) && mustBeKnown(m.event):
			// The step has ended and that must not be lost. Its successors stay without a job; the tick sends them.
			rt.logger.Error("squidmesh: enqueue failed, left to the sweeper", append(m.about(), "error", err)...)
			dispatch = rt.enqueueLater
		case m.err == nil && unstorable(rt.traits, err) && endOf(m.event) && !sweeps(m.event) && !m.plain:
			rt.logger.Error("squidmesh: database cannot store the end of step, which is recorded without it", append(m.about(), "error", storeCode(err))...)
			m.event, m.plain = storable(m.event), true
			continue
		case m.err == nil && endOf(m.event) && !sweeps(m.event):
			rt.notYet(m, try, err)
		default:
			return committed{}, rt.argument(m, err)
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return committed{}, err
		}
	}
}

// notYet tells an operator that the end of an attempt is being recorded again and again.
func (rt *Runtime[TTx]) notYet(m *member, tries int, err error) {
	rt.logger.Warn("squidmesh: end of step not recorded yet", append(m.about(), "tries", tries, "error", err)...)
}

// endOf reports whether the event is the end of an attempt, which has happened whether or not it can be written now: it is tried
// until the service ends.
func endOf(e Event) bool {
	switch e.(type) {
	case Succeeded, Failed, Released, Lost, Expired:
		return true
	default:
		return false
	}
}

// goesOn reports whether the worker of an attempt that ended would go on with a successor.
func goesOn(e Event) bool { return attemptedIn(e).Runnable != nil }

// stay is the same end of an attempt without going on.
func stay(e Event) Event {
	switch e := e.(type) {
	case Succeeded:
		e.Runnable = nil
		return e
	case Failed:
		e.Runnable = nil
		return e
	default:
		return e
	}
}

// mustBeKnown reports whether somebody must find out what became of an event's COMMIT, however long that takes: nobody would go on with
// an attempt that has been claimed, or has ended, in a moment that nobody knows of.
func mustBeKnown(e Event) bool { return endOf(e) || claimOf(e) }

func claimOf(e Event) bool {
	_, ok := e.(Claimed)
	return ok
}

// backoff is the pause before the next try: 5 ms doubling to 1 s, spread by half.
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

// errNotCommitted says that a COMMIT whose answer was lost did not take effect.
var errNotCommitted = errors.New("transaction did not take effect")

// readBack finds out whether a transition whose COMMIT broke was written: its audit entry then stands in the run's history. It
// asks until it knows if it must, as a claim or an outcome must, else a few times.
func (rt *Runtime[TTx]) readBack(ctx context.Context, c committed, unknown error, must bool) error {
	if c.Empty() {
		return nil
	}
	want := c.Audit[0]
	for try := 1; ; try++ {
		var found, known bool
		err := rt.inTx(ctx, func(ctx context.Context, tx TTx) error {
			// The server may be at work on the COMMIT still; the lock waits until it is done.
			if _, err := rt.store.Lock(ctx, tx, LockQuery{Runs: []RunID{want.Run}}); err != nil {
				return err
			}
			history, err := rt.store.History(ctx, tx, want.Run)
			known = err == nil
			for _, e := range history.Audit {
				if e.Seq == want.Seq {
					found = e.Kind == want.Kind && e.StepKey == want.StepKey && e.Attempt == want.Attempt && e.At.Equal(want.At) &&
						bytes.Equal(compact(e.Data), compact(want.Data))
				}
			}
			return err
		})
		switch {
		case known && found:
			return nil
		case known:
			return fmt.Errorf("%w: %v", errNotCommitted, unknown) // text only: it is known now
		case !must && try >= commitAttempts || ctx.Err() != nil:
			return errors.Join(unknown, err)
		}
		if err := pause(ctx, backoff(try+4)); err != nil {
			return errors.Join(unknown, err)
		}
	}
}

// doubt notes that a start's COMMIT broke and was not found to have taken effect. A row that nobody has inserted yet cannot be locked,
// so the server may be at work on the COMMIT still; the lock of an existing run waits for that, which leaves no doubt.
func (m *member) doubt() {
	if m.start != nil {
		c := m.c
		m.doubtful = &c
	}
}

// dispelDoubt finds that a start which was repeated met the run of its own first COMMIT.
func (m *member) dispelDoubt() {
	if m.doubtful != nil && m.c.existing != nil && m.c.existing.ID == m.id {
		m.c = *m.doubtful
	}
}

func compact(data json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}

// told does what follows a commit: running steps are told to stop, queues are woken, the observer hears of it.
func (rt *Runtime[TTx]) told(m *member) {
	c := m.c
	if c.Empty() {
		return
	}
	switch {
	case c.Interrupt && c.Run.Verdict != VerdictNone:
		rt.live.interrupt(c.Run.ID)
	case c.Interrupt:
		// The run goes on behind the block, perhaps here and already, so only the block's children may be told.
		if p := rt.specs.get(c.Run.Shape); p != nil {
			rt.live.interruptBlock(BlockKey{c.Run.ID, p.spec.step(c.Audit[0].Name).Block})
		}
	}
	if e, ok := m.event.(Claimed); ok {
		rt.pacer.claimed(deliveryID{m.id, e.StepKey, e.Attempt})
	}
	for _, job := range c.jobs {
		if job.Delay <= 0 {
			rt.waker.wake(job.Queue)
		}
	}
	rt.paced(m.id, c.jobs)
	rt.observe(m)
}
