package byhand

import (
	"context"
	"testing"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/drivertest"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// The queue, on a clock that goes, so that it keeps the contract of those that deliver by themselves.
func TestQueue(t *testing.T) {
	t.Parallel()

	drivertest.ExerciseExecutor(t, func(*testing.T) drivertest.ExecutorBundle[*memstore.Tx] {
		q, added := &Queue[*memstore.Tx]{}, make(chan struct{}, 1)
		p := &Process[*memstore.Tx]{Store: memstore.New(nil), Committed: func(n *Notes) {
			q.Add(n.Jobs...)
			select {
			case added <- struct{}{}:
			default:
			}
		}}
		return drivertest.ExecutorBundle[*memstore.Tx]{
			Executor: q, InTx: p.InTx, Queue: "squidmesh",
			Now: func(testing.TB) time.Time { return time.Now().UTC() },
			Jobs: func(testing.TB) []drivertest.ExecutorJob {
				var jobs []drivertest.ExecutorJob
				for _, job := range q.List() {
					jobs = append(jobs, drivertest.ExecutorJob{ID: job.ID, Delivery: job.Delivery})
				}
				return jobs
			},
			Work: func(t testing.TB, perform drivertest.PerformFunc) {
				ctx, stopped := t.Context(), make(chan struct{})
				go func() {
					defer close(stopped)
					for ctx.Err() == nil {
						work(ctx, q, added, perform)
					}
				}()
				t.Cleanup(func() { <-stopped })
			},
		}
	})
}

// work delivers the next job, or waits for one.
func work(ctx context.Context, q *Queue[*memstore.Tx], added <-chan struct{}, perform drivertest.PerformFunc) {
	job, ok := q.Take(time.Now())
	if !ok {
		wait := time.Hour
		if at, ok := q.Next(); ok {
			wait = time.Until(at)
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-added:
		case <-timer.C:
		case <-ctx.Done():
		}
		return
	}
	outcome, err := perform(ctx, job.Delivery)
	if err != nil || outcome.Kind == flow.OutcomeAgain {
		job.DueAt = time.Now().Add(outcome.After)
		q.Add(job)
	}
}
