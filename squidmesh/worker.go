package squidmesh

import (
	"context"
	"sync/atomic"
)

// worker is this process as one of those that execute: it has the lease, and looks after what others left or lost. It owns the running service
// (an atomic pointer, swapped by Start and Stop only), and the right to start or stop (a channel with one place). While it runs it has a
// goroutine for heartbeats, one for each lane of findings, and one for retention. Runtime starts and stops it, Perform asks it
// whether deliveries are taken, and timers that have passed call redeliverLate.
type worker[TTx any] struct {
	*base[TTx]
	definitions *definitions[TTx]
	queue       *queue[TTx]
	teller      *teller
	committer   *committer[TTx]
	cron        *cron[TTx]
	pruner      *pruner[TTx]
	live        *liveSet

	service  atomic.Pointer[service] // while started
	changing chan struct{}           // holds something while Start or Stop is at it
}

// started is the running service; nil when there is none.
func (wk *worker[TTx]) started() *service { return wk.service.Load() }

// join is the running service, whose end waits until the caller leaves it; nil when there is none.
func (wk *worker[TTx]) join() *service {
	svc := wk.started()
	if svc == nil {
		return nil
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if svc.ended {
		return nil
	}
	svc.busy.Add(1)
	return svc
}

// change makes the caller the only one that starts or stops the runtime, until it calls done. An ended context does not keep a caller
// from it who need not wait: Stop has things to do then, too.
func (wk *worker[TTx]) change(ctx context.Context) (done func(), err error) {
	done = func() { <-wk.changing }
	select {
	case wk.changing <- struct{}{}:
		return done, nil
	default:
	}
	select {
	case wk.changing <- struct{}{}:
		return done, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
