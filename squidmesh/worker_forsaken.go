package squidmesh

import (
	"context"
	"fmt"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// forsaken picks the rows whose jobs stand in a queue that no living worker uses any more, as after a deploy with another
// [Config.Queue], and that this process would send through another one. A queue that somebody has paused is left as it is.
func (wk *worker[TTx]) forsaken(ctx context.Context, tx TTx, rows []flow.StepState) ([]flow.StepState, error) {
	own := wk.queues()
	rows = slices.DeleteFunc(slices.Clone(rows), func(row flow.StepState) bool { return slices.Contains(own, row.Queue) })
	if len(rows) == 0 {
		return nil, nil
	}
	used, err := wk.definitions.usedQueues(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(row flow.StepState) bool { return used[row.Queue] })
	var ids []RunID
	for _, row := range rows {
		if !slices.Contains(ids, row.Run) {
			ids = append(ids, row.Run)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	runs, err := wk.store.Find(ctx, tx, driver.RunQuery{IDs: ids})
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", text.Count(len(ids), "run"), err)
	}
	moved := map[RunID]*Spec{}
	for _, run := range runs {
		if wk.registry.specs[run.Workflow] == nil {
			continue // which queue it has today, only a process that has the workflow knows
		}
		p, err := wk.definitions.pin(ctx, tx, run)
		if err != nil {
			return nil, err
		}
		moved[run.ID] = p.spec
	}
	return slices.DeleteFunc(rows, func(row flow.StepState) bool {
		spec := moved[row.Run]
		return spec == nil || wk.queueOf(spec, row.StepKey) == row.Queue
	}), nil
}

// queueOf is the queue that a step or undo is sent through by this process.
func (wk *worker[TTx]) queueOf(spec *Spec, key flow.StepKey) string {
	if queue := spec.Find(key.Name).PolicyOf(key.Phase).Queue; queue != "" {
		return queue
	}
	return wk.config.Queue
}
