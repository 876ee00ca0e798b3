package squidmesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// AwaitRun waits until a run has ended, or has reached one of the given statuses, and returns it without its payload. It asks
// the database, at first every few milliseconds and then five times a second; it is meant for programs that have somebody
// waiting, and for tests. Errors: [ErrNotFound], [*InputError], [ErrInsideTransaction], and the context's.
func (rt *Runtime[TTx]) AwaitRun(ctx context.Context, id RunID, statuses ...RunStatus) (Run, error) {
	if err := cmp.Or(checkCall(ctx), checkStatuses("statuses", statuses)); err != nil {
		return Run{}, err
	}
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		var runs []Run
		err := rt.store.View(ctx, func(ctx context.Context, tx TTx) (err error) {
			runs, err = rt.store.Find(ctx, tx, RunQuery{IDs: []RunID{id}})
			return err
		})
		switch {
		case err != nil:
			return Run{}, fmt.Errorf("await run %s: %w", id, err)
		case len(runs) == 0:
			return Run{}, fmt.Errorf("await run %s: %w", id, ErrNotFound)
		case runs[0].Status.Terminal() || slices.Contains(statuses, runs[0].Status):
			return runs[0], nil
		}
		if err := pause(ctx, wait); err != nil {
			return runs[0], fmt.Errorf("await run %s (%s): %w", id, runs[0].Status, err)
		}
	}
}
