package squidmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// untoldBatch is how much of what callers' transactions wrote is taken in one transaction.
const untoldBatch = 500

// untoldAtLeast is how long what callers wrote is left to processes that have an observer, before one that has none throws it away.
const untoldAtLeast = time.Minute

// untold is the beginning of a run's audit, whose last entry is to be told.
type untold struct {
	spec    *Spec
	entries []flow.AuditEntry
}

// tellUntold tells the observer what transactions of callers wrote that have committed since. Each is told by one process, once it has
// taken the note of it: as of the runtime's own commits, one that dies between the two tells nobody.
func (wk *worker[TTx]) tellUntold(ctx context.Context, report driver.WorkerReport) []trouble {
	var troubles []trouble
	before := report.Now
	if wk.config.Observer == nil {
		before = before.Add(-untoldAtLeast)
	}
	for more := report.Untold; more; {
		var found []untold
		err := wk.inTx(ctx, func(ctx context.Context, tx TTx) error {
			keys, err := wk.store.TakeUntold(ctx, tx, before, untoldBatch)
			more = len(keys) == untoldBatch
			if err != nil || wk.config.Observer == nil {
				return err
			}
			found, err = wk.recall(ctx, tx, keys)
			return err
		})
		if err != nil {
			return append(troubles, trouble{what: "tell what callers committed", err: err})
		}
		for _, u := range found {
			o, err := u.observation()
			if err != nil {
				troubles = append(troubles, trouble{what: "tell what callers committed", err: err})
				continue
			}
			wk.teller.tell(ctx, o)
		}
	}
	return troubles
}

// recall reads the audit behind entries. Of a run that has been deleted, or whose shape has, there is nothing to tell.
func (wk *worker[TTx]) recall(ctx context.Context, tx TTx, keys []driver.EntryKey) ([]untold, error) {
	ids := make([]RunID, len(keys))
	for i, key := range keys {
		ids[i] = key.Run
	}
	runs, err := wk.store.Find(ctx, tx, driver.RunQuery{IDs: ids})
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", text.Count(len(ids), "run"), err)
	}
	specs, audits := map[RunID]*Spec{}, map[RunID][]flow.AuditEntry{}
	for _, run := range runs {
		p, err := wk.definitions.pin(ctx, tx, run)
		if errors.Is(err, ErrUnknownShape) {
			continue
		}
		if err != nil {
			return nil, err
		}
		history, err := wk.store.History(ctx, tx, run.ID)
		if err != nil {
			return nil, fmt.Errorf("read history of run %s: %w", run.ID, err)
		}
		specs[run.ID], audits[run.ID] = p.spec, history.Audit
	}
	slices.SortFunc(keys, func(a, b driver.EntryKey) int {
		return cmp.Or(slices.Compare(a.Run[:], b.Run[:]), cmp.Compare(a.Seq, b.Seq))
	})
	var found []untold
	for _, key := range keys {
		if audit := audits[key.Run]; key.Seq <= len(audit) {
			found = append(found, untold{specs[key.Run], audit[:key.Seq]})
		}
	}
	return found, nil
}

// observation is what would have been told after the commit.
func (u untold) observation() (Observation, error) {
	f, last := flow.NewFolding(u.spec), len(u.entries)-1
	for _, e := range u.entries[:last] {
		if err := f.Read(e); err != nil {
			return Observation{}, err
		}
	}
	o := Observation{Before: f.Run.Status, Entry: u.entries[last], Joined: true}
	if row := f.Steps[o.Entry.StepKey]; row.Status == flow.StepPaused {
		o.Measures.Ran = o.Entry.At.Sub(row.StartedAt)
	}
	if err := f.Read(o.Entry); err != nil {
		return Observation{}, err
	}
	o.Run, o.Data = f.Run, f.Data
	return o, nil
}
