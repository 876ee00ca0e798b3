package squidmesh

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Limits of one batch: members, and how long its transaction may take.
const (
	maxBatch     = 256
	batchTimeout = 30 * time.Second
)

// group gathers events while a commit is in flight and commits them together. There is no timer: a lone event is committed at
// once, and under load a batch is as large as the commit before it was slow.
type group struct {
	mu      sync.Mutex
	waiting []*submission
	busy    bool
}

// submission is a member that somebody waits for. The batch uses the values of its context; the end of that does not end the batch.
type submission struct {
	*member
	done chan struct{}
}

// submit commits a member together with others and returns when its fate is known: done, refused (err), or to go on its own
// (own).
func (rt *Runtime[TTx]) submit(m *member) {
	s := &submission{member: m, done: make(chan struct{})}
	g := &rt.group
	g.mu.Lock()
	g.waiting = append(g.waiting, s)
	if !g.busy {
		g.busy = true
		go rt.drainGroup()
	}
	g.mu.Unlock()
	<-s.done
}

// drainGroup commits batch after batch until nobody waits.
func (rt *Runtime[TTx]) drainGroup() {
	g := &rt.group
	for {
		g.mu.Lock()
		n := min(len(g.waiting), maxBatch)
		batch := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		if n == 0 {
			g.waiting, g.busy = nil, false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		rt.commitBatch(batch)
	}
}

// commitBatch commits a batch in one transaction. If that fails, its members go on their own: one bad member does not fail the
// rest.
func (rt *Runtime[TTx]) commitBatch(batch []*submission) {
	members := make([]*member, len(batch))
	for i, s := range batch {
		members[i] = s.member
	}
	defer func() {
		for _, s := range batch {
			close(s.done)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), batchTimeout)
	defer cancel()
	var w *writing
	err := rt.ownTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		w, err = rt.write(ctx, tx, members, false, rt.enqueue)
		faultAt(members, "before_commit")
		return err
	})
	if err != nil {
		for _, m := range members {
			if m.err == nil && m.own == nil {
				m.own = err
			}
		}
		return
	}
	faultAt(members, "after_commit")
	rt.settle(w)
}

// settle does what follows a commit, for each of its members.
func (rt *Runtime[TTx]) settle(w *writing) {
	for _, r := range w.order {
		switch {
		case !r.folded.Empty():
			rt.carrier.put(r.folded.Run, r.carried)
		case r.run.ID != (RunID{}): // else a start whose place was taken
			rt.carrier.put(r.run, r.carried)
		}
		for _, m := range r.members {
			if m.err == nil {
				rt.told(m)
			}
		}
	}
}

// grouped reports whether a member may share a transaction: starts, and events that come from deliveries, by the thousand, and that wait
// for nobody. A start with a key may have to wait for whoever has taken it.
func (m *member) grouped() bool {
	if m.start != nil {
		return m.start.event.Key == ""
	}
	switch m.event.(type) {
	case Claimed, Succeeded, Failed, Released:
		return true
	default:
		return false
	}
}

// resolve turns a member that came back from a batch into an answer, or says that it must go on its own.
func (rt *Runtime[TTx]) resolve(ctx context.Context, m *member) (alone bool) {
	if !errors.Is(m.own, ErrCommitUnknown) {
		return m.own != nil
	}
	if err := rt.readBack(ctx, m.c, m.own, true); err != nil {
		m.doubt()
		return true
	}
	m.own = nil
	rt.told(m)
	return false
}
