package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Prune implements driver.Store.
func (s *Store) Prune(ctx context.Context, tx *Tx, q driver.PruneQuery) (driver.Pruned, error) {
	if q.Count {
		if err := tx.usable(ctx); err != nil {
			return driver.Pruned{}, err
		}
		return tx.state.clone().prune(q), nil
	}
	if err := tx.writable(ctx); err != nil {
		return driver.Pruned{}, err
	}
	return tx.state.prune(q), nil
}

// prune deletes what is too old. A query that only counts has no limit.
func (s *state) prune(q driver.PruneQuery) driver.Pruned {
	var pruned driver.Pruned
	left := q.Limit
	for _, ended := range q.Runs(&pruned) {
		rows := s.endedRuns(ended.Status, ended.Before)
		if !q.Count {
			rows = capped(rows, left)
		}
		for _, row := range rows {
			s.deleteRun(row, q.Now)
		}
		*ended.Count = len(rows)
		left -= len(rows)
	}
	fires := s.idleFires(q.Fires)
	if !q.Count {
		fires = capped(fires, q.Limit)
	}
	for _, f := range fires {
		s.deleteFire(f, q.Now)
	}
	pruned.Fires = len(fires)
	for shape, spec := range s.specs {
		if spec.usedAt.Before(q.Shapes) && !s.needs(shape) {
			delete(s.specs, shape)
			pruned.Shapes++
		}
	}
	return pruned
}

// endedRuns are the runs of a status that ended before a time, the longest ended first.
func (s *state) endedRuns(status flow.RunStatus, before time.Time) []flow.Run {
	var rows []flow.Run
	for _, r := range s.runs {
		if r.row.Status == status && !r.row.FinishedAt.IsZero() && r.row.FinishedAt.Before(before) {
			rows = append(rows, r.row)
		}
	}
	slices.SortFunc(rows, func(a, b flow.Run) int { return a.FinishedAt.Compare(b.FinishedAt) })
	return rows
}

// idleFires are the fires that started no run and were fired before a time, the oldest first.
func (s *state) idleFires(before time.Time) []flow.Fire {
	var fires []flow.Fire
	for _, byKey := range s.fires {
		for _, f := range byKey {
			if (f.State == flow.FireSkipped || f.State == flow.FireRefused) && f.FiredAt.Before(before) {
				fires = append(fires, f)
			}
		}
	}
	slices.SortFunc(fires, func(a, b flow.Fire) int { return a.FiredAt.Compare(b.FiredAt) })
	return fires
}

// deleteRun deletes a run with its holds and its fire.
func (s *state) deleteRun(row flow.Run, now time.Time) {
	for h := range s.holds {
		if h.Run == row.ID {
			delete(s.holds, h)
		}
	}
	key := flow.TriggerKey{Workflow: row.Workflow, Trigger: row.Trigger}
	s.markPruned(key, row.WindowAt, now)
	for _, f := range s.fires[key] {
		if f.RunID == row.ID {
			s.deleteFire(f, now)
		}
	}
	delete(s.runs, row.ID)
	s.freeKey(row)
}

func (s *state) deleteFire(f flow.Fire, now time.Time) {
	s.markPruned(f.TriggerKey, f.WindowAt, now)
	fires := cloned(s.fires[f.TriggerKey])
	delete(fires, f.Key)
	s.fires[f.TriggerKey] = fires
}

// markPruned notes how far the windows of a trigger have gone, of those that have begun.
func (s *state) markPruned(key flow.TriggerKey, window, now time.Time) {
	if t, known := s.triggers[key]; known && window.After(t.PrunedTo) && !window.After(now) {
		t.PrunedTo = window
		s.triggers[key] = t
	}
}

// needs reports whether a run or a living worker has a shape.
func (s *state) needs(shape string) bool {
	for _, r := range s.runs {
		if r.row.Shape == shape {
			return true
		}
	}
	for _, w := range s.workers {
		if !lost(w) && slices.Contains(w.Shapes, shape) {
			return true
		}
	}
	return false
}
