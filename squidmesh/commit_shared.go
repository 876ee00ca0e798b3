package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Limits of one batch: members, and bytes of results and payloads in them unless one alone has more.
const (
	maxBatch      = 256
	maxBatchBytes = 4 << 20
)

// group gathers events while commits are in flight and commits them together. There is no timer: where commits can go side by side a few
// events do, each by itself, so that a few callers do not wait for each other; and under load a batch is as large as the commit before
// it was slow.
type group struct {
	most int // commits of one event each

	mu      sync.Mutex
	waiting []*submission
	alone   []RunID // whose commits are in flight with one event each
	shared  bool    // a commit of several events is in flight; none begins beside it unless it stalls
}

// submission is a member that somebody waits for.
type submission struct {
	*member
	done chan struct{}
}

// submit commits a member together with others and returns when its fate is known: done, refused (err), or to go on its own
// (own). Who may begin commits at once and by itself, without a goroutine between it and the database. An error says that the member's
// context ended first, and wraps [ErrCommitUnknown] if the member was on its way by then, which goes on.
func (cm *committer[TTx]) submit(m *member) error {
	g, s := &cm.group, &submission{member: m, done: make(chan struct{})}
	if g.begin(s) {
		cm.lead([]*submission{s})
		return nil
	}
	select {
	case <-s.done:
		return nil
	case <-m.ctx.Done():
	}
	left := fmt.Errorf("wait for a shared commit: %w", context.Cause(m.ctx))
	if g.withdraw(s) {
		return left
	}
	select {
	case <-s.done:
		return nil // its fate became known in the same moment
	default:
		return fmt.Errorf("%w: %w", ErrCommitUnknown, left)
	}
}

// lead commits a batch, and has whoever may go then committed by other goroutines; even if an executor ends this one.
func (cm *committer[TTx]) lead(batch []*submission) {
	next := sync.OnceFunc(func() {
		cm.group.end(batch)
		for next := cm.group.take(); next != nil; next = cm.group.take() {
			go cm.lead(next)
		}
	})
	stalled := time.AfterFunc(cm.traits.Lease/4, next) // its connection may have died in silence, which others need not wait for
	defer func() {
		stalled.Stop()
		next()
	}()
	cm.commitBatch(batch)
}

// begin lets a submission go alone, if it may; else it waits. The events of a run go one after the other: the later one would find it locked.
func (g *group) begin(s *submission) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shared || len(g.alone) >= g.most || slices.Contains(g.alone, s.id) {
		g.waiting = append(g.waiting, s)
		return false
	}
	g.alone = append(g.alone, s.id)
	return true
}

// withdraw takes a submission back, if it still waits.
func (g *group) withdraw(s *submission) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, s)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// end notes that a batch is not in flight any more.
func (g *group) end(batch []*submission) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(batch) > 1 {
		g.shared = false
		return
	}
	i := slices.Index(g.alone, batch[0].id)
	g.alone = slices.Delete(g.alone, i, i+1)
}

// take is the next batch of those who wait; nil if none may go now, or nobody waits but for the run of a commit in flight.
func (g *group) take() []*submission {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shared || len(g.alone) >= g.most {
		return nil
	}
	var batch, rest []*submission
	bytes := 0
	for i, s := range g.waiting {
		if len(batch) == maxBatch || len(batch) > 0 && bytes+s.size() > maxBatchBytes {
			rest = append(rest, g.waiting[i:]...)
			break
		}
		if slices.Contains(g.alone, s.id) {
			rest = append(rest, s)
			continue
		}
		batch, bytes = append(batch, s), bytes+s.size()
	}
	g.waiting = rest
	switch len(batch) {
	case 0:
	case 1:
		g.alone = append(g.alone, batch[0].id)
	default:
		g.shared = true
	}
	return batch
}

// commitBatch commits a batch in one transaction. If that fails, its members go on their own: one bad member does not fail the
// rest. Nor does one whose context ends: that ends only the commit of a member that is alone.
func (cm *committer[TTx]) commitBatch(batch []*submission) {
	members := make([]*member, len(batch))
	for i, s := range batch {
		members[i] = s.member
	}
	err := errUnfinished
	defer func() {
		for _, s := range batch {
			if err != nil && s.err == nil && s.own == nil {
				s.own = err
			}
			close(s.done)
		}
	}()
	ctx := batch[0].ctx
	if len(batch) > 1 {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, cm.patience())
	defer cancel()
	var w *batchWrite
	err = cm.ownTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		w, err = cm.write(ctx, tx, members, false, cm.enqueue)
		faultAt(members, "before_commit")
		return err
	})
	if err == nil {
		faultAt(members, "after_commit")
		cm.settle(w)
	}
}

// errUnfinished says that a batch ended without an answer: its goroutine did, by a Goexit or a panic of the program's code.
var errUnfinished = errors.New("shared commit was not finished")

// resolve turns a member that came back from a batch into an answer, or says that it must go on its own.
func (cm *committer[TTx]) resolve(ctx context.Context, m *member) (alone bool) {
	if !errors.Is(m.own, ErrCommitUnknown) {
		return m.own != nil
	}
	if m.c.Empty() {
		return true // what it found may be another member's doing, whose fate is as unknown
	}
	switch err := cm.readBack(ctx, m.c, m.own, flow.TraitsOf(m.event).MustBeKnown()); {
	case err == nil:
		m.own = nil
		cm.told(m)
		return false
	case errors.Is(err, errNotCommitted):
		m.doubt()
		return true
	default:
		m.err = err
		return false
	}
}
