package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// errStale says that an attempt is not the current one any more, so that what its FuncTx body wrote must not commit.
var errStale = errors.New("attempt is not the current one any more")

// bodyRepeats bounds how often a FuncTx body is run again within its attempt, unless the server's time limits ended it.
const bodyRepeats = 5

// errRepeat rolls back a FuncTx body that is to run again.
var errRepeat = errors.New("the database gave up the step's transaction")

// attemptTx executes a FuncTx step: its writes, its checkpoint and its successors' jobs commit together. The body runs under no lock
// of ours; the run is locked after it, so that locks are taken in the order application rows, then runs.
//
// Whatever takes the writes of a body back that returned well has it run again, so each such way has a bound: an executor that broke the
// transaction is not asked again within the attempt; what may pass gives the attempt back, which Decide has wait ever longer and in the end
// counts as a failure; and what does not pass is a failed attempt, counted by the step's Retry.
func (rt *Runtime[TTx]) attemptTx(ctx context.Context, x *execution) (committed, error) {
	started, repeats, dispatch := x.ctx, 0, rt.committer.enqueueOrLater
	for try := 1; ; try++ {
		var (
			c      committed
			w      *batchWrite
			result stepResult
			called bool
			ran    bool // the body did
			failed bool // of itself
			wrote  bool
			event  flow.Event
			asked  = time.Now()
		)
		tried, watch := rt.watch(ctx)
		err := rt.store.InTx(tried, func(ctx context.Context, tx TTx) error {
			called = true
			x.ctx = started
			began := time.Now()
			bodyErr := rt.store.Nested(ctx, tx, func(_ context.Context, tx TTx) error {
				watch.pause() // the body has the step's time
				result = rt.execute(x, tx)
				watch.resume()
				ran, failed = true, result.err != nil
				if result.abandoned {
					return fmt.Errorf("%w: %w", driver.ErrAbandoned, result.err)
				}
				return result.err
			})
			if result.err == nil && bodyErr != nil {
				result.err = bodyErr // the body returned well, its transaction did not
			}
			x.timeout -= time.Since(began)
			if started.Err() == nil && rt.mayRepeat(bodyErr, repeats, x.timeout) {
				return fmt.Errorf("%w: %w", errRepeat, bodyErr)
			}
			event = x.event(result)
			fault.Hit("functx.after_body")
			if bodyErr != nil && (result.abandoned || errors.Is(bodyErr, ErrTxUnusable) || errors.Is(bodyErr, ErrTransactionEnded)) {
				return bodyErr
			}
			m := x.member(event)
			m.ctx, m.asked = ctx, asked
			var err error
			w, err = rt.committer.write(ctx, tx, []*member{m}, true, dispatch)
			c = m.c
			switch {
			case err != nil:
				return err
			case m.err != nil:
				return m.err
			case c.Empty():
				return errStale
			}
			fault.Hit("functx.before_commit")
			wrote = true
			return nil
		})
		err = watch.end(err)
		if errors.Is(err, ErrCommitUnknown) {
			err = rt.committer.readBack(ctx, c, err, true)
		}
		switch {
		case err == nil:
			fault.Hit("functx.after_commit")
			rt.committer.settle(w)
			return c, nil
		case errors.Is(err, errStale):
			return committed{}, nil
		case ctx.Err() != nil:
			return committed{}, err
		case errors.Is(err, ErrUnreadable) && event != nil && flow.TraitsOf(event).GoesOn():
			x.goOn = func() bool { return false } // the body runs again, and whoever can open what the next step needs goes on
			continue
		case errors.Is(err, errRepeat):
			wait := repeatAfter(repeats)
			Logger(started).Info("squidmesh: transaction of step is run again", "error", err, "after", wait)
			repeats++
			x.timeout -= wait
			_ = pause(started, wait) // whose end is the function's to notice
			continue
		case silent(err) && !ran: // on another connection
		case silent(err) && !failed:
			Logger(x.ctx).Warn("squidmesh: transaction of step got no answer, and is given back", "error", err)
			return rt.committer.commitMember(ctx, x.member(x.released(err.Error())))
		case errors.Is(err, ErrTransactionEnded):
			return rt.committer.commitMember(ctx, x.member(flow.Failed{Attempted: x.attempted(), Final: true, Error: describe(CodeTransactionEnded, err)}))
		case called && result.err != nil:
			// The failure could not be recorded beside the body's writes: record it alone, under the same fence.
			return rt.committer.commitMember(ctx, x.member(event))
		case called && errors.Is(err, ErrDispatch) && started.Err() == nil && !x.undispatched:
			Logger(x.ctx).Warn("squidmesh: enqueue broke the transaction of step, which is run again; the job is left to the sweeper", "error", err)
			x.undispatched, dispatch = true, rt.committer.enqueueLater
		case called && (errors.Is(err, errNotCommitted) || errors.Is(err, ErrSeal) || rt.traits.Transient(err)):
			Logger(x.ctx).Warn("squidmesh: transaction of step could not commit, and is given back", "error", err)
			return rt.committer.commitMember(ctx, x.member(x.released(err.Error())))
		case called:
			return rt.committer.commitMember(ctx, x.member(rt.refused(x, err, wrote)))
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return committed{}, err
		}
	}
}

// refused is the failure of an attempt whose body returned well, while the database refused for good what was to be written. At the commit
// that is the body's own doing, as with a deferred constraint; before, it is the runtime's own write.
func (rt *Runtime[TTx]) refused(x *execution, err error, atCommit bool) flow.Failed {
	if !unstorable(rt.traits, err) || atCommit {
		Logger(x.ctx).Error("squidmesh: database refuses the end of step", "error", err)
	}
	switch {
	case atCommit:
		return failedWith(x.attempted(), err)
	case unstorable(rt.traits, err):
		return storable(flow.Succeeded{Attempted: x.attempted()}).(flow.Failed)
	default:
		return failedWith(x.attempted(), WithCode(CodeNotRecorded, fmt.Errorf("what the step did could not be recorded, and was taken back: %w", err)))
	}
}

// mayRepeat reports whether a body, which has been repeated so often, failed only because the database gave up its transaction. One that
// ended at a time limit of the server's is repeated as long as the attempt has time, others a few times. A broken connection may as well be
// another one's than the transaction's, to something that must not hear of the step again.
func (rt *Runtime[TTx]) mayRepeat(err error, repeats int, left time.Duration) bool {
	var (
		connection net.Error
		final      *finalError
		after      *retryAfterError
	)
	switch {
	case err == nil, errors.As(err, &final), errors.As(err, &after), !rt.traits.Transient(err), left <= repeatAfter(repeats):
		return false
	case timedOut(rt.traits, err):
		return true
	case repeats >= bodyRepeats:
		return false
	default:
		return errors.Is(err, ErrTxUnusable) || !errors.As(err, &connection)
	}
}

// repeatAfter is the pause before a body is run again within its attempt: 10 ms doubling to 10 s, spread by half.
func repeatAfter(repeats int) time.Duration {
	d := min(10*time.Millisecond<<min(repeats, 10), 10*time.Second)
	return d/2 + rand.N(d)
}

// timedOut reports whether an error says that the server ended a statement at a time limit of its own.
func timedOut(t driver.StoreTraits, err error) bool { return t.TimedOut != nil && t.TimedOut(err) }
