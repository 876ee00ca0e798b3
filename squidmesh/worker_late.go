package squidmesh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// redeliverLate sends late deliveries again whose jobs will not come. Those that are only held up, in a queue that is paused or has much to do,
// are left alone, and so are those that another process has claimed, or that were not committed.
func (wk *worker[TTx]) redeliverLate(late []flow.StepState) {
	svc := wk.join()
	if svc == nil {
		return
	}
	defer svc.leave()
	if _, ok := svc.holder(); !ok {
		return
	}
	ctx, cancel := context.WithTimeout(svc.ctx, wk.traits.Lease/2)
	defer cancel()
	found, err := wk.missing(ctx, late, svc.began)
	t := wk.sendAgain(ctx, found.lost)
	wk.retryAll(ctx, found.retry, &t)
	if err != nil {
		t.troubles = append(t.troubles, trouble{what: "sweep", err: err})
	}
	if svc.ctx.Err() == nil {
		wk.logTroubles("squidmesh: look after late deliveries", t.troubles)
	}
}

// missing picks the late deliveries that are still waited for and whose jobs will not come.
func (wk *worker[TTx]) missing(ctx context.Context, late []flow.StepState, began time.Time) (found fates, err error) {
	err = wk.store.View(ctx, func(ctx context.Context, tx TTx) error {
		suspects, err := wk.fates(ctx, tx, late, began)
		if err != nil || len(suspects.lost)+len(suspects.retry) == 0 {
			return err
		}
		reads := map[RunID]flow.Reads{}
		for _, row := range slices.Concat(suspects.lost, suspects.retry) {
			reads[row.Run] = reads[row.Run].Union(flow.Reads{Steps: []flow.StepKey{row.StepKey}})
		}
		loaded, err := wk.store.Load(ctx, tx, reads)
		if err != nil {
			return fmt.Errorf("load %s: %w", text.Count(len(reads), "run"), err)
		}
		gone := func(row flow.StepState) bool {
			now := loaded[row.Run].Steps[row.StepKey]
			return now.Status != flow.StepScheduled || now.Attempt != row.Attempt || now.JobID != row.JobID
		}
		found = fates{retry: slices.DeleteFunc(suspects.retry, gone), lost: slices.DeleteFunc(suspects.lost, gone)}
		return nil
	})
	return found, err
}
