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

// Start makes this process a worker. It opens the heartbeat's connection, registers the worker, takes over what dead workers left,
// and starts the background tick. It writes the specs and the cron triggers of the registered workflows. Triggers that it does not
// know stay as they are; the processes that know them fire them. It logs a warning if programs of other stores use its queues. Call
// Start before you start the queue's own client.
//
// Start fails if the database is away or the queue's tables are missing. If a connection dies in silence, it tries others until the
// context ends. The context is for the call alone: when it ends, Start gives up and returns its error. Once Start has returned nil,
// the end of the context stops nothing. What runs in the background keeps the context's values. Call [Runtime.Stop] to stop.
//
// Errors: [ErrStarted], [ErrInsideTransaction], and the context's.
func (rt *Runtime[TTx]) Start(ctx context.Context) error {
	if err := checkCall(ctx); err != nil {
		return err
	}
	return rt.worker.start(ctx)
}

// start is [Runtime.Start] of a call that may be made.
func (wk *worker[TTx]) start(ctx context.Context) error {
	done, err := wk.change(ctx)
	if err != nil {
		return fmt.Errorf("start runtime: another call is at it: %w", err)
	}
	defer done()
	if wk.started() != nil {
		return ErrStarted
	}
	svc, conn := wk.newService(ctx), wk.newTickConnection()
	if err := wk.enter(ctx, svc, conn); err != nil {
		svc.doubt.Stop()
		svc.cancel()
		conn.close()
		return fmt.Errorf("start runtime: %w", err)
	}
	wk.service.Store(svc)
	wk.serve(svc, conn)
	return nil
}

// newService is a service that has no worker yet. It ends with Stop, not with the context of Start.
func (wk *worker[TTx]) newService(ctx context.Context) *service {
	svc := &service{ticked: make(chan struct{}), pruned: make(chan struct{}), more: make(chan lane, lanes)}
	svc.ctx, svc.cancel = context.WithCancel(context.WithoutCancel(ctx))
	svc.doubt = time.AfterFunc(wk.traits.Lease, func() {
		wk.logger.Warn("squidmesh: lease cannot be proven, steps are told to stop")
		wk.live.cancelAll(ErrLeaseLost)
	})
	svc.doubt.Stop() // until the lease has a beginning
	return svc
}

// enter makes this process known to the database: its definitions, its worker and its triggers. It takes over what dead workers left.
func (wk *worker[TTx]) enter(ctx context.Context, svc *service, conn *tickConnection[TTx]) error {
	if err := wk.definitions.saveSpecs(ctx, 0, wk.workflows()...); err != nil {
		return err
	}
	if w, ok := wk.config.Store.(driver.Warner); ok {
		wk.warn(ctx, w)
	}
	scopes, err := wk.queue.scopesInQueues(ctx)
	if err != nil {
		return fmt.Errorf("look at its queues: %w", err)
	}
	report, sent, err := wk.register(ctx, conn.InTx)
	if err != nil {
		return fmt.Errorf("register on the heartbeat's connection: %w", err)
	}
	wk.prove(svc, sent)
	svc.began = report.Now
	svc.worker.Store(int64(report.Registered))
	err = joinTroubles(wk.takeOver(ctx, report.Orphans).troubles)
	for silent(err) && ctx.Err() == nil {
		err = joinTroubles(wk.takeOver(ctx, report.Orphans).troubles)
	}
	if err != nil {
		return err
	}
	wk.queue.warnOfOthers(scopes)
	return nil
}

// serve begins what a service does by itself, unless the program ticks.
func (wk *worker[TTx]) serve(svc *service, conn *tickConnection[TTx]) {
	if wk.config.ManualTick {
		close(svc.ticked)
		close(svc.pruned)
		return
	}
	go wk.tickLoop(svc, conn)
	go wk.pruner.pruneLoop(svc)
}

// prove notes that the database accepted a heartbeat which was sent at that time. The lease counts from there by this process's own
// clock, which goes on while it is frozen, so it never ends later than the database's.
func (wk *worker[TTx]) prove(svc *service, sent time.Time) {
	if wk.config.ManualTick {
		return // its time is the store's
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	svc.proven = sent.Add(wk.traits.Lease)
	svc.doubt.Reset(time.Until(svc.proven))
}

// row is this process's row among the workers.
func (wk *worker[TTx]) row() *flow.Worker {
	worker := &flow.Worker{Name: wk.config.Name, Queues: wk.queues()}
	for _, workflow := range slices.Sorted(maps.Keys(wk.registry.functions)) {
		for key := range wk.registry.functions[workflow] {
			if key.Phase == flow.PhaseDo {
				worker.Functions = append(worker.Functions, workflow+"/"+key.Name)
			}
		}
	}
	for _, spec := range wk.workflows() {
		worker.Shapes = append(worker.Shapes, spec.Shape())
	}
	return worker
}

// warn logs what the store has to say. Nobody waits for that on a connection which does not answer.
func (wk *worker[TTx]) warn(ctx context.Context, w driver.Warner) {
	ctx, cancel := context.WithTimeout(ctx, wk.patience())
	defer cancel()
	for _, warning := range w.Warnings(ctx) {
		wk.logger.Warn("squidmesh: " + warning)
	}
}

// register writes this process's worker row, and the rows of its triggers. It returns when that was sent. A try that may have taken effect
// without an answer is taken back by the next one, whose worker is another.
func (wk *worker[TTx]) register(ctx context.Context, inTx inTxFunc[TTx]) (report driver.WorkerReport, sent time.Time, err error) {
	var owed []flow.Fire
	var former flow.WorkerID
	err = wk.insist(ctx, inTx, wk.writeMayPass, func(ctx context.Context, tx TTx) (err error) {
		sent = time.Now()
		report, err = wk.store.Workers(ctx, tx, driver.WorkerTick{
			Register: wk.row(), Resign: former, Lease: wk.traits.Lease, LoseOthers: wk.traits.Exclusive, Limit: 1000,
		})
		if err != nil {
			return err
		}
		former = report.Registered
		if err := wk.queue.findScope(ctx, tx); err != nil {
			return err
		}
		owed, err = wk.cron.registerTriggers(ctx, tx, report.Now)
		return err
	})
	if err == nil && len(owed) > 0 {
		wk.queue.waker.Wake(wk.config.Queue)
		wk.teller.observeFires(ctx, owed...)
	}
	return report, sent, err
}

// Stop ends the worker. It tells steps to stop by their contexts, waits until they have let go, and gives them back, so that
// another process continues them at once. Stop the queue's client first, or both as riveradapter.Stop does.
//
// A quarter of the time until ctx's deadline before that deadline, or two seconds before it if that is later, Stop gives back the
// steps that have not let go, and returns an error that says so. If ctx ends before that, Stop returns its error, and other
// processes take over what is left after the lease. A COMMIT that the database is at then has a few seconds more, since a commit
// that is cut off leaves everybody in doubt.
//
// Once Stop has returned nil, the runtime does nothing by itself any more. It has dropped wake-ups for delays, and those for
// callers' transactions that Tx methods wrote to. Stop does nothing if the runtime is not started, or if another call is stopping
// it. A stopped runtime can be started again.
//
// Errors: [ErrInsideTransaction], and the context's.
func (rt *Runtime[TTx]) Stop(ctx context.Context) error {
	if err := outsideTx(ctx); err != nil {
		return err
	}
	return rt.worker.stop(ctx)
}

// stop is [Runtime.Stop] of a call that may be made.
func (wk *worker[TTx]) stop(ctx context.Context) error {
	done, err := wk.change(ctx)
	if err != nil {
		return fmt.Errorf("stop runtime: it is being started: %w", err)
	}
	svc := wk.service.Swap(nil)
	done()
	if svc == nil {
		return nil
	}
	svc.refuse()
	wk.live.cancelAll(ErrReleased)
	err = wk.letGo(ctx, svc)
	wk.end(svc)
	if err != nil && !errors.Is(err, errHandedBack) {
		return err // the worker stays: what is left is taken over after its lease
	}
	if worker := flow.WorkerID(svc.worker.Load()); worker != 0 {
		if resigned := wk.resign(ctx, worker); resigned != nil {
			return errors.Join(err, fmt.Errorf("stop runtime: resign: %w", resigned))
		}
	}
	if err != nil {
		return err
	}
	return wk.drain(ctx)
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
func (wk *worker[TTx]) letGo(ctx context.Context, svc *service) error {
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
		if err := wk.handBack(ctx); err != nil {
			return err
		}
		return errHandedBack
	case <-ctx.Done():
		return fmt.Errorf("stop runtime: steps are still running: %w", context.Cause(ctx))
	}
}

// end ends what a service does by itself, and waits for that.
func (wk *worker[TTx]) end(svc *service) {
	svc.cancel()
	<-svc.ticked
	<-svc.pruned
	svc.doubt.Stop()
	if wk.started() == nil { // else they are the next service's
		wk.queue.waker.Hush()
	}
}

// drain waits for what goes on for a moment after the service has ended: wake-ups on their way, and connections that are being closed.
func (wk *worker[TTx]) drain(ctx context.Context) error {
	if err := wk.queue.waker.Drain(ctx); err != nil {
		return fmt.Errorf("stop runtime: queues are still being woken: %w", err)
	}
	if d, ok := wk.config.Store.(driver.Drainer); ok {
		if err := d.Drain(ctx); err != nil {
			return fmt.Errorf("stop runtime: connections are still being closed: %w", err)
		}
	}
	return nil
}

// resign tells the others that a worker is no more. What they would find out by themselves is not worth more than a few tries.
func (wk *worker[TTx]) resign(ctx context.Context, worker flow.WorkerID) error {
	for try := 1; ; try++ {
		err := wk.inTx(ctx, func(ctx context.Context, tx TTx) error {
			_, err := wk.store.Workers(ctx, tx, driver.WorkerTick{Only: driver.TickLease, Resign: worker, Lease: wk.traits.Lease})
			return err
		})
		if err == nil || ctx.Err() != nil || try == resignAttempts || !errors.Is(err, errSilent) && !wk.traits.Transient(err) {
			return err
		}
	}
}
