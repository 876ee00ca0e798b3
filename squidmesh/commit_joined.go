package squidmesh

import (
	"context"
	"time"
)

// writeOne writes one member in a transaction that does more than that: a body's, a fire's, a caller's. It waits for the run's
// lock.
//
// If the event is refused, the error is the member's, nothing of the event was written, and the transaction may go on. Whoever
// commits the transaction calls settle afterwards. For a caller's transaction nobody does, as nobody here sees its COMMIT.
func (cm *committer[TTx]) writeOne(ctx context.Context, tx TTx, m *member, dispatch enqueueFunc[TTx]) (*batchWrite, error) {
	m.ctx = ctx
	if m.asked.IsZero() {
		m.asked = time.Now()
	}
	w, err := cm.write(ctx, tx, []*member{m}, true, dispatch)
	if err == nil {
		err = m.err
	}
	return w, err
}

// writeTx writes one member within the caller's transaction. Nothing is remembered of the run, as the caller may roll back.
func (cm *committer[TTx]) writeTx(ctx context.Context, tx TTx, m *member) (committed, error) {
	m.joined = true
	_, err := cm.writeOne(ctx, tx, m, cm.enqueue)
	switch {
	case m.err != nil:
		return committed{}, m.err
	case err != nil:
		return committed{}, cm.joinError(cm.argument(m, err))
	}
	for _, job := range m.c.jobs {
		cm.queue.waker.AfterCallersCommit(job.Queue)
	}
	cm.queue.paced(m.id, m.c.jobs)
	return m.c, nil
}
