package scenariotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// liveTimeout bounds every wait for the program.
const liveTimeout = 2 * time.Minute

// liveDriver runs scripts on a whole program, whose queue delivers by itself and whose clock goes. The core runs along as a
// model: the program's functions are let go in the order in which the model executes them, commands of operators come when
// the program has done everything that the model has, and in the end all runs must stand where the model's stand.
//
// A program may claim steps earlier than a script says, and its timers run out by themselves, so scripts that depend on
// neither happening are not for it.
type liveDriver[TTx any] struct {
	model *coreDriver
	rt    *squidmesh.Runtime[TTx]
	plays *Plays

	runs    map[flow.RunID]flow.RunID // of the program, by those of the model
	news    byhand.News
	changed chan struct{}
	waiting []*heldCall // functions that have been entered
	closed  chan struct{}
}

// LiveProgram is what a driver of a whole program is made of.
type LiveProgram[TTx any] struct {
	// Workflows and Variants are the same for the model and the program, but for the transaction.
	Model     func(*Plays) []squidmesh.Workflow
	Workflows func(*Plays) []squidmesh.Workflow

	// Open makes the program, with the config's store and executor still to be set, and starts it. It stops it by
	// testing.TB.Cleanup.
	Open func(t testing.TB, config *squidmesh.Config[TTx]) *squidmesh.Runtime[TTx]
}

// NewLiveDriver makes a driver of a whole program.
func NewLiveDriver[TTx any](t testing.TB, plays *Plays, config DriverConfig, program LiveProgram[TTx]) (Driver, error) {
	model, err := NewCoreDriver(plays, config, program.Model(plays), nil)
	if err != nil {
		return nil, err
	}
	plays.mirror = NewPlays()
	plays.mirror.gated = true
	d := &liveDriver[TTx]{
		model: model.(*coreDriver), plays: plays.mirror, runs: map[flow.RunID]flow.RunID{},
		changed: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	stopped := make(chan struct{})
	t.Cleanup(func() { close(stopped) }) // after the program's own, which come later
	go func() {
		<-d.closed
		for { // lets everything go, so that the program can stop
			select {
			case call := <-d.plays.entered:
				close(call.goOn)
			case <-stopped:
				return
			}
		}
	}()
	d.rt = program.Open(t, &squidmesh.Config[TTx]{
		Workflows: program.Workflows(plays.mirror), DisableContinuation: config.DisableContinuation,
		Observer: squidmesh.ObserverFunc(func(context.Context, squidmesh.Observation) {
			select {
			case d.changed <- struct{}{}:
			default:
			}
		}),
	})
	return d, nil
}

func (d *liveDriver[TTx]) Now() time.Time                   { return d.model.Now() }
func (d *liveDriver[TTx]) Advance(by time.Duration) error   { return d.model.Advance(by) }
func (d *liveDriver[TTx]) View(id flow.RunID) (View, error) { return d.model.View(id) }

func (d *liveDriver[TTx]) News() byhand.News {
	news := d.news
	d.news = byhand.News{}
	return news
}

var errNotLive = errors.New("a live program cannot be made to do this: add an only line to the script")

func (d *liveDriver[TTx]) Lose() error           { return errNotLive }
func (d *liveDriver[TTx]) Tick() error           { return errNotLive }
func (d *liveDriver[TTx]) RefuseJobs(bool) error { return errNotLive }
func (d *liveDriver[TTx]) Deploy(string) error   { return errNotLive }

func (d *liveDriver[TTx]) Release(flow.RunID, flow.StepKey) (Progress, error) {
	return Progress{}, errNotLive
}

func (d *liveDriver[TTx]) Start(params squidmesh.StartParams) (squidmesh.StartResult, error) {
	want, wantErr := d.model.Start(params)
	got, err := d.rt.StartRun(context.Background(), params)
	return d.began(want, wantErr, got, err)
}

func (d *liveDriver[TTx]) Replay(id flow.RunID, params squidmesh.ReplayParams) (squidmesh.StartResult, error) {
	want, wantErr := d.model.Replay(id, params)
	got, err := d.rt.ReplayRun(context.Background(), d.runs[id], params)
	return d.began(want, wantErr, got, err)
}

func (d *liveDriver[TTx]) began(want squidmesh.StartResult, wantErr error, got squidmesh.StartResult, err error) (squidmesh.StartResult, error) {
	if err := d.sameError(wantErr, err); err != nil || wantErr != nil {
		return want, errors.Join(err, wantErr)
	}
	if want.Existing != got.Existing || want.Existing && d.runs[want.ID] != got.ID {
		return want, fmt.Errorf("the model says existing %v, the program %v", want.Existing, got.Existing)
	}
	d.runs[want.ID] = got.ID
	return want, d.follow(nil)
}

// sameError compares what the model and the program say of a command.
func (d *liveDriver[TTx]) sameError(want, got error) error {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		text := printError(err)
		for model, live := range d.runs {
			text = strings.ReplaceAll(text, live.String(), model.String())
		}
		return text
	}
	if text(want) != text(got) {
		return fmt.Errorf("the model says %q, the program %q", text(want), text(got))
	}
	return nil
}

func (d *liveDriver[TTx]) Operate(id flow.RunID, e flow.Event, elsewhere bool) (flow.Run, error) {
	run, wantErr := d.model.Operate(id, e, elsewhere)
	_, err := byhand.Operate(d.rt, d.runs[id], e)
	if err := d.sameError(wantErr, err); err != nil || wantErr != nil {
		return run, errors.Join(err, wantErr)
	}
	return run, d.follow(nil)
}

func (d *liveDriver[TTx]) Deliver(delivery driver.Delivery) (Progress, error) {
	p, err := d.model.Deliver(delivery)
	if err != nil {
		return p, err
	}
	return p, d.follow(p.Held)
}

func (d *liveDriver[TTx]) Finish(id flow.RunID, key flow.StepKey, lost bool) (Progress, error) {
	p, err := d.model.Finish(id, key, lost)
	if err != nil {
		return p, err
	}
	call, err := d.entered(d.runs[id], key, 0)
	if err != nil {
		return p, err
	}
	call.goOn <- false
	return p, d.follow(p.Held)
}

// follow waits until the program has done what the model has just done, letting its functions go in the model's order. The
// one that the script holds stays where it is.
func (d *liveDriver[TTx]) follow(held *flow.StepKey) error {
	news := d.model.News()
	d.news.Transitions = append(d.news.Transitions, news.Transitions...)
	d.news.Jobs = append(d.news.Jobs, news.Jobs...)
	for i, t := range news.Transitions {
		if err := d.awaitEntry(t.Audit[0]); err != nil {
			return err
		}
		if t.Claim == nil || d.isLog(*t.Claim) {
			continue
		}
		call, err := d.entered(d.runs[t.Run.ID], t.Claim.StepKey, t.Claim.Attempt)
		if err != nil {
			return err
		}
		if held != nil && *held == t.Claim.StepKey && i == len(news.Transitions)-1 {
			d.waiting = append(d.waiting, call)
			continue
		}
		call.goOn <- false
	}
	return nil
}

func (d *liveDriver[TTx]) isLog(c flow.Claim) bool {
	st, _ := d.model.pinned[c.Run].Step(c.Name)
	return st.Kind == flow.KindLog && c.Phase == flow.PhaseDo
}

// entered waits until a function has been entered. Attempt 0 is any.
func (d *liveDriver[TTx]) entered(id flow.RunID, key flow.StepKey, attempt int) (*heldCall, error) {
	timeout := time.After(liveTimeout)
	for {
		for i, call := range d.waiting {
			if call.run == id && call.key == key && (attempt == 0 || call.attempt == attempt) {
				d.waiting = slices.Delete(d.waiting, i, i+1)
				return call, nil
			}
		}
		select {
		case call := <-d.plays.entered:
			d.waiting = append(d.waiting, call)
		case <-timeout:
			return nil, fmt.Errorf("the program never executes attempt %d of %s; it stands at\n%s", attempt, byhand.PrintKey(key), d.printLive(id))
		}
	}
}

// awaitEntry waits until the program's audit has the end of an attempt that the model's has.
func (d *liveDriver[TTx]) awaitEntry(want flow.AuditEntry) error {
	switch want.Kind {
	case flow.AuditSucceeded, flow.AuditFailed, flow.AuditRetried, flow.AuditUndone, flow.AuditUndoFailed:
	default:
		return nil // commands are done, and claims are seen by the functions that they call
	}
	id := d.runs[want.Run]
	return d.await(func() error {
		in, err := d.rt.InspectRun(context.Background(), id, &squidmesh.InspectOptions{History: true})
		if err != nil {
			return err
		}
		for _, e := range in.Audit {
			if e.Kind == want.Kind && e.StepKey == want.StepKey && e.Attempt == want.Attempt {
				return nil
			}
		}
		return fmt.Errorf("the program has no %s of %s #%d; it stands at\n%s", want.Kind, byhand.PrintKey(want.StepKey), want.Attempt, d.printLive(id))
	})
}

// await tries again after every commit of the program.
func (d *liveDriver[TTx]) await(try func() error) error {
	timeout := time.After(liveTimeout)
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-d.changed:
		case <-timeout:
			return err
		}
	}
}

func (d *liveDriver[TTx]) printLive(id flow.RunID) string {
	in, err := d.rt.InspectRun(context.Background(), id, nil)
	if err != nil {
		return err.Error()
	}
	return printState(viewOf(in, flow.Explanation{}))
}

// settle waits until every run stands where the model's does.
func (d *liveDriver[TTx]) settle() error {
	for _, id := range d.model.order {
		v, err := d.model.View(id)
		if err != nil {
			return err
		}
		err = d.await(func() error {
			if want, got := printState(v), d.printLive(d.runs[id]); want != got {
				return fmt.Errorf("the model stands at\n%s\nand the program at\n%s", want, got)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close lets every function go, so that the program can stop.
func (d *liveDriver[TTx]) Close() {
	for _, call := range d.waiting {
		close(call.goOn)
	}
	close(d.closed)
}
