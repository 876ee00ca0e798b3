package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
)

// tickEvery is how often a worker renews its lease and looks for what needs care.
const tickEvery = time.Second

// service is the executing side of a runtime between Start and Stop.
type service struct {
	ctx    context.Context // of everything that must outlive a single delivery
	cancel context.CancelFunc
	worker atomic.Int64 // the WorkerID; zero while it is lost and not registered anew
	beat   time.Time    // of the last accepted heartbeat; only the tick uses it
	ticked chan struct{}
	pruned chan struct{}

	mu    sync.Mutex
	ended bool           // no more deliveries
	busy  sync.WaitGroup // deliveries at work

	// Of the tick alone.
	later   map[deliveryID]retryAt // enqueues that failed
	sent    map[deliveryID]retryAt // deliveries repeated without knowing what became of their jobs
	overdue StepCursor             // how far a long backlog has been looked through
	ticks   int
}

// enter admits a delivery.
func (s *service) enter() (WorkerID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	worker := WorkerID(s.worker.Load())
	if s.ended || worker == 0 {
		return 0, false
	}
	s.busy.Add(1)
	return worker, true
}

func (s *service) leave() { s.busy.Done() }

// work is a context for recording what a delivery did: with the delivery's values, but ended only by the service, so that
// nothing is left claimed with nobody at work.
func (s *service) work(delivery context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(delivery))
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

func (s *service) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// started is the running service; nil when there is none.
func (rt *Runtime[TTx]) started() *service {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.service
}

// Start registers this process as a worker, takes over what dead workers left, and starts the background tick. It writes the
// specs and the cron triggers of the registered workflows; triggers that it does not know stay as they are, and are fired by the
// processes that know them. Start before the queue's own client. It fails if the database does not answer. Errors: [ErrStarted],
// [ErrInsideTransaction].
func (rt *Runtime[TTx]) Start(ctx context.Context) error {
	if err := checkCall(ctx); err != nil {
		return err
	}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.service != nil {
		return ErrStarted
	}
	svc := &service{ticked: make(chan struct{}), pruned: make(chan struct{})}
	svc.ctx, svc.cancel = context.WithCancel(context.WithoutCancel(ctx))
	report, err := rt.registerWorker(ctx, rt.Workflows())
	if err != nil {
		svc.cancel()
		return fmt.Errorf("start runtime: %w", err)
	}
	for _, spec := range rt.Workflows() {
		rt.markSaved(spec)
	}
	svc.worker.Store(int64(report.Registered))
	svc.beat = time.Now()
	if err := rt.takeOver(ctx, report.Orphans); err != nil {
		svc.cancel()
		return fmt.Errorf("start runtime: %w", err)
	}
	rt.service = svc
	if rt.config.ManualTick {
		close(svc.ticked)
		close(svc.pruned)
		return nil
	}
	go rt.tickLoop(svc)
	go rt.pruneLoop(svc)
	return nil
}

// registerWorker writes this process's worker row.
func (rt *Runtime[TTx]) registerWorker(ctx context.Context, specs []*Spec) (WorkerReport, error) {
	worker := &Worker{Name: rt.config.Name, Queues: rt.Queues()}
	for _, workflow := range sortedKeys(rt.registry.functions) {
		for key := range rt.registry.functions[workflow] {
			if key.Phase == PhaseDo {
				worker.Functions = append(worker.Functions, workflow+"/"+key.Name)
			}
		}
	}
	for _, spec := range rt.Workflows() {
		worker.Shapes = append(worker.Shapes, spec.shape)
	}
	var report WorkerReport
	err := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		if err := rt.saveSpecs(ctx, tx, specs); err != nil {
			return err
		}
		report, err = rt.store.Workers(ctx, tx, WorkerTick{
			Register: worker, Lease: rt.traits.Lease, LoseOthers: rt.traits.Exclusive, Limit: 1000,
		})
		if err != nil || specs == nil {
			return err
		}
		return rt.registerTriggers(ctx, tx, report.Now)
	})
	return report, err
}

// Stop gives unfinished steps back so that another process continues them at once, waits until they have let go, and ends the
// worker. Steps are told to stop by their contexts. Stop the queue's client first. When ctx ends before the last step has
// let go, Stop returns its error, and what is left is taken over after the lease. A stopped runtime can be started again. Errors:
// [ErrInsideTransaction], and the context's.
func (rt *Runtime[TTx]) Stop(ctx context.Context) error {
	if err := outsideTx(ctx); err != nil {
		return err
	}
	rt.mu.Lock()
	svc := rt.service
	rt.service = nil
	rt.mu.Unlock()
	if svc == nil {
		return nil
	}
	svc.mu.Lock()
	svc.ended = true
	svc.mu.Unlock()
	rt.live.cancelAll(ErrReleased)

	idle := make(chan struct{})
	go func() {
		svc.busy.Wait()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = fmt.Errorf("stop runtime: steps are still running: %w", context.Cause(ctx))
	}
	svc.cancel()
	<-svc.ticked
	<-svc.pruned
	if err != nil {
		return err
	}
	worker := WorkerID(svc.worker.Load())
	if worker == 0 {
		return nil
	}
	resign := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		_, err := rt.store.Workers(ctx, tx, WorkerTick{Resign: worker, Lease: rt.traits.Lease})
		return err
	})
	if resign != nil {
		return fmt.Errorf("stop runtime: resign: %w", resign)
	}
	return nil
}

// tickLoop renews the lease and looks after runs until the service ends.
func (rt *Runtime[TTx]) tickLoop(svc *service) {
	defer close(svc.ticked)
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-svc.ctx.Done():
			return
		case <-ticker.C:
			if err := rt.tick(svc); err != nil && svc.ctx.Err() == nil {
				rt.logger.Warn("squidmesh: tick", "error", err)
			}
		}
	}
}

// Tick does at once what a started runtime does every second: it renews the lease, takes over what dead workers left, sends what has no
// job, and fires cron triggers. It is for runtimes with [Config.ManualTick], called by one goroutine at a time; it does nothing in a
// runtime that is not started. Its error is the infrastructure's, for which the next tick makes up, or [ErrInsideTransaction].
func (rt *Runtime[TTx]) Tick(ctx context.Context) error {
	if err := checkCall(ctx); err != nil {
		return err
	}
	svc := rt.started()
	if svc == nil {
		return nil
	}
	if !rt.config.ManualTick {
		return errors.New("runtime ticks by itself: set Config.ManualTick")
	}
	return rt.tick(svc)
}

func (rt *Runtime[TTx]) tick(svc *service) error {
	ctx, cancel := context.WithTimeout(svc.ctx, rt.traits.Lease)
	defer cancel()
	worker := WorkerID(svc.worker.Load())
	if worker == 0 {
		report, err := rt.registerWorker(ctx, nil)
		if err != nil {
			return err
		}
		worker = report.Registered
		svc.worker.Store(int64(worker))
		svc.beat = time.Now()
	}
	var report WorkerReport
	err := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		report, err = rt.store.Workers(ctx, tx, WorkerTick{
			Heartbeat: worker, Lease: rt.traits.Lease, DueWithin: jobHorizon, Limit: sweepLimit,
			Overdue: overdueAfter, OverdueFrom: svc.overdue, Late: svc.late(), Blocks: rt.live.blocks(),
			Triggers: rt.cronKeys(),
		})
		fault.Hit("tick.before_commit")
		return err
	})
	fault.Hit("tick.after_commit")
	switch {
	case err != nil && time.Since(svc.beat) > rt.traits.Lease:
		rt.live.cancelAll(ErrLeaseLost) // nobody can know any more that this worker lives
		return err
	case err != nil:
		return err
	case !report.Alive:
		rt.logger.Warn("squidmesh: worker was declared lost, registers anew", "worker", worker)
		svc.worker.Store(0)
		rt.live.cancelAll(ErrLeaseLost)
	default:
		svc.beat = time.Now()
	}
	for _, id := range report.Verdicts {
		rt.live.interrupt(id)
	}
	for _, block := range report.Failed {
		rt.live.interruptBlock(block)
	}
	return errors.Join(rt.takeOver(ctx, report.Orphans), rt.redeliver(ctx, svc, report), rt.sweep(ctx, svc, report),
		rt.expire(ctx, report), rt.cron(ctx, report))
}
