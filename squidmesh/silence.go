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

// patience is how long one try of a transaction of the runtime's own may take: about a lease. A connection that has died in silence answers
// to nobody, while a new one may work.
func (rt *Runtime[TTx]) patience() time.Duration { return min(rt.traits.Lease, maxPatience) }

// inTime runs one try. Its error is errSilent if the try took too long, and not its caller.
func (rt *Runtime[TTx]) inTime(ctx context.Context, try func(ctx context.Context) error) error {
	tried, cancel := context.WithTimeoutCause(ctx, rt.patience(), errSilent)
	defer cancel()
	err := try(tried)
	if err != nil && tried.Err() != nil && ctx.Err() == nil && !errors.Is(err, errSilent) {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	return err
}

// inTx is InTx of the store, in time.
func (rt *Runtime[TTx]) inTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error {
	return rt.inTime(ctx, func(ctx context.Context) error { return rt.store.InTx(ctx, fn) })
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

func (rt *Runtime[TTx]) watch(ctx context.Context) (context.Context, *watch) {
	w := &watch{patience: rt.patience()}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(w.patience, func() { w.cancel(errSilent) })
	return w.ctx, w
}

func (w *watch) pause()  { w.timer.Stop() }
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
