package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Triggers implements driver.Store. A transaction that writes is the only one, so there is nothing to lock or to leave out.
func (s *Store) Triggers(ctx context.Context, tx *Tx, q driver.TriggerQuery) ([]flow.TriggerState, error) {
	if err := tx.usable(ctx); err != nil {
		return nil, err
	}
	var rows []flow.TriggerState
	for key, t := range tx.state.triggers {
		switch {
		case q.Keys != nil && !slices.Contains(q.Keys, key), q.Keys == nil && q.Workflow != "" && q.Workflow != key.Workflow:
		case !q.DueBy.IsZero() && !due(t, q.DueBy):
		default:
			rows = append(rows, t)
		}
	}
	slices.SortFunc(rows, func(a, b flow.TriggerState) int {
		byKey := cmp.Or(cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Trigger, b.Trigger))
		if q.DueBy.IsZero() {
			return byKey
		}
		return cmp.Or(a.NextAt.Compare(b.NextAt), byKey)
	})
	if !q.DueBy.IsZero() {
		rows = capped(rows, q.Limit)
	}
	return rows, nil
}

// due reports whether a trigger has a window that is to be fired.
func due(t flow.TriggerState, now time.Time) bool {
	return !t.Paused && !t.NextAt.IsZero() && !t.NextAt.After(now)
}

// late reports whether a fire is to be looked after.
func late(f flow.Fire, now time.Time) bool { return !f.LookAt.IsZero() && !f.LookAt.After(now) }

// Fires implements driver.Store.
func (s *Store) Fires(ctx context.Context, tx *Tx, q driver.FireQuery) ([]flow.Fire, error) {
	if err := tx.usable(ctx); err != nil {
		return nil, err
	}
	var all []flow.Fire
	for _, key := range q.Keys {
		var fires []flow.Fire
		for _, f := range tx.state.fires[key] {
			if q.Commented && (f.Comment == "" || f.Key <= q.After) {
				continue
			}
			if q.SignalID != "" && f.SignalID != q.SignalID || !q.LookBy.IsZero() && !late(f, q.LookBy) {
				continue
			}
			if r := tx.state.runs[f.RunID]; r != nil {
				f.RunStatus = r.row.Status
			}
			fires = append(fires, f)
		}
		if !q.Ahead.IsZero() {
			fires = ahead(fires, q.Ahead)
		}
		if q.Newest > 0 {
			slices.SortFunc(fires, func(a, b flow.Fire) int {
				return cmp.Or(b.WindowAt.Compare(a.WindowAt), cmp.Compare(b.Key, a.Key))
			})
			fires = capped(fires, q.Newest)
		}
		if q.Commented {
			slices.SortFunc(fires, func(a, b flow.Fire) int { return cmp.Compare(a.Key, b.Key) })
			fires = capped(fires, q.Limit)
		}
		all = append(all, fires...)
	}
	if !q.LookBy.IsZero() {
		slices.SortFunc(all, func(a, b flow.Fire) int {
			return cmp.Or(a.LookAt.Compare(b.LookAt), a.WindowAt.Compare(b.WindowAt), cmp.Compare(a.Key, b.Key))
		})
		all = capped(all, q.Limit)
	}
	return all, nil
}

// ahead picks a fire whose run has not ended, and one that is queued for a window before that time.
func ahead(fires []flow.Fire, window time.Time) []flow.Fire {
	var picked []flow.Fire
	for _, is := range []func(f flow.Fire) bool{
		func(f flow.Fire) bool { return f.RunStatus != "" && !f.RunStatus.Terminal() },
		func(f flow.Fire) bool { return f.State == flow.FireQueued && f.WindowAt.Before(window) },
	} {
		if i := slices.IndexFunc(fires, is); i >= 0 {
			picked = append(picked, fires[i])
		}
	}
	return picked
}

// SaveCron implements driver.Store.
func (s *Store) SaveCron(ctx context.Context, tx *Tx, c driver.CronChange) ([]flow.Fire, error) {
	if err := tx.writable(ctx); err != nil {
		return nil, err
	}
	triggers := tx.state.triggers
	for _, t := range c.Register {
		if _, known := triggers[t.TriggerKey]; !known {
			t.NextAt = micros(t.NextAt)
			triggers[t.TriggerKey] = t
		}
	}
	for _, t := range c.Defined {
		if row, known := triggers[t.TriggerKey]; known {
			row.Expression, row.TimeZone, row.NextAt = t.Expression, t.TimeZone, micros(t.NextAt)
			row.Missed, row.CatchUp, row.Overlap = t.Missed, t.CatchUp, t.Overlap
			triggers[t.TriggerKey] = row
		}
	}
	for _, t := range c.Triggers {
		if row, known := triggers[t.TriggerKey]; known {
			row.NextAt = micros(t.NextAt)
			triggers[t.TriggerKey] = row
		}
	}
	for _, t := range c.Operated {
		if row, known := triggers[t.TriggerKey]; known {
			row.NextAt, row.Paused, row.ChangedAt = micros(t.NextAt), t.Paused, micros(t.ChangedAt)
			row.Actor, row.Comment = t.Actor, t.Comment
			triggers[t.TriggerKey] = row
		}
	}
	var inserted []flow.Fire
	for _, f := range c.NewFires {
		if tx.state.fired(f) {
			continue
		}
		tx.state.saveFire(f)
		inserted = append(inserted, f)
	}
	for _, f := range c.Fires {
		if row, known := tx.state.fires[f.TriggerKey][f.Key]; known {
			row.State, row.Reason, row.RunID, row.LookAt, row.Sent, row.JobID = f.State, f.Reason, f.RunID, f.LookAt, f.Sent, f.JobID
			tx.state.saveFire(row)
		}
	}
	return inserted, nil
}

// fired reports whether the window of a fire, or its signal, has been fired.
func (s *state) fired(f flow.Fire) bool {
	for _, other := range s.fires[f.TriggerKey] {
		if other.Key == f.Key || other.SignalID == f.SignalID {
			return true
		}
	}
	return false
}

func (s *state) saveFire(f flow.Fire) {
	f.WindowAt, f.WindowEnd, f.FiredAt, f.LookAt = micros(f.WindowAt), micros(f.WindowEnd), micros(f.FiredAt), micros(f.LookAt)
	f.RunStatus = ""
	fires := cloned(s.fires[f.TriggerKey])
	fires[f.Key] = f
	s.fires[f.TriggerKey] = fires
}

// cronDue says for a tick whether something is due.
func (s *state) cronDue(keys []flow.TriggerKey, report *driver.WorkerReport) {
	for _, key := range keys {
		if t, known := s.triggers[key]; known && due(t, report.Now) {
			report.TriggersDue = true
		}
		for _, f := range s.fires[key] {
			report.FiresDue = report.FiresDue || late(f, report.Now)
		}
	}
}
