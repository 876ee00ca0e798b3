package squidmesh

import "context"

// writeTx writes one member within the caller's transaction. What it read is not carried: the caller may roll back.
func (cm *committer[TTx]) writeTx(ctx context.Context, tx TTx, m *member) (committed, error) {
	m.joined = true
	if _, err := cm.write(ctx, tx, []*member{m}, true, cm.enqueue); err != nil {
		err = cm.argument(m, err)
		return committed{}, cm.joinError(err)
	}
	if m.err != nil {
		return committed{}, m.err
	}
	for _, job := range m.c.jobs {
		cm.queue.waker.wakeAfterCallersCommit(job.Queue)
	}
	cm.queue.paced(m.id, m.c.jobs)
	return m.c, nil
}
