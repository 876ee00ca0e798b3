package squidmesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// awaitEvery is how often a run is asked after in the end.
const awaitEvery = 200 * time.Millisecond

// AwaitRun waits until a run has ended or has reached one of the given statuses. It returns the run without its payload. It polls
// the database: at first every few milliseconds, then five times a second. It goes on polling while the database is away, until the
// context ends, so give it a context that does. It is meant for tests, and for programs that have somebody waiting.
//
// Errors: [ErrNotFound], [*InputError], [ErrInsideTransaction], and the context's, with the run as it was seen last.
func (rt *Runtime[TTx]) AwaitRun(ctx context.Context, id RunID, statuses ...RunStatus) (Run, error) {
	if err := cmp.Or(checkCall(ctx), check.Statuses("statuses", statuses)); err != nil {
		return Run{}, err
	}
	var seen Run
	var away error // the database's, while it is
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, awaitEvery) {
		var runs []Run
		err := rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
			runs, err = rt.store.Find(ctx, tx, driver.RunQuery{IDs: []RunID{id}})
			return err
		})
		switch {
		case err != nil && ctx.Err() == nil && rt.traits.Transient(err):
			away, wait = err, awaitEvery
		case err != nil:
			return seen, fmt.Errorf("await run %s: %w", id, err)
		case len(runs) == 0:
			return Run{}, fmt.Errorf("await run %s: %w", id, ErrNotFound)
		case runs[0].Status.Terminal() || slices.Contains(statuses, runs[0].Status):
			return runs[0], nil
		default:
			seen, away = runs[0], nil
		}
		if err := pause(ctx, wait); err != nil {
			if away != nil {
				err = fmt.Errorf("%w: %w", err, away)
			}
			return seen, fmt.Errorf("await run %s (%s): %w", id, cmp.Or(seen.Status, "not seen yet"), err)
		}
	}
}
