package scenariotest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// storeDriver runs scripts on runtimes over a real store, with a clock and a queue that the script turns by hand. A worker
// that is lost is a runtime that is abandoned; the one that takes over is a new one on the same store. What is stored of a run must
// have been told to an observer, entry by entry.
type storeDriver[TTx any] struct {
	plays     *Plays
	config    DriverConfig
	store     driver.Store[TTx]
	queue     *byhand.Queue[TTx]
	workflows []squidmesh.Workflow
	variants  map[string]squidmesh.Workflow
	clock     *byhand.Clock
	witness   *witness

	mu   sync.Mutex
	news byhand.News

	runtimes []*squidmesh.Runtime[TTx] // the last one is the worker
	remote   *squidmesh.Runtime[TTx]   // another process, which executes nothing
	held     []*storeCall
}

// storeCall is a function that stands still, and the delivery that it belongs to.
type storeCall struct {
	*heldCall
	performance *performance
	worker      int // place in storeDriver.runtimes
}

// performance is a delivery at work.
type performance struct {
	cancel context.CancelFunc
	done   chan struct{}
	result flow.Outcome
	err    error
}

// scriptedStore lets every new worker take over at once, so that scripts need not wait for a lease, and leaves cron deliveries to
// the script alone.
type scriptedStore[TTx any] struct{ *byhand.Process[TTx] }

func (s scriptedStore[TTx]) Traits() driver.StoreTraits {
	traits := s.Process.Traits()
	traits.Exclusive = true
	return traits
}

func (s scriptedStore[TTx]) Workers(ctx context.Context, tx TTx, tick driver.WorkerTick) (driver.WorkerReport, error) {
	tick.Triggers = nil
	report, err := s.Process.Workers(ctx, tx, tick)
	for i := range report.Workers { // the clock moves on in leaps, between which nobody could renew a lease
		report.Workers[i].LeaseUntil = report.Now.Add(time.Hour)
	}
	return report, err
}

// scriptedQueue loses no jobs: those that the script has taken come again when it says so.
type scriptedQueue[TTx any] struct{ driver.Executor[TTx] }

func (scriptedQueue[TTx]) ProbeJobs(_ context.Context, _ TTx, _ time.Time, jobIDs []string) (map[string]flow.JobState, error) {
	states := map[string]flow.JobState{}
	for _, id := range jobIDs {
		states[id] = flow.JobState{State: "queued", Deliverable: true}
	}
	return states, nil
}

// NewStoreDriver makes a driver of a runtime on a fresh store, which open makes with the given clock.
func NewStoreDriver[TTx any](
	plays *Plays, config DriverConfig, workflows []squidmesh.Workflow, variants map[string]squidmesh.Workflow,
	open func(clock func(time.Time) time.Time) driver.Store[TTx],
) (Driver, error) {
	d := &storeDriver[TTx]{
		plays: plays, config: config, workflows: slices.Clone(workflows), variants: variants,
		clock: byhand.NewClock(byhand.Start), queue: &byhand.Queue[TTx]{}, witness: newWitness(),
	}
	d.store = scriptedStore[TTx]{&byhand.Process[TTx]{Store: open(d.clock.Read), Committed: d.note}}
	if err := d.startRuntime(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *storeDriver[TTx]) newRuntime() (*squidmesh.Runtime[TTx], error) {
	return squidmesh.New(&squidmesh.Config[TTx]{
		Store: d.store, Executor: scriptedQueue[TTx]{d.queue}, Workflows: d.workflows, DisableContinuation: d.config.DisableContinuation,
		Name: scenarioWorker, TimeSlice: time.Hour, Logger: slog.New(slog.DiscardHandler), ManualTick: true, Observer: d.witness,
	})
}

func (d *storeDriver[TTx]) startRuntime() error {
	rt, err := d.newRuntime()
	if err != nil {
		return err
	}
	if err := rt.Start(context.Background()); err != nil {
		return err
	}
	d.runtimes = append(d.runtimes, rt)
	return nil
}

func (d *storeDriver[TTx]) rt() *squidmesh.Runtime[TTx] { return d.runtimes[len(d.runtimes)-1] }

func (d *storeDriver[TTx]) Now() time.Time { return d.clock.Time() }

// note keeps what was committed for News.
func (d *storeDriver[TTx]) note(n *byhand.Notes) {
	d.witness.commit(n.News)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.news.Transitions = append(d.news.Transitions, n.Transitions...)
	d.news.Jobs = append(d.news.Jobs, n.Jobs...)
}

func (d *storeDriver[TTx]) News() byhand.News {
	d.mu.Lock()
	defer d.mu.Unlock()
	news := d.news
	d.news = byhand.News{}
	return news
}

func (d *storeDriver[TTx]) Advance(by time.Duration) error {
	d.clock.Advance(by)
	return nil
}

func (d *storeDriver[TTx]) RefuseJobs(refuse bool) error {
	d.queue.Refuse(refuse)
	return nil
}

// Lose starts a runtime anew without ending the old one: its Start takes over.
func (d *storeDriver[TTx]) Lose() error { return d.startRuntime() }

func (d *storeDriver[TTx]) Tick() error {
	_ = d.rt().Tick(context.Background()) // what it could not do, it tries again
	return nil
}

// Deploy stops the runtime and starts one with another definition.
func (d *storeDriver[TTx]) Deploy(variant string) error {
	w, ok := d.variants[variant]
	if !ok {
		return fmt.Errorf("no variant is called %q", variant)
	}
	for i := range d.workflows {
		if d.workflows[i].Name == w.Name {
			d.workflows[i] = w
		}
	}
	if err := d.rt().Stop(context.Background()); err != nil {
		return err
	}
	d.remote = nil
	return d.startRuntime()
}

func (d *storeDriver[TTx]) Start(params squidmesh.StartParams) (squidmesh.StartResult, error) {
	return d.rt().StartRun(context.Background(), params)
}

func (d *storeDriver[TTx]) Replay(id flow.RunID, params squidmesh.ReplayParams) (squidmesh.StartResult, error) {
	return d.rt().ReplayRun(context.Background(), id, params)
}

func (d *storeDriver[TTx]) Operate(id flow.RunID, e flow.Event, elsewhere bool) (flow.Run, error) {
	rt := d.rt()
	if elsewhere {
		if d.remote == nil {
			var err error
			if d.remote, err = d.newRuntime(); err != nil {
				return flow.Run{}, err
			}
		}
		rt = d.remote
	}
	return byhand.Operate(rt, id, e)
}

func (d *storeDriver[TTx]) Deliver(delivery driver.Delivery) (Progress, error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &performance{cancel: cancel, done: make(chan struct{})}
	rt := d.rt()
	go func() {
		defer close(p.done)
		p.result, p.err = rt.Perform(ctx, delivery)
	}()
	return d.follow(p, len(d.runtimes)-1)
}

// follow waits until a delivery has been dealt with, or stands still. Only one moves at a time.
func (d *storeDriver[TTx]) follow(p *performance, worker int) (Progress, error) {
	select {
	case <-p.done:
		p.cancel()
		return Progress{Outcome: p.result}, p.err
	case call := <-d.plays.entered:
		d.held = append(d.held, &storeCall{heldCall: call, performance: p, worker: worker})
		return Progress{Held: &call.key}, nil
	}
}

func (d *storeDriver[TTx]) Finish(id flow.RunID, key flow.StepKey, lost bool) (Progress, error) {
	call, err := d.takeCall(id, key, lost)
	if err != nil {
		return Progress{}, err
	}
	call.goOn <- false
	return d.follow(call.performance, call.worker)
}

func (d *storeDriver[TTx]) Release(id flow.RunID, key flow.StepKey) (Progress, error) {
	call, err := d.takeCall(id, key, false)
	if err != nil {
		return Progress{}, err
	}
	call.performance.cancel()
	call.goOn <- true
	return d.follow(call.performance, call.worker)
}

// takeCall finds a function that stands still.
func (d *storeDriver[TTx]) takeCall(id flow.RunID, key flow.StepKey, lost bool) (*storeCall, error) {
	for i, call := range d.held {
		if call.run == id && call.key == key && (call.worker < len(d.runtimes)-1) == lost {
			d.held = slices.Delete(d.held, i, i+1)
			return call, nil
		}
	}
	return nil, fmt.Errorf("no attempt of %s stands still", byhand.PrintKey(key))
}

func (d *storeDriver[TTx]) View(id flow.RunID) (View, error) {
	in, err := d.rt().InspectRun(context.Background(), id, &squidmesh.InspectOptions{History: true})
	if err != nil {
		return View{}, err
	}
	ex, err := d.rt().ExplainRun(context.Background(), id)
	if err != nil {
		return View{}, err
	}
	stored := viewOf(in, *ex)
	return stored, d.witness.agrees(stored)
}

// Close lets everything go that stands still, and stops all runtimes.
func (d *storeDriver[TTx]) Close() {
	for _, call := range d.held {
		close(call.goOn)
		<-call.performance.done
		call.performance.cancel()
	}
	for _, rt := range d.runtimes {
		_ = rt.Stop(context.Background())
	}
}
