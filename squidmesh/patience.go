package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// resignAttempts is how often a process that stops tries to say so where the database does not answer.
const resignAttempts = 3

// pruneLimit bounds one batch of the loop that prunes. It may be a long delete, whose time a lease has nothing to do with.
const pruneLimit = time.Minute

// errSilent says that a transaction of the runtime's own was given up because the database did not answer.
var errSilent = errors.New("the database did not answer in time")

// maxPatience bounds one try of a transaction where leases are long.
const maxPatience = 30 * time.Second

// longestPatience bounds a try that has been given more time again and again.
const longestPatience = time.Hour

// patience is how long one try of a transaction of the runtime's own may take: about a lease. A connection that has died in silence answers
// to nobody, while a new one may work.
func (db *database[TTx]) patience() time.Duration { return min(db.traits.Lease, maxPatience) }

// inTime runs one try. Its error is errSilent if the try took too long, and not its caller.
func (db *database[TTx]) inTime(ctx context.Context, try func(ctx context.Context) error) error {
	return within(ctx, db.patience(), try)
}

// within runs one try, with so much time. Its error is as that of inTime.
func within(ctx context.Context, patience time.Duration, try func(ctx context.Context) error) error {
	tried, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	err := try(tried)
	if err != nil && tried.Err() != nil && ctx.Err() == nil && !errors.Is(err, errSilent) {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	return err
}

// inTx is InTx of the store, in time.
func (db *database[TTx]) inTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error {
	return db.inTime(ctx, func(ctx context.Context) error { return db.store.InTx(ctx, fn) })
}

// insist runs fn in a transaction, and again in another one, for as long as the caller has time while the database is silent, and a few times
// after errors that may pass. So fn must do no harm twice. A try whose transaction had begun is followed by one with twice its time: what
// takes as long as it does, such as a read of many rows, comes to its end too.
func (db *database[TTx]) insist(ctx context.Context, inTx inTxFunc[TTx], mayPass func(error) bool, fn func(ctx context.Context, tx TTx) error) error {
	patience := db.patience()
	for failed := 0; ; {
		begun := false
		err := within(ctx, patience, func(ctx context.Context) error {
			return inTx(ctx, func(ctx context.Context, tx TTx) error {
				begun = true
				return fn(ctx, tx)
			})
		})
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case silent(err) && begun:
			patience = longer(patience)
		case silent(err):
		case mayPass(err) && failed+1 < commitAttempts:
			failed++
		default:
			return err
		}
		if err := pause(ctx, backoff(failed+1)); err != nil {
			return err
		}
	}
}

// longer is how long the try after one that got no answer may take.
func longer(patience time.Duration) time.Duration { return min(2*patience, longestPatience) }

// writeMayPass reports whether a transaction that does no harm twice may succeed, or have succeeded, after an error.
func (db *database[TTx]) writeMayPass(err error) bool {
	return db.traits.Transient(err) || errors.Is(err, ErrCommitUnknown)
}

// readMayPass is the same of one that only reads. What the server ended at a time limit of its own was not to take longer.
func (db *database[TTx]) readMayPass(err error) bool {
	return db.traits.Transient(err) && !timedOut(db.traits, err)
}

// view is View of the store, tried again: fn may be called more than once.
func (db *database[TTx]) view(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error {
	return db.insist(ctx, db.store.View, db.readMayPass, fn)
}

// silent reports whether a try was given up, and certainly did nothing.
func silent(err error) bool { return errors.Is(err, errSilent) && !errors.Is(err, ErrCommitUnknown) }

// watch ends a context when the database has not answered for as long as the runtime is patient, not counting the time in which it pauses.
type watch struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	patience time.Duration
}

func (db *database[TTx]) watch(ctx context.Context) (context.Context, *watch) {
	w := &watch{patience: db.patience()}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(w.patience, func() { w.cancel(errSilent) })
	return w.ctx, w
}

func (w *watch) pause() { w.timer.Stop() }

func (w *watch) resume() { w.timer.Reset(w.patience) }

// end says of an error whether the watch caused it.
func (w *watch) end(err error) error {
	w.timer.Stop()
	defer w.cancel(nil)
	if err != nil && errors.Is(context.Cause(w.ctx), errSilent) && !errors.Is(err, errSilent) {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	return err
}
