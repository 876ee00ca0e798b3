package memstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Lock implements driver.Store. The transaction is the only one that writes, so there is nothing to wait for or to skip.
func (s *Store) Lock(ctx context.Context, tx *Tx, q driver.LockQuery) (driver.Locked, error) {
	if err := tx.usable(ctx); err != nil {
		return driver.Locked{}, err
	}
	locked := driver.Locked{Now: s.now(), Runs: map[flow.RunID]flow.Run{}}
	for _, id := range q.Runs {
		if r := tx.state.runs[id]; r != nil {
			locked.Runs[id] = r.bare()
		}
	}
	if q.Worker != 0 {
		w, known := tx.state.workers[q.Worker]
		locked.WorkerLost = !known || lost(w)
	}
	return locked, nil
}

// Load implements driver.Store.
func (s *Store) Load(ctx context.Context, tx *Tx, reads map[flow.RunID]flow.Reads) (map[flow.RunID]driver.Loaded, error) {
	if err := tx.usable(ctx); err != nil {
		return nil, err
	}
	all := make(map[flow.RunID]driver.Loaded, len(reads))
	for id, wanted := range reads {
		loaded := driver.Loaded{Steps: map[flow.StepKey]flow.StepState{}, Outputs: map[string]json.RawMessage{}}
		if r := tx.state.runs[id]; r != nil {
			r.load(wanted, &loaded)
		}
		all[id] = loaded
	}
	return all, nil
}

func (r *run) load(wanted flow.Reads, loaded *driver.Loaded) {
	for key, step := range r.steps {
		if wanted.All || slices.Contains(wanted.Steps, key) {
			loaded.Steps[key] = step
		}
	}
	for _, name := range wanted.Outputs {
		if output := r.output(name); output != nil {
			loaded.Outputs[name] = output
		}
	}
	if wanted.Payload {
		loaded.Payload = r.row.Payload
	}
}

// Find implements driver.Store.
func (s *Store) Find(ctx context.Context, tx *Tx, q driver.RunQuery) ([]flow.Run, error) {
	if err := tx.usable(ctx); err != nil {
		return nil, err
	}
	var found []flow.Run
	for _, r := range tx.state.runs {
		if !selects(q, r.row) {
			continue
		}
		row := r.row
		if !q.Payload {
			row = r.bare()
		}
		found = append(found, row)
	}
	slices.SortFunc(found, func(a, b flow.Run) int { return compareRuns(b, a.CreatedAt, a.ID) })
	if q.Limit > 0 && len(found) > q.Limit {
		found = found[:q.Limit]
	}
	return found, nil
}

func selects(q driver.RunQuery, row flow.Run) bool {
	return (q.IDs == nil || slices.Contains(q.IDs, row.ID)) &&
		(q.Workflow == "" || q.Workflow == row.Workflow) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, row.Status)) &&
		(q.Key == "" || q.Key == row.Key) &&
		(q.CreatedFrom.IsZero() || !row.CreatedAt.Before(q.CreatedFrom)) &&
		(q.CreatedBefore.IsZero() || row.CreatedAt.Before(q.CreatedBefore)) &&
		(q.After == nil || compareRuns(row, q.After.CreatedAt, q.After.ID) < 0)
}

// History implements driver.Store.
func (s *Store) History(ctx context.Context, tx *Tx, id flow.RunID) (driver.History, error) {
	if err := tx.usable(ctx); err != nil {
		return driver.History{}, err
	}
	r := tx.state.runs[id]
	if r == nil {
		return driver.History{}, nil
	}
	attempts := slices.SortedStableFunc(slices.Values(r.attempts), func(a, b flow.AttemptRecord) int {
		return cmp.Or(a.EndedAt.Compare(b.EndedAt), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Attempt, b.Attempt))
	})
	return driver.History{Attempts: attempts, Audit: slices.Clone(r.audit)}, nil
}

// SaveSpecs implements driver.Store. It always makes the note, as one transaction writes at a time.
func (s *Store) SaveSpecs(ctx context.Context, tx *Tx, specs []*flow.Spec, _ bool) (known bool, err error) {
	if err := tx.writable(ctx); err != nil {
		return false, err
	}
	for _, spec := range specs {
		body, err := encode.JSON(spec)
		if err != nil {
			return false, fmt.Errorf("encode spec %s: %w", spec.Shape(), err)
		}
		if known, ok := tx.state.specs[spec.Shape()]; ok {
			body = known.body
		}
		tx.state.specs[spec.Shape()] = savedSpec{body, time.Now()}
	}
	return false, nil
}

// Specs implements driver.Store.
func (s *Store) Specs(ctx context.Context, tx *Tx, shapes []string) (map[string]*flow.Spec, error) {
	if err := tx.usable(ctx); err != nil {
		return nil, err
	}
	found := map[string]*flow.Spec{}
	for _, shape := range shapes {
		body := tx.state.specs[shape].body
		if body == nil {
			continue
		}
		spec := &flow.Spec{}
		if err := json.Unmarshal(body, spec); err != nil {
			return nil, fmt.Errorf("decode spec %s: %w", shape, err)
		}
		found[shape] = spec
	}
	return found, nil
}
