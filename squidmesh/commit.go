package squidmesh

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/lever"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// committer brings events into the database: it alone writes runs. It owns what is remembered of runs since their last commits (a lock of its
// own), the line of events that wait for a shared commit (a lock of its own), and the places for commits side by side: beside for what ticks
// found, atLock for the one delivery that may wait at a run's lock with a connection in hand. Everything that something happens to
// a run by calls it, from any goroutine: deliveries, operators, ticks and cron. After a commit it tells those at work here to stop, has queues
// woken, and tells the observer.
type committer[TTx any] struct {
	*base[TTx]
	definitions *definitions[TTx]
	queue       *queue[TTx]
	teller      *teller
	live        *liveSet
	abandoned   *abandonedSet

	carrier runMemories
	group   group
	beside  chan struct{} // has a place for each batch that ticks commit beside their first ones
	atLock  atomic.Bool   // a member of a shared commit waits for a lock by itself
}

func newCommitter[TTx any](d *definitions[TTx], q *queue[TTx], t *teller, live *liveSet, abandoned *abandonedSet) *committer[TTx] {
	cm := &committer[TTx]{base: d.base, definitions: d, queue: q, teller: t, live: live, abandoned: abandoned}
	cm.group.most = max(cm.traits.SideBySide, 1)
	cm.beside = make(chan struct{}, cm.group.most-1)
	return cm
}

// commit decides an event under the run's lock and writes what follows: together with others if it may, else alone.
func (cm *committer[TTx]) commit(ctx context.Context, id RunID, e flow.Event) (committed, error) {
	return cm.commitMember(ctx, &member{id: id, event: e})
}

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
