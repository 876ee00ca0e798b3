package squidmesh

import (
	"context"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// expire ends what went past its deadline: decisions that nobody took, and attempts that their workers, though alive, did not
// record as timed out. Held is what those workers hold of the runs. Who holds a run's lock is at work on it, so that run is left for
// another tick.
func (wk *worker[TTx]) expire(ctx context.Context, rows []flow.StepState, held []flow.Hold) tended {
	members := make([]*member, len(rows))
	for i, row := range rows {
		e := flow.Expired{StepKey: row.StepKey, Attempt: row.Attempt}
		for _, h := range held {
			if h.Run == row.Run && h.Worker == row.Worker {
				e.Holds = append(e.Holds, h.StepKey)
			}
		}
		members[i] = &member{id: row.Run, event: e}
	}
	return wk.committer.commitFound(ctx, "expire", members)
}
