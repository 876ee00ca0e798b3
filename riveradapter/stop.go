package riveradapter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
)

// Of the time that [Stop] is given, half is kept for handing back what has not ended, and no more than maxReserve.
const (
	reserveShare = 2
	maxReserve   = 10 * time.Second
)

// Stopper is what [Stop] stops beside a client. [squidmesh.Runtime] is one.
type Stopper interface {
	Stop(ctx context.Context) error
}

// Stop ends a River client and a runtime, in the order in which nothing is lost. First the client fetches no more, and everything that is
// at work, jobs of the program's own too, may go on to its end. What has not ended when half of the time until the deadline of ctx is over,
// or all but ten seconds of it, is cancelled: steps are handed back, so that another process continues them at once and no attempt is
// counted, and the contexts of other jobs are cancelled as by StopAndCancel of the client, for River to work them again. Without a deadline it
// waits for everything.
//
// It returns nil if both have stopped, what was handed back included. Else its error says what is still running; steps that
// ignore their contexts are handed back all the same. It may be called for a client that was stopped before. Close the pool after it.
func Stop[TTx any](ctx context.Context, client *river.Client[TTx], rt Stopper) error {
	gentle, cancel := ctx, context.CancelFunc(func() {})
	if deadline, ok := ctx.Deadline(); ok {
		gentle, cancel = context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/reserveShare, maxReserve)))
	}
	defer cancel()
	if client.Stop(gentle) == nil {
		return rt.Stop(ctx)
	}
	// Beside each other: the runtime's steps let go while other jobs are told to.
	stopped := make(chan error, 1)
	go func() { stopped <- rt.Stop(ctx) }()
	err := client.StopAndCancel(ctx)
	if err != nil {
		err = fmt.Errorf("stop River's client: %w", err)
	}
	return errors.Join(<-stopped, err)
}
