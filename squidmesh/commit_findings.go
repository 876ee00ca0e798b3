package squidmesh

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// commitFound commits what a tick found out about runs, many in one transaction: each transaction costs several round trips, which thousands of rows
// could not afford one by one where the database is far away. A few go side by side, so that one is at work while another one waits for the
// network. A run that somebody holds is left to whoever moves it, or to a later tick. The error of a member that failed is noted on it.
func (cm *committer[TTx]) commitFound(ctx context.Context, what string, members []*member) tended {
	cm.tendBatches(ctx, batches(members))
	var t tended
	for _, m := range members {
		switch {
		case m.err != nil:
			t.troubles = append(t.troubles, trouble{what, m.about(), m.err})
		case !m.c.Empty():
			t.done++
		}
	}
	return t
}

// tended is what came of what a tick found.
type tended struct {
	done     int  // how much of it is off the list for good
	full     bool // the list may go on, where the report does not show it
	troubles []trouble
}

// batches are members by the batch. Those of one run go together: side by side one would find the run held by the other.
func batches(members []*member) [][]*member {
	var all [][]*member
	of := map[RunID]int{}
	for _, m := range members {
		i, ok := of[m.id]
		if !ok {
			if len(all) == 0 || len(all[len(all)-1]) >= maxBatch {
				all = append(all, nil)
			}
			i = len(all) - 1
			of[m.id] = i
		}
		all[i] = append(all[i], m)
	}
	return all
}

// tendBatches commits batches, beside each other where there is room. It waits for all, also when an executor ends its goroutine.
func (cm *committer[TTx]) tendBatches(ctx context.Context, all [][]*member) {
	var beside sync.WaitGroup
	defer beside.Wait()
	for _, batch := range all {
		select {
		case cm.beside <- struct{}{}:
			beside.Go(func() {
				defer func() { <-cm.beside }()
				cm.commitFoundBatch(ctx, batch)
			})
		default:
			cm.commitFoundBatch(ctx, batch)
		}
	}
}

// commitFoundBatch commits members in one transaction. If that fails each half has its own, down to a member that goes alone, so that one bad member
// fails no other and costs the rest little.
func (cm *committer[TTx]) commitFoundBatch(ctx context.Context, batch []*member) {
	for _, m := range batch {
		m.ctx, m.asked = ctx, time.Now()
	}
	if len(batch) == 1 {
		_, batch[0].err = cm.commitAlone(ctx, batch[0])
		return
	}
	var w *batchWrite
	err := cm.inTime(ctx, func(ctx context.Context) error {
		return cm.ownTx(ctx, func(ctx context.Context, tx TTx) (err error) {
			w, err = cm.write(ctx, tx, batch, false, cm.enqueue)
			faultAt(batch, "before_commit")
			return err
		})
	})
	switch {
	case err == nil:
		faultAt(batch, "after_commit")
		cm.settle(w)
		return
	case errors.Is(err, ErrCommitUnknown):
		batch = cm.unresolved(ctx, batch, err)
	}
	for _, m := range batch {
		m.c, m.err, m.own = committed{}, nil, nil
	}
	for half := range slices.Chunk(batch, max(1, (len(batch)+1)/2)) {
		cm.commitFoundBatch(ctx, half)
	}
}

// unresolved are those members of a batch whose COMMIT broke that must be committed again.
func (cm *committer[TTx]) unresolved(ctx context.Context, batch []*member, unknown error) []*member {
	var again []*member
	for _, m := range batch {
		if m.own != nil || m.err != nil {
			continue // it was not part of it
		}
		if m.own = unknown; cm.resolve(ctx, m) {
			again = append(again, m)
		}
	}
	return again
}
