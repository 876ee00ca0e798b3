package squidmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"
)

// commitAttempts bounds how often a transaction is run again after a transient error on behalf of a caller who waits.
const commitAttempts = 8

// committed is what one transition led to.
type committed struct {
	Transition
	jobs  []Metadata
	input json.RawMessage // of the claim
	run   Run             // the row as it was, for facts that never change
}

// commit decides an event under the run's lock and writes what follows, in one transaction of its own. Transient errors are
// retried, and the fate of a COMMIT that broke is read back before anything is repeated.
func (rt *Runtime[TTx]) commit(ctx context.Context, id RunID, e Event) (committed, error) {
	var c committed
	dispatch := rt.enqueue
	for try := 1; ; try++ {
		err := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) (err error) {
			c, err = rt.decideTx(ctx, tx, id, e, dispatch)
			faultAt(e, "before_commit")
			return err
		})
		if errors.Is(err, ErrCommitUnknown) {
			err = rt.readBack(ctx, c, err, endOf(e) || claimOf(e))
		}
		switch {
		case err == nil:
			faultAt(e, "after_commit")
			rt.told(ctx, c)
			return c, nil
		case ctx.Err() != nil:
			return committed{}, err
		case errors.Is(err, errNotCommitted), rt.traits.Transient(err):
			if try >= commitAttempts && !endOf(e) {
				return committed{}, err
			}
		case errors.Is(err, ErrDispatch) && (endOf(e) || claimOf(e)):
			// The step has ended and that must not be lost. Its successors stay without a job; the tick sends them.
			rt.logger.Error("squidmesh: enqueue failed, left to the sweeper", "run", id, "error", err)
			dispatch = rt.enqueueLater
		default:
			return committed{}, err
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return committed{}, err
		}
	}
}

// endOf reports whether the event is the end of an attempt, which has happened whether or not it can be written now: it is tried
// until the service ends.
func endOf(e Event) bool {
	switch e.(type) {
	case Succeeded, Failed, Released, Lost:
		return true
	default:
		return false
	}
}

func claimOf(e Event) bool {
	_, ok := e.(Claimed)
	return ok
}

// backoff is the pause before the next try: 5 ms doubling to 1 s, spread by half.
func backoff(try int) time.Duration {
	d := min(5*time.Millisecond<<min(try-1, 10), time.Second)
	return d/2 + rand.N(d)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// decideTx is the heart of every commit: lock, load, decide, enqueue, apply.
func (rt *Runtime[TTx]) decideTx(ctx context.Context, tx TTx, id RunID, e Event, dispatch enqueueFunc[TTx]) (committed, error) {
	locked, err := rt.store.Lock(ctx, tx, LockQuery{Runs: []RunID{id}, Worker: workerOf(e)})
	if err != nil {
		return committed{}, fmt.Errorf("lock run %s: %w", id, err)
	}
	run, ok := locked.Runs[id]
	if !ok {
		return committed{}, fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	p, err := rt.pin(ctx, tx, run)
	if err != nil {
		return committed{}, err
	}
	e = rt.equip(e, p)
	loaded, err := rt.store.Load(ctx, tx, id, ReadsOf(p.spec, run, e))
	if err != nil {
		return committed{}, fmt.Errorf("load run %s: %w", id, err)
	}
	t, err := Decide(p.spec, Snapshot{Run: run, Steps: loaded.Steps, WorkerLost: locked.WorkerLost}, e, locked.Now)
	if err != nil {
		return committed{}, err
	}
	c := committed{Transition: t, run: run}
	if t.Empty() && len(t.Unheld) == 0 {
		return c, nil
	}
	if c.input, err = rt.claimInput(ctx, tx, p.spec, t); err != nil {
		return committed{}, err
	}
	faultAt(e, "before_enqueue")
	if c.jobs, err = dispatch(ctx, tx, &c.Transition); err != nil {
		return committed{}, err
	}
	faultAt(e, "after_enqueue")
	if err := rt.store.Apply(ctx, tx, []Transition{c.Transition}); err != nil {
		return committed{}, fmt.Errorf("apply run %s: %w", id, err)
	}
	return c, nil
}

// workerOf is the worker on whose behalf an event comes; zero for operators and sweeps.
func workerOf(e Event) WorkerID {
	switch e := e.(type) {
	case Claimed:
		return e.Worker
	case Succeeded:
		return e.Worker
	case Failed:
		return e.Worker
	case Released:
		return e.Worker
	default:
		return 0
	}
}

// equip tells an event which steps of the run's shape its worker could go on with.
func (rt *Runtime[TTx]) equip(e Event, p *pinned) Event {
	switch e := e.(type) {
	case Claimed:
		e.Runnable = p.runnable
		return e
	case Succeeded:
		if e.Runnable != nil {
			e.Runnable = p.runnable
		}
		return e
	case Failed:
		if e.Runnable != nil {
			e.Runnable = p.runnable
		}
		return e
	default:
		return e
	}
}

// claimInput puts the input of a claimed step together, from the payload, the outputs stored so far, and the output that this
// very transition brings.
func (rt *Runtime[TTx]) claimInput(ctx context.Context, tx TTx, spec *Spec, t Transition) (json.RawMessage, error) {
	if t.Claim == nil || len(t.Claim.Keys) == 0 {
		return nil, nil
	}
	loaded, err := rt.store.Load(ctx, tx, t.Run.ID, Reads{Outputs: t.Claim.Sources, Payload: true})
	if err != nil {
		return nil, fmt.Errorf("load input of run %s step %s: %w", t.Run.ID, t.Claim.Name, err)
	}
	outputs := maps.Clone(loaded.Outputs)
	if outputs == nil {
		outputs = map[string]json.RawMessage{}
	}
	for _, e := range t.Audit {
		if e.Output != nil && e.Phase == PhaseDo {
			outputs[e.Name] = e.Output
		}
	}
	return spec.assembleInput(t.Claim.Keys, t.Claim.Sources, loaded.Payload, outputs), nil
}

// errNotCommitted says that a COMMIT whose answer was lost did not take effect.
var errNotCommitted = errors.New("transaction did not take effect")

// readBack finds out whether a transition whose COMMIT broke was written: its audit entry then stands in the run's history. It
// asks until it knows if it must, as a claim or an outcome must, else a few times.
func (rt *Runtime[TTx]) readBack(ctx context.Context, c committed, unknown error, must bool) error {
	if c.Empty() {
		return nil
	}
	want := c.Audit[0]
	for try := 1; ; try++ {
		var found, known bool
		err := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
			// The server may be at work on the COMMIT still; the lock waits until it is done.
			if _, err := rt.store.Lock(ctx, tx, LockQuery{Runs: []RunID{want.Run}}); err != nil {
				return err
			}
			history, err := rt.store.History(ctx, tx, want.Run)
			known = err == nil
			for _, e := range history.Audit {
				if e.Seq == want.Seq {
					found = e.Kind == want.Kind && e.StepKey == want.StepKey && e.Attempt == want.Attempt && e.At.Equal(want.At) &&
						bytes.Equal(compact(e.Data), compact(want.Data))
				}
			}
			return err
		})
		switch {
		case known && found:
			return nil
		case known:
			return errNotCommitted
		case !must && try >= commitAttempts || ctx.Err() != nil:
			return errors.Join(unknown, err)
		}
		if err := pause(ctx, backoff(try+4)); err != nil {
			return errors.Join(unknown, err)
		}
	}
}

func compact(data json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}

// told does what follows a commit: running steps are told to stop, queues are woken, the observer hears of it.
func (rt *Runtime[TTx]) told(ctx context.Context, c committed) {
	if c.Empty() {
		return
	}
	if c.Interrupt {
		rt.live.interrupt(c.Run.ID)
	}
	rt.wakeFor(c.Transition)
	if rt.config.Observer != nil {
		run := c.Run
		run.Payload = nil
		rt.config.Observer.Observe(context.WithoutCancel(ctx), Observation{Run: run, Entry: c.Audit[0], Jobs: c.jobs})
	}
}

// wakeFor wakes the queues of a committed transition's jobs, each when it is due.
func (rt *Runtime[TTx]) wakeFor(t Transition) {
	for _, job := range t.Jobs {
		if job.DueAt.IsZero() {
			rt.waker.wake(job.Queue)
			continue
		}
		rt.waker.wakeAt(job.DueAt.Sub(job.Now), job.Queue)
	}
}
