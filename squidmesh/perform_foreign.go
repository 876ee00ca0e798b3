package squidmesh

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// foreignPause is the pause before a delivery of another store comes again: short at first, so that its own program gets it soon, then ever
// longer, so that a program that is away for long costs the others little.
var foreignPause = Retry{Base: 200 * time.Millisecond, Max: 30 * time.Second, Jitter: 0.5}

// foreign reports whether a delivery belongs to another store. What names one may be this store's all the same, since schemas are renamed
// and databases restored under other names: then its row is here, and was sent by the very job that the delivery came by.
func (pf *performer[TTx]) foreign(ctx context.Context, d driver.Delivery) (bool, error) {
	switch own := pf.queue.scope.name.Load(); {
	case d.Scope == "", own != nil && d.Scope == *own:
		return false, nil
	case d.Job == "":
		return true, nil
	}
	sent := pf.sentStep
	if d.Kind == driver.DeliverCron {
		sent = pf.sentFire
	}
	job, err := sent(ctx, d)
	if err != nil {
		return false, fmt.Errorf("find whose delivery %s is: %w", d.Job, err)
	}
	return job != d.Job, nil
}

// sentStep is the job of the attempt that a delivery of a step or undo is for; empty if there is none here.
func (pf *performer[TTx]) sentStep(ctx context.Context, d driver.Delivery) (job string, err error) {
	id, key := uuid.MustParse(d.RunID), driver.DeliveredStep(d)
	err = pf.view(ctx, func(ctx context.Context, tx TTx) error {
		loaded, err := pf.loadRun(ctx, tx, id, flow.Reads{Steps: []flow.StepKey{key}})
		if row := loaded.Steps[key]; row.Attempt == d.Attempt {
			job = row.JobID
		}
		return err
	})
	return job, err
}

// sentFire is the job of the fire that a cron delivery is for; empty if there is none here.
func (pf *performer[TTx]) sentFire(ctx context.Context, d driver.Delivery) (job string, err error) {
	err = pf.inTx(ctx, func(ctx context.Context, tx TTx) error {
		f, _, err := pf.cron.fireOf(ctx, tx, flow.TriggerKey{Workflow: d.Workflow, Trigger: d.Trigger}, cronSignals(d))
		job = f.JobID
		return err
	})
	return job, err
}

// sendBack answers a delivery of another store: it comes again, to whoever fetches it then, and is never given up.
func (pf *performer[TTx]) sendBack(d driver.Delivery) flow.Outcome {
	if others := pf.queue.scope.others(); others > 0 {
		pf.logger.Warn("squidmesh: deliveries of another store come to this program and are sent back: "+flow.KeepApart, append(aboutDelivery(d), "queue", d.Queue, "theirs", d.Scope, "ours", *pf.queue.scope.name.Load(), "deliveries", others)...)
	}
	return flow.Outcome{
		Kind: flow.OutcomeAgain, After: foreignPause.Delay(min(d.SentBack, 30)+1, d.RunID, d.SignalID, d.Job),
		Reason: flow.DeliveryForeign,
	}
}
