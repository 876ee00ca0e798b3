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

// Stop ends a River client and a runtime in an order that loses nothing.
//
// First the client stops fetching. Everything at work may go on to its end, jobs of the program's own too. At half of the time
// until the deadline of ctx, or ten seconds before the deadline if that is later, Stop cancels what has not ended. It hands steps
// back: another process continues them at once, and no attempt is counted. It cancels the contexts of other jobs as StopAndCancel
// of the client does, and River works them again. Without a deadline Stop waits for everything.
//
// It returns nil if both have stopped, also if steps were handed back. Otherwise its error says what is still running; steps that
// ignore their contexts are handed back all the same. The client may have been stopped before. Close the pool after Stop.
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
