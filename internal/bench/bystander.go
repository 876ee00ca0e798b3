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

// company is what the measured runs have beside them.
type company struct {
	name string
	open bool // a transaction of nobody's that has written and stays open, for the server remembers all row versions for its sake
	slow int  // FuncTx bodies that keep their transactions open for a second, one run after the other
	held int  // runs whose rows somebody else has locked, by a transaction that stays open
}

var companies = []company{
	{name: "alone"},
	{name: "beside_an_open_transaction", open: true},
	{name: "beside_slow", slow: 5},
	{name: "beside_held", held: 5},
}

// measureBystanders compares what runs take alone and beside others that could be in their way. Whatever keeps a transaction open is
// in everybody's way on PostgreSQL; the row with one that has nothing to do with squidmesh says how much of a loss is that.
func measureBystanders(ctx context.Context, l *lab) error {
	const concurrency = 10
	rates, tails := map[string][]float64{}, map[string][]float64{}
	for range l.rounds {
		for _, c := range companies {
			s, err := l.measure(ctx, cell{
				name: "bystanders." + c.name, open: l.openBeside(c), concurrency: concurrency, window: max(l.window, slowBody), patient: l.patient,
			})
			if err != nil {
				return err
			}
			tail := quantile(milliseconds(s.runs...), 0.99)
			rates[c.name], tails[c.name] = append(rates[c.name], s.rate), append(tails[c.name], tail)
			l.report.say("%-33s %8.0f steps/s, p99 of a run %.1f ms", "bystanders."+c.name, s.rate, tail)
		}
	}
	for _, c := range companies {
		l.report.put("bystanders", c.name, "rate", median(rates[c.name]), "steps/s")
		l.report.put("bystanders", c.name, "run.p99", median(tails[c.name]), "ms")
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

func (l *lab) openBeside(c company) func(context.Context) (contender, error) {
	return func(ctx context.Context) (contender, error) {
		s, err := l.postgres(ctx)
		if err != nil {
			return nil, err
		}
		entered, leave := make(chan struct{}, c.held), make(chan struct{})
		count := &atomic.Int64{}
		m, err := openMesh(ctx, s, meshOptions{
			workflow: line(headline.steps, count), count: count, others: []squidmesh.Workflow{slow(), held(entered, leave)},
		})
		if err != nil {
			return nil, err
		}
		inner, cancel := context.WithCancel(ctx)
		d := &disturbance{mesh: m, lab: l, cancel: cancel}
		for range c.slow {
			d.tasks.Go(func() { d.keepSlow(inner) })
		}
		switch {
		case c.held > 0:
			err = d.hold(inner, c.held, entered, leave)
		case c.open:
			err = d.keepOpen(inner, "select pg_current_xact_id()")
		}
		if err != nil {
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
	if err := d.keepOpen(ctx, "select from squidmesh_run where workflow = 'held' for update"); err != nil {
		return err
	}
	close(leave)
	return nil
}

// keepOpen executes a statement in a transaction that stays open until the measurement is over.
func (d *disturbance) keepOpen(ctx context.Context, sql string) error {
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
	_, err = tx.Exec(ctx, sql)
	return err
}

func (d *disturbance) close() error {
	d.cancel()
	d.tasks.Wait()
	return errors.Join(d.err, d.mesh.close())
}
