package squidmeshtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// recorder is a store that notes what is committed through it, and lets a worker tick only when it is asked to.
type recorder[TTx any] struct {
	squidmesh.Store[TTx]

	mu     sync.Mutex
	news   News
	worker squidmesh.WorkerID // registered last
	tick   tickState
	ticked chan struct{}
}

// tickState is where a tick that was asked for stands.
type tickState int

const (
	tickNone   tickState = iota
	tickWanted           // the next heartbeat passes
	tickPassed           // the heartbeat after it tells that the tick is over
)

// notes is what a transaction will have done if it commits.
type notes struct {
	mu sync.Mutex
	News
}

type notesKey struct{}

func notesOf(ctx context.Context) *notes {
	n, _ := ctx.Value(notesKey{}).(*notes)
	return n
}

func newRecorder[TTx any](store squidmesh.Store[TTx]) *recorder[TTx] {
	return &recorder[TTx]{Store: store, ticked: make(chan struct{}, 1)}
}

// take returns what was committed since it was called last.
func (r *recorder[TTx]) take() News {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.news
	r.news = News{}
	return news
}

func (r *recorder[TTx]) InTx(ctx context.Context, fn func(context.Context, TTx) error) error {
	n := &notes{}
	err := r.Store.InTx(context.WithValue(ctx, notesKey{}, n), fn)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.news.Transitions = append(r.news.Transitions, n.Transitions...)
		r.news.Jobs = append(r.news.Jobs, n.Jobs...)
	}
	return err
}

func (r *recorder[TTx]) Nested(ctx context.Context, tx TTx, fn func(context.Context, TTx) error) error {
	n := notesOf(ctx)
	if n == nil {
		return r.Store.Nested(ctx, tx, fn)
	}
	transitions, jobs := len(n.Transitions), len(n.Jobs)
	err := r.Store.Nested(ctx, tx, fn)
	if err != nil {
		n.Transitions, n.Jobs = n.Transitions[:transitions], n.Jobs[:jobs]
	}
	return err
}

func (r *recorder[TTx]) Apply(ctx context.Context, tx TTx, ts []squidmesh.Transition) error {
	if n := notesOf(ctx); n != nil {
		n.mu.Lock()
		n.Transitions = append(n.Transitions, ts...)
		n.mu.Unlock()
	}
	return r.Store.Apply(ctx, tx, ts)
}

// Traits lets every new worker take over at once, so that scripts need not wait for a lease.
func (r *recorder[TTx]) Traits() squidmesh.StoreTraits {
	traits := r.Store.Traits()
	traits.Exclusive = true
	return traits
}

func (r *recorder[TTx]) Workers(ctx context.Context, tx TTx, tick squidmesh.WorkerTick) (squidmesh.WorkerReport, error) {
	if tick.Heartbeat != 0 && !r.passes(tick.Heartbeat) {
		return squidmesh.WorkerReport{Alive: true}, nil
	}
	tick.Triggers = nil // cron deliveries come from the script alone
	report, err := r.Store.Workers(ctx, tx, tick)
	if report.Registered != 0 {
		r.mu.Lock()
		r.worker = report.Registered
		r.mu.Unlock()
	}
	return report, err
}

// passes decides about a heartbeat.
func (r *recorder[TTx]) passes(worker squidmesh.WorkerID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if worker != r.worker {
		return false // a zombie
	}
	switch r.tick {
	case tickWanted:
		r.tick = tickPassed
		return true
	case tickPassed:
		r.tick = tickNone
		r.ticked <- struct{}{}
	}
	return false
}

// letTick lets one tick through and waits until it is over.
func (r *recorder[TTx]) letTick() {
	r.mu.Lock()
	r.tick = tickWanted
	r.mu.Unlock()
	<-r.ticked
}

// scriptedQueue is an executor whose jobs the script delivers.
type scriptedQueue[TTx any] struct {
	mu     sync.Mutex
	jobs   int
	refuse bool
}

var errRefused = errors.New("the script refuses jobs")

func (q *scriptedQueue[TTx]) setRefuse(refuse bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse = refuse
}

// enqueue notes a job with its transaction. The delivery goes through JSON, as it does in a real queue.
func (q *scriptedQueue[TTx]) enqueue(ctx context.Context, schedule squidmesh.Schedule, d squidmesh.Delivery) (squidmesh.Metadata, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse {
		return squidmesh.Metadata{}, errRefused
	}
	data, err := json.Marshal(d)
	if err != nil {
		return squidmesh.Metadata{}, err
	}
	if d, err = squidmesh.ParseDelivery(data); err != nil {
		return squidmesh.Metadata{}, err
	}
	n := notesOf(ctx)
	if n == nil {
		return squidmesh.Metadata{}, fmt.Errorf("enqueue outside a recorded transaction")
	}
	n.mu.Lock()
	n.Jobs = append(n.Jobs, QueuedJob{Delivery: d, DueAt: schedule.DueAt})
	n.mu.Unlock()
	q.jobs++
	return squidmesh.Metadata{
		JobID: strconv.Itoa(q.jobs), Queue: schedule.Queue, Worker: "script", ScheduledAt: schedule.DueAt,
	}, nil
}

func (q *scriptedQueue[TTx]) EnqueueStep(ctx context.Context, _ TTx, job squidmesh.StepJob) (squidmesh.Metadata, error) {
	return q.enqueue(ctx, job.Schedule, job.Delivery())
}

func (q *scriptedQueue[TTx]) EnqueueSteps(ctx context.Context, _ TTx, jobs []squidmesh.StepJob) ([]squidmesh.Metadata, error) {
	var all []squidmesh.Metadata
	for _, job := range jobs {
		m, err := q.enqueue(ctx, job.Schedule, job.Delivery())
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (q *scriptedQueue[TTx]) EnqueueCompensation(ctx context.Context, _ TTx, job squidmesh.CompensationJob) (squidmesh.Metadata, error) {
	return q.enqueue(ctx, job.Schedule, job.Delivery())
}

func (q *scriptedQueue[TTx]) EnqueueCron(ctx context.Context, _ TTx, job squidmesh.CronJob) (squidmesh.Metadata, error) {
	return q.enqueue(ctx, job.Schedule, job.Delivery())
}
