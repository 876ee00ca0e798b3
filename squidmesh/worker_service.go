package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// service is the executing side of a runtime between Start and Stop.
type service struct {
	ctx    context.Context // of everything that must outlive a single delivery
	cancel context.CancelFunc
	worker atomic.Int64 // the WorkerID; zero while it is lost and not registered anew
	began  time.Time    // by the database's clock
	ticked chan struct{}
	pruned chan struct{}
	caring [lanes]atomic.Bool // what was found for the lane is being looked after
	more   chan lane          // that need not wait for the next tick

	skewLogged time.Time // of the ticks

	mu     sync.Mutex
	ended  bool           // no more deliveries
	proven time.Time      // until when the last accepted heartbeat proves the lease; zero if nobody counts, with ManualTick
	doubt  *time.Timer    // tells the steps to stop at that time
	busy   sync.WaitGroup // deliveries at work
	latest time.Time      // what the database's clock was seen to say last

	ticks int // of the ticks

	// Of whoever is caring, for its own lane.
	places driver.ListPositions // how far lists that are longer than a tick's share have been looked through
	later  round                // enqueues that failed of what had no job
	lost   round                // and of what had lost it
	sent   round                // deliveries repeated without knowing what became of their jobs
}

// cameBack reports whether the database's clock says less than it was seen to say last.
func (s *service) cameBack(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.latest)
}

func (s *service) saw(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = now
}

// holder is the worker that has the lease, if this process can prove it.
func (s *service) holder() (flow.WorkerID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	worker := flow.WorkerID(s.worker.Load())
	return worker, !s.ended && worker != 0 && s.trusted()
}

// left says why a worker does not go on: it was stopped, or cannot prove its lease. Nil if it does.
func (s *service) left(worker flow.WorkerID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return ErrReleased
	case !s.trusted(), flow.WorkerID(s.worker.Load()) != worker:
		return ErrLeaseLost
	default:
		return nil
	}
}

func (s *service) trusted() bool { return s.proven.IsZero() || time.Now().Before(s.proven) }

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

// started is the running service; nil when there is none.
func (rt *Runtime[TTx]) started() *service { return rt.service.Load() }

// join is the running service, whose end waits until the caller leaves it; nil when there is none.
func (rt *Runtime[TTx]) join() *service {
	svc := rt.started()
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
func (rt *Runtime[TTx]) change(ctx context.Context) (done func(), err error) {
	done = func() { <-rt.changing }
	select {
	case rt.changing <- struct{}{}:
		return done, nil
	default:
	}
	select {
	case rt.changing <- struct{}{}:
		return done, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Start opens the heartbeat's connection, registers this process as a worker, takes over what dead workers left, and starts the
// background tick. It writes the specs and the cron triggers of the registered workflows; triggers that it does not know stay as they are,
// and are fired by the processes that know them. Where it sees that programs of other stores use its queues, it logs a warning. Start before
// the queue's own client. It fails if the database is away or the queue's tables are missing; where connections die in silence, it tries
// others until the context ends.
//
// The context is for the call alone: when it ends, Start gives up and returns its error, and once Start has returned nil, its end stops
// nothing. What runs in the background keeps its values. Call [Runtime.Stop] to stop. Errors: [ErrStarted], [ErrInsideTransaction], and the
// context's.
func (rt *Runtime[TTx]) Start(ctx context.Context) error {
	if err := checkCall(ctx); err != nil {
		return err
	}
	done, err := rt.change(ctx)
	if err != nil {
		return fmt.Errorf("start runtime: another call is at it: %w", err)
	}
	defer done()
	if rt.started() != nil {
		return ErrStarted
	}
	svc, line := rt.newService(ctx), rt.newLine()
	if err := rt.enter(ctx, svc, line); err != nil {
		svc.doubt.Stop()
		svc.cancel()
		line.close()
		return fmt.Errorf("start runtime: %w", err)
	}
	rt.service.Store(svc)
	rt.serve(svc, line)
	return nil
}

// newService is a service that has no worker yet. It ends with Stop, not with the context of Start.
func (rt *Runtime[TTx]) newService(ctx context.Context) *service {
	svc := &service{ticked: make(chan struct{}), pruned: make(chan struct{}), more: make(chan lane, lanes)}
	svc.ctx, svc.cancel = context.WithCancel(context.WithoutCancel(ctx))
	svc.doubt = time.AfterFunc(rt.traits.Lease, func() {
		rt.logger.Warn("squidmesh: lease cannot be proven, steps are told to stop")
		rt.live.cancelAll(ErrLeaseLost)
	})
	svc.doubt.Stop() // until the lease has a beginning
	return svc
}

// enter makes this process known to the database: its definitions, its worker and its triggers. It takes over what dead workers left.
func (rt *Runtime[TTx]) enter(ctx context.Context, svc *service, line *line[TTx]) error {
	if err := rt.definitions.saveSpecs(ctx, 0, rt.workflows()...); err != nil {
		return err
	}
	if w, ok := rt.config.Store.(driver.Warner); ok {
		rt.warn(ctx, w)
	}
	scopes, err := rt.queue.scopesInQueues(ctx)
	if err != nil {
		return fmt.Errorf("look at its queues: %w", err)
	}
	report, sent, err := rt.register(ctx, line.InTx)
	if err != nil {
		return fmt.Errorf("register on the heartbeat's connection: %w", err)
	}
	rt.prove(svc, sent)
	svc.began = report.Now
	svc.worker.Store(int64(report.Registered))
	err = joinTroubles(rt.takeOver(ctx, report.Orphans).troubles)
	for silent(err) && ctx.Err() == nil {
		err = joinTroubles(rt.takeOver(ctx, report.Orphans).troubles)
	}
	if err != nil {
		return err
	}
	rt.queue.warnOfOthers(scopes)
	return nil
}

// serve begins what a service does by itself, unless the program ticks.
func (rt *Runtime[TTx]) serve(svc *service, line *line[TTx]) {
	if rt.config.ManualTick {
		close(svc.ticked)
		close(svc.pruned)
		return
	}
	go rt.tickLoop(svc, line)
	go rt.pruneLoop(svc)
}

// prove notes that the database accepted a heartbeat which was sent at that time. The lease counts from there by this process's own
// clock, which goes on while it is frozen, so it never ends later than the database's.
func (rt *Runtime[TTx]) prove(svc *service, sent time.Time) {
	if rt.config.ManualTick {
		return // its time is the store's
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	svc.proven = sent.Add(rt.traits.Lease)
	svc.doubt.Reset(time.Until(svc.proven))
}

// worker is this process's worker row.
func (rt *Runtime[TTx]) worker() *flow.Worker {
	worker := &flow.Worker{Name: rt.config.Name, Queues: rt.queues()}
	for _, workflow := range slices.Sorted(maps.Keys(rt.registry.functions)) {
		for key := range rt.registry.functions[workflow] {
			if key.Phase == PhaseDo {
				worker.Functions = append(worker.Functions, workflow+"/"+key.Name)
			}
		}
	}
	for _, spec := range rt.workflows() {
		worker.Shapes = append(worker.Shapes, spec.Shape())
	}
	return worker
}

// warn logs what the store has to say. Nobody waits for that on a connection which does not answer.
func (rt *Runtime[TTx]) warn(ctx context.Context, w driver.Warner) {
	ctx, cancel := context.WithTimeout(ctx, rt.patience())
	defer cancel()
	for _, warning := range w.Warnings(ctx) {
		rt.logger.Warn("squidmesh: " + warning)
	}
}

// register writes this process's worker row, and the rows of its triggers. It returns when that was sent. A try that may have taken effect
// without an answer is taken back by the next one, whose worker is another.
func (rt *Runtime[TTx]) register(ctx context.Context, inTx inTxFunc[TTx]) (report driver.WorkerReport, sent time.Time, err error) {
	var owed []flow.Fire
	var former flow.WorkerID
	err = rt.insist(ctx, inTx, rt.writeMayPass, func(ctx context.Context, tx TTx) (err error) {
		sent = time.Now()
		report, err = rt.store.Workers(ctx, tx, driver.WorkerTick{
			Register: rt.worker(), Resign: former, Lease: rt.traits.Lease, LoseOthers: rt.traits.Exclusive, Limit: 1000,
		})
		if err != nil {
			return err
		}
		former = report.Registered
		if err := rt.queue.findScope(ctx, tx); err != nil {
			return err
		}
		owed, err = rt.cron.registerTriggers(ctx, tx, report.Now)
		return err
	})
	if err == nil && len(owed) > 0 {
		rt.queue.waker.Wake(rt.config.Queue)
		rt.teller.observeFires(ctx, owed...)
	}
	return report, sent, err
}

// Stop gives unfinished steps back so that another process continues them at once, waits until they have let go, and ends the
// worker. Steps are told to stop by their contexts. Stop the queue's client first, or both as riveradapter.Stop does. Steps that have not
// let go when a quarter of the time until ctx's deadline is left, two seconds at most, are given back all the same, and Stop returns an error
// that says so. When ctx ends before that, Stop returns its error, and what is left is taken over after the lease. A COMMIT that the database is
// at then has a few seconds more, since one that is cut off leaves everybody in doubt. When it has stopped the runtime and returned nil,
// the runtime does nothing by itself any more: it has dropped the wake-ups for delays, and for transactions of callers that Tx methods
// wrote to. It does nothing for a runtime that is not started, or that another call is stopping. A stopped runtime can be started
// again. Errors: [ErrInsideTransaction], and the context's.
func (rt *Runtime[TTx]) Stop(ctx context.Context) error {
	if err := outsideTx(ctx); err != nil {
		return err
	}
	done, err := rt.change(ctx)
	if err != nil {
		return fmt.Errorf("stop runtime: it is being started: %w", err)
	}
	svc := rt.service.Swap(nil)
	done()
	if svc == nil {
		return nil
	}
	svc.refuse()
	rt.live.cancelAll(ErrReleased)
	err = rt.letGo(ctx, svc)
	rt.end(svc)
	if err != nil && !errors.Is(err, errHandedBack) {
		return err // the worker stays: what is left is taken over after its lease
	}
	if worker := flow.WorkerID(svc.worker.Load()); worker != 0 {
		if resigned := rt.resign(ctx, worker); resigned != nil {
			return errors.Join(err, fmt.Errorf("stop runtime: resign: %w", resigned))
		}
	}
	if err != nil {
		return err
	}
	return rt.drain(ctx)
}

// refuse lets no more deliveries in.
func (s *service) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// errHandedBack says that the database knows nothing at work here any more, while functions still run.
var errHandedBack = errors.New("stop runtime: steps that ignore the end of their contexts are still running, and were handed back")

// letGo waits until the deliveries at work have ended, and hands back what does not let go in time.
func (rt *Runtime[TTx]) letGo(ctx context.Context, svc *service) error {
	idle := make(chan struct{})
	go func() {
		svc.busy.Wait()
		close(idle)
	}()
	patience, stopPatience := handBackTimer(ctx)
	defer stopPatience()
	select {
	case <-idle:
		return nil
	case <-patience:
		if err := rt.handBack(ctx); err != nil {
			return err
		}
		return errHandedBack
	case <-ctx.Done():
		return fmt.Errorf("stop runtime: steps are still running: %w", context.Cause(ctx))
	}
}

// end ends what a service does by itself, and waits for that.
func (rt *Runtime[TTx]) end(svc *service) {
	svc.cancel()
	<-svc.ticked
	<-svc.pruned
	svc.doubt.Stop()
	if rt.started() == nil { // else they are the next service's
		rt.queue.waker.Hush()
	}
}

// drain waits for what goes on for a moment after the service has ended: wake-ups on their way, and connections that are being closed.
func (rt *Runtime[TTx]) drain(ctx context.Context) error {
	if err := rt.queue.waker.Drain(ctx); err != nil {
		return fmt.Errorf("stop runtime: queues are still being woken: %w", err)
	}
	if d, ok := rt.config.Store.(driver.Drainer); ok {
		if err := d.Drain(ctx); err != nil {
			return fmt.Errorf("stop runtime: connections are still being closed: %w", err)
		}
	}
	return nil
}

// resign tells the others that a worker is no more. What they would find out by themselves is not worth more than a few tries.
func (rt *Runtime[TTx]) resign(ctx context.Context, worker flow.WorkerID) error {
	for try := 1; ; try++ {
		err := rt.inTx(ctx, func(ctx context.Context, tx TTx) error {
			_, err := rt.store.Workers(ctx, tx, driver.WorkerTick{Only: driver.TickLease, Resign: worker, Lease: rt.traits.Lease})
			return err
		})
		if err == nil || ctx.Err() != nil || try == resignAttempts || !errors.Is(err, errSilent) && !rt.traits.Transient(err) {
			return err
		}
	}
}

// tickLoop ticks until the service ends. What a tick finds is looked after beside it, lane by lane, so that no commit, lock or busy pool
// keeps the next heartbeat waiting.
func (rt *Runtime[TTx]) tickLoop(svc *service, line *line[TTx]) {
	defer close(svc.ticked)
	defer line.close()
	var care sync.WaitGroup
	defer care.Wait()
	ticker := time.NewTicker(rt.config.Heartbeat)
	defer ticker.Stop()
	for {
		var report driver.WorkerReport
		var free []lane
		var troubles []trouble
		select {
		case <-svc.ctx.Done():
			return
		case <-ticker.C:
			report, free, troubles = rt.tick(svc, line.InTx)
		case l := <-svc.more:
			if svc.caring[l].Load() {
				continue // a tick was faster
			}
			report, free, troubles = rt.lookFor(svc, line.InTx, []lane{l})
		}
		if svc.ctx.Err() == nil {
			rt.logTroubles("squidmesh: tick", troubles)
		}
		for _, l := range free {
			svc.caring[l].Store(true)
			care.Go(func() {
				var more bool
				defer func() { svc.leaveLane(l, more) }()
				var troubles []trouble
				more, troubles = rt.care(svc, l, report)
				if svc.ctx.Err() == nil {
					rt.logTroubles("squidmesh: tick", troubles)
				}
			})
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
	report, free, troubles := rt.tick(svc, rt.store.InTx)
	for _, l := range free {
		_, cared := rt.care(svc, l, report)
		troubles = append(troubles, cared...)
	}
	return joinTroubles(troubles)
}

// tick renews the lease and looks for what the lanes that are free can take; of those it returns none if it fails. The lease comes first and
// by itself, as what is looked at may be locked or slow. Each of the two is given up while the lease still has time for the next.
func (rt *Runtime[TTx]) tick(svc *service, inTx inTxFunc[TTx]) (driver.WorkerReport, []lane, []trouble) {
	if err := rt.beat(svc, inTx); err != nil {
		return driver.WorkerReport{}, nil, []trouble{{what: "heartbeat", err: err}}
	}
	return rt.lookFor(svc, inTx, svc.free())
}

// lookFor looks for what these lanes can take, and returns none if that fails.
func (rt *Runtime[TTx]) lookFor(svc *service, inTx inTxFunc[TTx], free []lane) (driver.WorkerReport, []lane, []trouble) {
	report, err := rt.look(svc, inTx, free)
	if err != nil {
		return driver.WorkerReport{}, nil, []trouble{{what: "look for what needs care", err: err}}
	}
	return report, free, nil
}

// beat renews the lease, or registers anew once it has been lost.
func (rt *Runtime[TTx]) beat(svc *service, inTx inTxFunc[TTx]) error {
	ctx, cancel := context.WithTimeout(svc.ctx, rt.traits.Lease/4)
	defer cancel()
	worker, sent := flow.WorkerID(svc.worker.Load()), time.Now()
	tick := driver.WorkerTick{Only: driver.TickLease, Heartbeat: worker, Lease: rt.traits.Lease}
	if worker == 0 {
		tick.Register = rt.worker()
	}
	var report driver.WorkerReport
	err := inTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		report, err = rt.store.Workers(ctx, tx, tick)
		return err
	})
	switch {
	case err != nil:
		return err
	case worker == 0:
		rt.prove(svc, sent)
		svc.worker.Store(int64(report.Registered))
	case !report.Alive:
		rt.logger.Warn("squidmesh: worker was declared lost, registers anew", "worker", worker)
		svc.worker.Store(0)
		rt.live.cancelAll(ErrLeaseLost)
	default:
		rt.prove(svc, sent)
	}
	return nil
}

// look declares silent workers lost and reads what needs care in the lanes that are free.
func (rt *Runtime[TTx]) look(svc *service, inTx inTxFunc[TTx], free []lane) (driver.WorkerReport, error) {
	ctx, cancel := context.WithTimeout(svc.ctx, rt.traits.Lease/2)
	defer cancel()
	tick := driver.WorkerTick{
		Only: driver.TickLook, Heartbeat: flow.WorkerID(svc.worker.Load()), Lease: rt.traits.Lease, DueWithin: flow.JobHorizon, Limit: sweepLimit,
		Blocks: rt.live.blocks(), Triggers: rt.cron.cronKeys(),
	}
	svc.ask(&tick, free)
	var report driver.WorkerReport
	sent := time.Now()
	err := inTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		report, err = rt.store.Workers(ctx, tx, tick)
		fault.Hit("tick.before_commit")
		return err
	})
	fault.Hit("tick.after_commit")
	if err != nil {
		return driver.WorkerReport{}, err
	}
	rt.noteSkew(svc, sent, report.Now)
	if svc.cameBack(report.Now) {
		err = inTx(ctx, func(ctx context.Context, tx TTx) error { return rt.cron.pullBack(ctx, tx, report.Now) })
	}
	if err != nil {
		rt.logTroubles("squidmesh: tick", []trouble{{what: "pull triggers back", err: err}}) // the next tick tries again
	} else {
		svc.saw(report.Now)
	}
	for _, id := range report.Verdicts {
		rt.live.interrupt(id)
	}
	for _, block := range report.Failed {
		rt.live.interruptBlock(block)
	}
	return report, nil
}
