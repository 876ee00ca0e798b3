package squidmesh

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// tickLoop ticks until the service ends. What a tick finds is looked after beside it, lane by lane, so that no commit, lock or busy pool
// keeps the next heartbeat waiting.
func (wk *worker[TTx]) tickLoop(svc *service, conn *tickConnection[TTx]) {
	defer close(svc.ticked)
	defer conn.close()
	var care sync.WaitGroup
	defer care.Wait()
	ticker := time.NewTicker(wk.config.Heartbeat)
	defer ticker.Stop()
	for {
		var report driver.WorkerReport
		var free []lane
		var troubles []trouble
		select {
		case <-svc.ctx.Done():
			return
		case <-ticker.C:
			report, free, troubles = wk.tick(svc, conn.InTx)
		case l := <-svc.more:
			if svc.caring[l].Load() {
				continue // a tick was faster
			}
			report, free, troubles = wk.lookFor(svc, conn.InTx, []lane{l})
		}
		if svc.ctx.Err() == nil {
			wk.logTroubles("squidmesh: tick", troubles)
		}
		for _, l := range free {
			svc.caring[l].Store(true)
			care.Go(func() {
				var more bool
				defer func() { svc.leaveLane(l, more) }()
				var troubles []trouble
				more, troubles = wk.care(svc, l, report)
				if svc.ctx.Err() == nil {
					wk.logTroubles("squidmesh: tick", troubles)
				}
			})
		}
	}
}

// Tick does at once what a started runtime does every second: it renews the lease, takes over what dead workers left, enqueues
// steps without a job, and fires cron triggers. It is for runtimes with [Config.ManualTick]. One goroutine at a time calls it. It
// does nothing if the runtime is not started. Its error is the infrastructure's, for which the next tick makes up, or
// [ErrInsideTransaction].
func (rt *Runtime[TTx]) Tick(ctx context.Context) error {
	if err := checkCall(ctx); err != nil {
		return err
	}
	return rt.worker.tickNow(ctx)
}

// tickNow is [Runtime.Tick] of a call that may be made.
func (wk *worker[TTx]) tickNow(ctx context.Context) error {
	svc := wk.started()
	if svc == nil {
		return nil
	}
	if !wk.config.ManualTick {
		return errors.New("runtime ticks by itself: set Config.ManualTick")
	}
	report, free, troubles := wk.tick(svc, wk.store.InTx)
	for _, l := range free {
		_, cared := wk.care(svc, l, report)
		troubles = append(troubles, cared...)
	}
	return joinTroubles(troubles)
}

// tick renews the lease and looks for what the lanes that are free can take; of those it returns none if it fails. The lease comes first and
// by itself, as what is looked at may be locked or slow. Each of the two is given up while the lease still has time for the next.
func (wk *worker[TTx]) tick(svc *service, inTx inTxFunc[TTx]) (driver.WorkerReport, []lane, []trouble) {
	if err := wk.beat(svc, inTx); err != nil {
		return driver.WorkerReport{}, nil, []trouble{{what: "heartbeat", err: err}}
	}
	return wk.lookFor(svc, inTx, svc.free())
}

// lookFor looks for what these lanes can take, and returns none if that fails.
func (wk *worker[TTx]) lookFor(svc *service, inTx inTxFunc[TTx], free []lane) (driver.WorkerReport, []lane, []trouble) {
	report, err := wk.look(svc, inTx, free)
	if err != nil {
		return driver.WorkerReport{}, nil, []trouble{{what: "look for what needs care", err: err}}
	}
	return report, free, nil
}

// beat renews the lease, or registers anew once it has been lost.
func (wk *worker[TTx]) beat(svc *service, inTx inTxFunc[TTx]) error {
	ctx, cancel := context.WithTimeout(svc.ctx, wk.traits.Lease/4)
	defer cancel()
	worker, sent := flow.WorkerID(svc.worker.Load()), time.Now()
	tick := driver.WorkerTick{Only: driver.TickLease, Heartbeat: worker, Lease: wk.traits.Lease}
	if worker == 0 {
		tick.Register = wk.row()
	}
	var report driver.WorkerReport
	err := inTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		report, err = wk.store.Workers(ctx, tx, tick)
		return err
	})
	switch {
	case err != nil:
		return err
	case worker == 0:
		wk.prove(svc, sent)
		svc.worker.Store(int64(report.Registered))
	case !report.Alive:
		wk.logger.Warn("squidmesh: worker was declared lost, registers anew", "worker", worker)
		svc.worker.Store(0)
		wk.live.cancelAll(ErrLeaseLost)
	default:
		wk.prove(svc, sent)
	}
	return nil
}

// look declares silent workers lost and reads what needs care in the lanes that are free.
func (wk *worker[TTx]) look(svc *service, inTx inTxFunc[TTx], free []lane) (driver.WorkerReport, error) {
	ctx, cancel := context.WithTimeout(svc.ctx, wk.traits.Lease/2)
	defer cancel()
	tick := driver.WorkerTick{
		Only: driver.TickLook, Heartbeat: flow.WorkerID(svc.worker.Load()), Lease: wk.traits.Lease, DueWithin: flow.JobHorizon, Limit: sweepLimit,
		Blocks: wk.live.blocks(), Triggers: wk.cron.cronKeys(),
	}
	svc.ask(&tick, free)
	var report driver.WorkerReport
	sent := time.Now()
	err := inTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		report, err = wk.store.Workers(ctx, tx, tick)
		fault.Hit("tick.before_commit")
		return err
	})
	fault.Hit("tick.after_commit")
	if err != nil {
		return driver.WorkerReport{}, err
	}
	wk.noteSkew(svc, sent, report.Now)
	if svc.cameBack(report.Now) {
		err = inTx(ctx, func(ctx context.Context, tx TTx) error { return wk.cron.pullBack(ctx, tx, report.Now) })
	}
	if err != nil {
		wk.logTroubles("squidmesh: tick", []trouble{{what: "pull triggers back", err: err}}) // the next tick tries again
	} else {
		svc.saw(report.Now)
	}
	for _, id := range report.Verdicts {
		wk.live.interrupt(id)
	}
	for _, block := range report.Failed {
		wk.live.interruptBlock(block)
	}
	return report, nil
}
