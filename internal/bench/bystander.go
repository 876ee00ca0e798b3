package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// slowBody is how long the FuncTx bodies beside the measured runs take.
const slowBody = time.Second

// measureBystanders compares what runs take alone and beside others that could be in their way: FuncTx bodies that keep their
// transactions open for a second, and runs whose rows somebody else has locked.
func measureBystanders(ctx context.Context, l *lab) error {
	const concurrency, disturbed = 10, 5
	rates, tails := map[bool][]float64{}, map[bool][]float64{}
	for range l.rounds {
		for _, beside := range []bool{false, true} {
			name, disturbers := "alone", 0
			if beside {
				name, disturbers = "beside", disturbed
			}
			s, err := l.measure(ctx, cell{
				name: "bystanders." + name, open: l.openDisturbed(disturbers), concurrency: concurrency,
				window: max(l.window, slowBody), patient: l.patient,
			})
			if err != nil {
				return err
			}
			rates[beside] = append(rates[beside], s.rate)
			tails[beside] = append(tails[beside], quantile(milliseconds(s.runs...), 0.99))
			l.report.say("%-33s %8.0f steps/s, p99 of a run %.1f ms", "bystanders."+name, s.rate, tails[beside][len(tails[beside])-1])
		}
	}
	for name, beside := range map[string]bool{"alone": false, "beside_slow_and_held": true} {
		l.report.put("bystanders", name, "rate", median(rates[beside]), "steps/s")
		l.report.put("bystanders", name, "run.p99", median(tails[beside]), "ms")
	}
	return nil
}

// disturbance is a mesh beside whose runs others are slow and held.
type disturbance struct {
	*mesh[pgx.Tx]
	lab    *lab
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	err    error
	once   sync.Once
}

func (l *lab) openDisturbed(each int) func(context.Context) (contender, error) {
	return func(ctx context.Context) (contender, error) {
		s, err := l.postgres(ctx)
		if err != nil {
			return nil, err
		}
		entered, leave := make(chan struct{}, each), make(chan struct{})
		count := &atomic.Int64{}
		m, err := openMesh(ctx, s, meshOptions{
			workflow: line(headline.steps, count), count: count, others: []squidmesh.Workflow{slow(), held(entered, leave)},
		})
		if err != nil {
			return nil, err
		}
		inner, cancel := context.WithCancel(ctx)
		d := &disturbance{mesh: m, lab: l, cancel: cancel}
		for range each {
			d.tasks.Go(func() { d.keepSlow(inner) })
		}
		if err := d.hold(inner, each, entered, leave); err != nil {
			return nil, errors.Join(err, d.close())
		}
		return d, nil
	}
}

// slow has a step whose body keeps its transaction for a second.
func slow() squidmesh.Workflow {
	return workflow("slow", squidmesh.Step{Name: "slow", Do: squidmesh.EffectTx(func(ctx context.Context, _ pgx.Tx, _ order) error {
		return sleep(ctx, slowBody)
	})})
}

// held has a step that ends when it is told to.
func held(entered chan<- struct{}, leave <-chan struct{}) squidmesh.Workflow {
	return workflow("held", squidmesh.Step{Name: "held", Do: squidmesh.Effect(func(ctx context.Context, _ order) error {
		entered <- struct{}{}
		select {
		case <-leave:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})})
}

// keepSlow does one slow run after the other.
func (d *disturbance) keepSlow(ctx context.Context) {
	for ctx.Err() == nil {
		id, err := d.start(ctx, "slow", payload())
		if err == nil {
			err = d.ends.wait(ctx, id)
		}
		if err != nil && ctx.Err() == nil {
			d.once.Do(func() { d.err = err })
			return
		}
	}
}

// hold brings runs into a step, locks their rows, and lets the step end: its outcome waits for the lock until the measurement is over.
func (d *disturbance) hold(ctx context.Context, runs int, entered <-chan struct{}, leave chan<- struct{}) error {
	for range runs {
		if _, err := d.start(ctx, "held", payload()); err != nil {
			return err
		}
	}
	for range runs {
		select {
		case <-entered:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	tx, err := d.lab.watch.Begin(ctx)
	if err != nil {
		return err
	}
	d.tasks.Go(func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = tx.Rollback(ending)
	})
	if _, err := tx.Exec(ctx, "select from squidmesh_run where workflow = 'held' for update"); err != nil {
		return err
	}
	close(leave)
	return nil
}

func (d *disturbance) close() error {
	d.cancel()
	d.tasks.Wait()
	return errors.Join(d.err, d.mesh.close())
}
