package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// InsertRun implements driver.Store. It waits for nobody: there is one writer, so a run that has the place is committed.
func (s *Store) InsertRun(ctx context.Context, tx *Tx, row flow.Run) (*flow.Run, error) {
	if err := tx.writable(ctx); err != nil {
		return nil, err
	}
	if id, taken := tx.state.keys[runKey{row.Workflow, row.Key}]; taken {
		existing := tx.state.runs[id].bare()
		return &existing, nil
	}
	if taken := tx.state.runs[row.ID]; taken != nil {
		existing := taken.bare()
		return &existing, nil
	}
	tx.state.insert(row)
	return nil, nil
}

// FreeKey implements driver.Store.
func (s *Store) FreeKey(ctx context.Context, tx *Tx, id flow.RunID) error {
	if err := tx.writable(ctx); err != nil {
		return err
	}
	if r := tx.state.runs[id]; r != nil && (r.row.Status == flow.RunFailed || r.row.Status == flow.RunCancelled) {
		tx.state.freeKey(r.row)
	}
	return nil
}

// Apply implements driver.Store. A missing row, or a version that does not rise, is an error.
func (s *Store) Apply(ctx context.Context, tx *Tx, ts []flow.Transition) error {
	if err := tx.writable(ctx); err != nil {
		return err
	}
	for _, t := range ts {
		if t.NewRun && tx.state.runs[t.Run.ID] == nil { // else InsertRun has inserted it
			tx.state.insert(t.Run)
		}
		if !t.Empty() {
			if err := tx.state.change(t); err != nil {
				return fmt.Errorf("run %s: %w", t.Run.ID, err)
			}
		}
		if t.Untold {
			for _, e := range t.Audit {
				tx.state.untold[driver.EntryKey{Run: e.Run, Seq: e.Seq}] = micros(e.At)
			}
		}
		for _, h := range t.Unheld {
			delete(tx.state.holds, h)
		}
		for _, h := range t.Held {
			tx.state.holds[h] = true
		}
	}
	return nil
}

// change writes a transition's rows.
func (s *state) change(t flow.Transition) error {
	r := s.edit(t.Run.ID)
	switch {
	case r == nil:
		return fmt.Errorf("there is no such run")
	case !t.NewRun && t.Run.Version <= r.row.Version:
		return fmt.Errorf("version %d is not newer than %d", t.Run.Version, r.row.Version)
	case !t.NewRun:
		r.row = mutable(r.row, t.Run)
	}
	for _, c := range t.Steps {
		if _, exists := r.steps[c.StepKey]; exists == c.New {
			return fmt.Errorf("%s of step %s exists: %t", c.Phase, c.Name, exists)
		}
		c.DueAt, c.DeadlineAt, c.StartedAt, c.FinishedAt = micros(c.DueAt), micros(c.DeadlineAt), micros(c.StartedAt), micros(c.FinishedAt)
		r.steps[c.StepKey] = c.StepState
	}
	for _, a := range t.Attempts {
		if slices.ContainsFunc(r.attempts, func(o flow.AttemptRecord) bool { return o.StepKey == a.StepKey && o.Attempt == a.Attempt }) {
			return fmt.Errorf("attempt %d of step %s is recorded", a.Attempt, a.Name)
		}
		a.StartedAt, a.EndedAt = micros(a.StartedAt), micros(a.EndedAt)
		r.attempts = append(r.attempts, a)
	}
	for _, e := range t.Audit {
		place, taken := slices.BinarySearchFunc(r.audit, e.Seq, func(o flow.AuditEntry, seq int) int { return cmp.Compare(o.Seq, seq) })
		if taken {
			return fmt.Errorf("audit entry %d exists", e.Seq)
		}
		e.At = micros(e.At)
		r.audit = slices.Insert(r.audit, place, e)
	}
	return nil
}

// mutable is the new row, but for what only the insert writes.
func mutable(old, row flow.Run) flow.Run {
	row.ID, row.Workflow, row.Trigger, row.Shape, row.Key, row.KeyHash = old.ID, old.Workflow, old.Trigger, old.Shape, old.Key, old.KeyHash
	row.WindowAt, row.WindowEnd, row.ReceivedAt = old.WindowAt, old.WindowEnd, old.ReceivedAt
	row.SignalID, row.ReplayedFrom = old.SignalID, old.ReplayedFrom
	row.Payload, row.CreatedAt = old.Payload, old.CreatedAt
	return normal(row)
}
