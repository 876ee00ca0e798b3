package squidmesh

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/lever"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// committer brings events into the database. Only the committer writes runs, and it writes each event's transition, jobs and audit
// entry in one transaction (promise 1 of the package). Deliveries, operators, ticks and cron call it, from any goroutine. After a
// commit it tells steps at work here to stop, has queues woken, and tells the observer.
//
// It owns the memory of runs since their last commits and the line of events that wait for a shared commit. Each has a lock of its
// own, and neither lock is held while the database is asked.
type committer[TTx any] struct {
	*base[TTx]
	definitions *definitions[TTx]
	queue       *queue[TTx]
	teller      *teller
	live        *liveSet
	abandoned   *abandonedSet

	carrier runMemories
	line    line
	// Places for commits side by side. beside is for what ticks found. atLock is for the one delivery that may wait at a run's lock
	// with a connection in hand.
	beside chan struct{} // has a place for each batch that ticks commit beside their first ones
	atLock atomic.Bool   // a member of a shared commit waits for a lock by itself
}

func newCommitter[TTx any](d *definitions[TTx], q *queue[TTx], t *teller, live *liveSet, abandoned *abandonedSet) *committer[TTx] {
	cm := &committer[TTx]{base: d.base, definitions: d, queue: q, teller: t, live: live, abandoned: abandoned}
	cm.line.most = max(cm.traits.SideBySide, 1)
	cm.beside = make(chan struct{}, cm.line.most-1)
	return cm
}

// commit decides an event under the run's lock and writes what follows. An event that may share a transaction goes with others, any
// other one goes alone.
func (cm *committer[TTx]) commit(ctx context.Context, id RunID, e flow.Event) (committed, error) {
	return cm.commitMember(ctx, &member{id: id, event: e})
}

// commitMember is commit for a member. The context is what bounds the wait; a member that is on its way into the database by then
// goes on.
func (cm *committer[TTx]) commitMember(ctx context.Context, m *member) (committed, error) {
	m.ctx, m.asked = ctx, time.Now()
	if flow.TraitsOf(m.event).Shared && !lever.Off(lever.Batch) {
		if err := cm.submit(m); err != nil {
			return committed{}, err
		}
		if !cm.resolve(ctx, m) {
			return m.c, m.err
		}
	}
	return cm.commitAlone(ctx, m)
}
