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

// Limits of one batch: how many members, and how many bytes of results and payloads. A single member may have more bytes.
const (
	maxBatch      = 256
	maxBatchBytes = 4 << 20
)

// line is where events wait while commits are in flight, to be committed together. There is no timer. If a slot for single commits
// is free, an event goes at once and alone, so a few callers do not wait for each other. Under load the next batch has all that
// waited for the commit before it, so batches grow as commits get slow.
type line struct {
	// The number of slots: how many commits of one event may be in flight side by side. It is at least one.
	most int // commits of one event each

	mu sync.Mutex
	// These belong to mu. A submission is in waiting until a batch takes it or its caller withdraws it. A run is in alone at most
	// once.
	waiting []*submission
	alone   []RunID // whose commits are in flight with one event each
	shared  bool    // a commit of several events is in flight; none begins beside it unless it stalls
}

// submission is a member that a caller waits for. done is closed once its fate is known.
type submission struct {
	*member
	done chan struct{}
}

// submit commits a member, alone or together with others, and returns when its fate is known: done, refused (err), or to go by
// itself (own). If a slot is free, the caller's goroutine commits this event alone, without queueing.
//
// An error says that the member's context ended first. It wraps [ErrCommitUnknown] if the member was already on its way; that goes
// on.
func (cm *committer[TTx]) submit(m *member) error {
	l, s := &cm.line, &submission{member: m, done: make(chan struct{})}
	if l.begin(s) {
		cm.lead([]*submission{s})
		return nil
	}
	select {
	case <-s.done:
		return nil
	case <-m.ctx.Done():
	}
	left := fmt.Errorf("wait for a shared commit: %w", context.Cause(m.ctx))
	if l.withdraw(s) {
		return left
	}
	select {
	case <-s.done:
		return nil // its fate became known in the same moment
	default:
		return fmt.Errorf("%w: %w", ErrCommitUnknown, left)
	}
}

// lead commits a batch. Then it takes the next batches that may go, and has other goroutines commit them. It does so even if an
// executor ends this goroutine, and a quarter of a lease after the beginning if the commit stalls.
func (cm *committer[TTx]) lead(batch []*submission) {
	next := sync.OnceFunc(func() {
		cm.line.end(batch)
		for next := cm.line.take(); next != nil; next = cm.line.take() {
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

// begin takes a slot for a submission, which then goes alone. If there is none, or a commit of several events is in flight, the
// submission waits. It also waits if its run has a slot already: it would only find the run locked.
func (l *line) begin(s *submission) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shared || len(l.alone) >= l.most || slices.Contains(l.alone, s.id) {
		l.waiting = append(l.waiting, s)
		return false
	}
	l.alone = append(l.alone, s.id)
	return true
}

// withdraw takes a submission out of the line. It returns false if the submission does not wait any more.
func (l *line) withdraw(s *submission) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, s)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// end gives a batch's slot back. It is called once for each batch that began or was taken.
func (l *line) end(batch []*submission) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(batch) > 1 {
		l.shared = false
		return
	}
	i := slices.Index(l.alone, batch[0].id)
	l.alone = slices.Delete(l.alone, i, i+1)
}

// take returns the next batch of those that wait. It returns nil if no batch may go now, or if all that wait are about runs of
// commits in flight. Whoever gets a batch commits it and calls end.
func (l *line) take() []*submission {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shared || len(l.alone) >= l.most {
		return nil
	}
	var batch, rest []*submission
	bytes := 0
	for i, s := range l.waiting {
		if len(batch) == maxBatch || len(batch) > 0 && bytes+s.size() > maxBatchBytes {
			rest = append(rest, l.waiting[i:]...)
			break
		}
		if slices.Contains(l.alone, s.id) {
			rest = append(rest, s)
			continue
		}
		batch, bytes = append(batch, s), bytes+s.size()
	}
	l.waiting = rest
	switch len(batch) {
	case 0:
	case 1:
		l.alone = append(l.alone, batch[0].id)
	default:
		l.shared = true
	}
	return batch
}

// commitBatch commits a batch in one transaction. If that fails, each member goes alone, so one bad member does not fail the rest.
// The end of a member's context ends the commit only if the member is alone. On return each submission is done, whatever happened.
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

// errUnfinished says that a batch ended without an answer, because its goroutine ended: by a Goexit or a panic of the program's
// code.
var errUnfinished = errors.New("shared commit was not finished")

// resolve makes an answer of a member that came back from a batch, or says that the member must go alone. If the batch's COMMIT is
// in doubt, it first finds out whether the member's audit entry was written.
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
