package squidmesh

import (
	"context"
	"fmt"
)

// patiently says whether the transaction of a member that goes alone may wait for its run's lock with a connection in hand. An operator's
// call may, since its caller says how long; a sweep never does. Of those that come from deliveries, by the thousand, one at a time may. The
// others try again after a pause in which they have no connection: runs that somebody holds would else use up the pool, and everything
// would stand still.
func (rt *Runtime[TTx]) patiently(m *member, commit func(wait bool) error) error {
	switch {
	case sweeps(m.event):
		return commit(false)
	case m.start != nil, !m.grouped():
		return commit(true)
	case rt.atLock.CompareAndSwap(false, true):
		defer rt.atLock.Store(false) // even if an executor ends the goroutine
		return commit(true)
	default:
		return commit(false)
	}
}

// held explains why a member's run was not locked: it does not exist, or somebody holds it (errElsewhere).
func (rt *Runtime[TTx]) held(ctx context.Context, tx TTx, m *member) error {
	runs, err := rt.store.Find(ctx, tx, RunQuery{IDs: []RunID{m.id}})
	switch {
	case err != nil:
		return fmt.Errorf("find run %s: %w", m.id, err)
	case len(runs) == 0:
		m.err = fmt.Errorf("run %s: %w", m.id, ErrNotFound)
		return m.err
	default:
		return errElsewhere
	}
}
