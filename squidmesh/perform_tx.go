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

// bodyTx is an attempt at a FuncTx step, over all tries of its transaction.
type bodyTx struct {
	*execution
	started      context.Context // the execution's, as it began
	repeats      int             // of the body, since the database gave up its transaction
	undispatched bool            // an enqueue broke the transaction, so that the tick is to send what follows
}

// bodyTry is what is known of one try.
type bodyTry struct {
	asked        time.Time
	begun        bool // the transaction
	ran, failed  bool // the body did, and of itself
	result       stepResult
	event        flow.Event // which end that is of the attempt; nil before
	wrote        bool       // all is written, and only the commit is to come
	c            committed
	w            *batchWrite
	over         bool // whoever performs has no more time
	stopped      bool // the step was told to stop
	undispatched bool // the executor was not asked
}

// attemptTx executes a FuncTx step: its writes, its checkpoint and its successors' jobs commit together. The body runs under no lock
// of ours; the run is locked after it, so that locks are taken in the order application rows, then runs.
func (pf *performer[TTx]) attemptTx(ctx context.Context, x *execution) (committed, error) {
	b := &bodyTx{execution: x, started: x.ctx}
	for try := 1; ; try++ {
		t := &bodyTry{asked: time.Now(), undispatched: b.undispatched}
		err := pf.tryBody(ctx, b, t)
		t.over, t.stopped = ctx.Err() != nil, b.started.Err() != nil
		switch c := t.course(pf.traits, err); c {
		case courseDone:
			fault.Hit("functx.after_commit")
			pf.committer.settle(t.w)
			return t.c, nil
		case courseStale:
			return committed{}, nil
		case courseGiveUp:
			return committed{}, err
		case courseStay:
			x.goOn = func() bool { return false }
			continue
		case courseRepeat:
			b.waitToRepeat(err)
			continue
		case courseAgain:
		case courseJobsLater:
			Logger(x.ctx).Warn("squidmesh: enqueue broke the transaction of step, which is run again; the job is left to the tick", "error", err)
			b.undispatched = true
		default:
			return pf.committer.commitMember(ctx, x.member(pf.endWithout(x, t, c, err)))
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return committed{}, err
		}
	}
}

// tryBody is one try. If its COMMIT broke, its error says whether that took effect.
func (pf *performer[TTx]) tryBody(ctx context.Context, b *bodyTx, t *bodyTry) error {
	tried, watch := pf.watch(ctx)
	err := pf.store.InTx(tried, func(ctx context.Context, tx TTx) error {
		t.begun = true
		err := pf.runBody(ctx, tx, watch, b, t)
		if b.started.Err() == nil && pf.mayRepeat(err, b.repeats, b.timeout) {
			return fmt.Errorf("%w: %w", errRepeat, err)
		}
		t.event = b.event(t.result)
		fault.Hit("functx.after_body")
		if err != nil && (t.result.abandoned || errors.Is(err, ErrTxUnusable) || errors.Is(err, ErrTransactionEnded)) {
			return err
		}
		return pf.writeBody(ctx, tx, b, t)
	})
	err = watch.end(err)
	if errors.Is(err, ErrCommitUnknown) {
		err = pf.committer.readBack(ctx, t.c, err, true)
	}
	return err
}

// runBody runs the body in a transaction within the transaction, whose error it returns.
func (pf *performer[TTx]) runBody(ctx context.Context, tx TTx, watch *watch, b *bodyTx, t *bodyTry) error {
	b.ctx = b.started
	began := time.Now()
	defer func() { b.timeout -= time.Since(began) }()
	err := pf.store.Nested(ctx, tx, func(_ context.Context, tx TTx) error {
		watch.pause() // the body has the step's time
		t.result = pf.execute(b.execution, tx)
		watch.resume()
		t.ran, t.failed = true, t.result.err != nil
		if t.result.abandoned {
			return fmt.Errorf("%w: %w", driver.ErrAbandoned, t.result.err)
		}
		return t.result.err
	})
	if t.result.err == nil && err != nil {
		t.result.err = err // the body returned well, its transaction did not
	}
	return err
}

// writeBody writes the end of the attempt beside what the body wrote.
func (pf *performer[TTx]) writeBody(ctx context.Context, tx TTx, b *bodyTx, t *bodyTry) error {
	dispatch := pf.committer.enqueueOrLater
	if b.undispatched {
		dispatch = pf.committer.enqueueLater
	}
	m := b.member(t.event)
	m.asked = t.asked
	var err error
	t.w, err = pf.committer.writeOne(ctx, tx, m, dispatch)
	t.c = m.c
	switch {
	case err != nil:
		return err
	case t.c.Empty():
		return errStale
	}
	fault.Hit("functx.before_commit")
	t.wrote = true
	return nil
}

// waitToRepeat has a body wait until it runs again. Its function notices if the step ends meanwhile.
func (b *bodyTx) waitToRepeat(err error) {
	wait := repeatAfter(b.repeats)
	Logger(b.started).Info("squidmesh: transaction of step is run again", "error", err, "after", wait)
	b.repeats++
	b.timeout -= wait
	_ = pause(b.started, wait)
}

// endWithout is the end of an attempt whose body's writes were taken back. It is recorded without them, under the same fence.
func (pf *performer[TTx]) endWithout(x *execution, t *bodyTry, c course, err error) flow.Event {
	switch c {
	case courseRelease:
		if silent(err) {
			Logger(x.ctx).Warn("squidmesh: transaction of step got no answer, and is given back", "error", err)
		} else {
			Logger(x.ctx).Warn("squidmesh: transaction of step could not commit, and is given back", "error", err)
		}
		return x.released(err.Error())
	case courseTxEnded:
		return flow.Failed{Attempted: x.attempted(), Final: true, Error: describe(flow.CodeTransactionEnded, err)}
	case courseAlone:
		return t.event
	default:
		return pf.refused(x, err, t.wrote)
	}
}

// refused is the failure of an attempt whose body returned well, while the database refused for good what was to be written. At the commit
// that is the body's own doing, as with a deferred constraint; before, it is the runtime's own write.
func (pf *performer[TTx]) refused(x *execution, err error, atCommit bool) flow.Failed {
	if !unstorable(pf.traits, err) || atCommit {
		Logger(x.ctx).Error("squidmesh: database refuses the end of step", "error", err)
	}
	switch {
	case atCommit:
		return failedWith(x.attempted(), err)
	case unstorable(pf.traits, err):
		return storable(flow.Succeeded{Attempted: x.attempted()}).(flow.Failed)
	default:
		return failedWith(x.attempted(), WithCode(flow.CodeNotRecorded, fmt.Errorf("what the step did could not be recorded, and was taken back: %w", err)))
	}
}

// mayRepeat reports whether a body, which has been repeated so often, failed only because the database gave up its transaction. One that
// ended at a time limit of the server's is repeated as long as the attempt has time, others a few times. A broken connection may as well be
// another one's than the transaction's, to something that must not hear of the step again.
func (pf *performer[TTx]) mayRepeat(err error, repeats int, left time.Duration) bool {
	var (
		connection net.Error
		final      *finalError
		after      *retryAfterError
	)
	switch {
	case err == nil, errors.As(err, &final), errors.As(err, &after), !pf.traits.Transient(err), left <= repeatAfter(repeats):
		return false
	case timedOut(pf.traits, err):
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
