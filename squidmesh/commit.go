package squidmesh

import (
	"context"
	"errors"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/lever"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// commitAttempts bounds how often a transaction is run again after a transient error on behalf of a caller who waits.
const commitAttempts = 8

// commit decides an event under the run's lock and writes what follows: together with others if it may, else alone.
func (rt *Runtime[TTx]) commit(ctx context.Context, id RunID, e flow.Event) (committed, error) {
	return rt.commitMember(ctx, &member{id: id, event: e})
}

func (rt *Runtime[TTx]) commitMember(ctx context.Context, m *member) (committed, error) {
	m.ctx, m.asked = ctx, time.Now()
	if flow.TraitsOf(m.event).Shared && !lever.Off(lever.Batch) {
		if err := rt.submit(m); err != nil {
			return committed{}, err
		}
		if !rt.resolve(ctx, m) {
			return m.c, m.err
		}
	}
	return rt.commitAlone(ctx, m)
}

// stay is the same end of an attempt without going on.
func stay(e flow.Event) flow.Event {
	switch e := e.(type) {
	case flow.Succeeded:
		e.Runnable = nil
		return e
	case flow.Failed:
		e.Runnable = nil
		return e
	default:
		return e
	}
}

// errNotCommitted says that a COMMIT whose answer was lost did not take effect.
var errNotCommitted = errors.New("transaction did not take effect")
