package squidmesh

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/internal/wake"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// queue is the runtime's way to its executor: nobody else calls that. It owns the name under which deliveries of this store are known, the
// wake-ups that wait to be told, and the timers of deliveries; each of the three has a lock of its own. Whoever sends jobs, asks about
// them or wakes queues calls it from any goroutine. Of what stands above it, it knows only whom to tell that deliveries are late
// (pacer.look).
type queue[TTx any] struct {
	*base[TTx]
	executor driver.Executor[TTx]
	scope    scope
	waker    wake.Waker
	pacer    pacer
}

func newQueue[TTx any](b *base[TTx]) *queue[TTx] {
	q := &queue[TTx]{base: b, executor: b.config.Executor}
	if _, ok := q.executor.(driver.Waker); ok {
		q.waker.Notify = q.notifyQueues
	}
	q.pacer.later = q.waker.Later
	return q
}

// enqueueBatch calls the executor: once where it can take everything at once; else one step goes through EnqueueStep and
// several through EnqueueSteps.
func (q *queue[TTx]) enqueueBatch(ctx context.Context, tx TTx, batch driver.Batch) (answer driver.BatchMetadata, err error) {
	defer q.catchExecutor(&err)
	scope, err := q.scopeIn(ctx, tx)
	if err != nil {
		return answer, err
	}
	belongTo(&batch, scope)
	if b, ok := q.executor.(driver.BatchExecutor[TTx]); ok {
		return b.EnqueueBatch(ctx, tx, batch)
	}
	switch len(batch.Steps) {
	case 0:
	case 1:
		m, err := q.executor.EnqueueStep(ctx, tx, batch.Steps[0])
		if err != nil {
			return answer, err
		}
		answer.Steps = []driver.JobMetadata{m}
	default:
		m, err := q.executor.EnqueueSteps(ctx, tx, batch.Steps)
		if err != nil {
			return answer, err
		}
		answer.Steps = m
	}
	for _, job := range batch.Compensations {
		m, err := q.executor.EnqueueCompensation(ctx, tx, job)
		if err != nil {
			return answer, err
		}
		answer.Compensations = append(answer.Compensations, m)
	}
	for _, job := range batch.Crons {
		m, err := q.executor.EnqueueCron(ctx, tx, job)
		if err != nil {
			return answer, err
		}
		answer.Crons = append(answer.Crons, m)
	}
	return answer, nil
}

// belongTo says of all jobs which store they belong to.
func belongTo(b *driver.Batch, scope string) {
	for i := range b.Steps {
		b.Steps[i].Scope = scope
	}
	for i := range b.Compensations {
		b.Compensations[i].Scope = scope
	}
	for i := range b.Crons {
		b.Crons[i].Scope = scope
	}
}

func (q *queue[TTx]) notifyQueues(queues []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := q.wakeQueues(ctx, queues); err != nil {
		q.logger.Warn("squidmesh: wake queues", "queues", queues, "error", err)
	}
}

func (q *queue[TTx]) wakeQueues(ctx context.Context, queues []string) (err error) {
	defer q.catchExecutor(&err)
	return q.executor.(driver.Waker).Wake(ctx, q.store.Notify, queues)
}

// catchExecutor is deferred around calls of the executor. A panic of it, or of hooks that the program gave its queue, becomes an error
// like any other: it would end the program, since commits, ticks and wake-ups have goroutines of their own.
func (q *queue[TTx]) catchExecutor(err *error) {
	if r := recover(); r != nil {
		q.logger.Error("squidmesh: executor panicked", "panic", text.Print(r), "stack", string(debug.Stack()))
		*err = fmt.Errorf("executor panicked: %s", text.Print(r))
	}
}
