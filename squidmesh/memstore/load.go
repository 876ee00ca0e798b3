package memstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Lock implements squidmesh.Store. The transaction is the only one that writes, so there is nothing to wait for or to skip.
func (s *Store) Lock(ctx context.Context, tx *Tx, q squidmesh.LockQuery) (squidmesh.Locked, error) {
	if err := tx.usable(ctx); err != nil {
		return squidmesh.Locked{}, err
	}
	locked := squidmesh.Locked{Now: s.now(), Runs: map[squidmesh.RunID]squidmesh.Run{}}
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

// Load implements squidmesh.Store.
func (s *Store) Load(ctx context.Context, tx *Tx, reads map[squidmesh.RunID]squidmesh.Reads) (map[squidmesh.RunID]squidmesh.Loaded, error) {
	if err := tx.usable(ctx); err != nil {
		return nil, err
	}
	all := make(map[squidmesh.RunID]squidmesh.Loaded, len(reads))
	for id, wanted := range reads {
		loaded := squidmesh.Loaded{Steps: map[squidmesh.StepKey]squidmesh.StepState{}, Outputs: map[string]json.RawMessage{}}
		if r := tx.state.runs[id]; r != nil {
			r.load(wanted, &loaded)
		}
		all[id] = loaded
	}
	return all, nil
}

func (r *run) load(wanted squidmesh.Reads, loaded *squidmesh.Loaded) {
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

// Find implements squidmesh.Store.
func (s *Store) Find(ctx context.Context, tx *Tx, q squidmesh.RunQuery) ([]squidmesh.Run, error) {
	if err := tx.usable(ctx); err != nil {
		return nil, err
	}
	var found []squidmesh.Run
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
	slices.SortFunc(found, func(a, b squidmesh.Run) int { return compareRuns(b, a.CreatedAt, a.ID) })
	if q.Limit > 0 && len(found) > q.Limit {
		found = found[:q.Limit]
	}
	return found, nil
}

func selects(q squidmesh.RunQuery, row squidmesh.Run) bool {
	return (q.IDs == nil || slices.Contains(q.IDs, row.ID)) &&
		(q.Workflow == "" || q.Workflow == row.Workflow) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, row.Status)) &&
		(q.Key == "" || q.Key == row.Key) &&
		(q.CreatedFrom.IsZero() || !row.CreatedAt.Before(q.CreatedFrom)) &&
		(q.CreatedBefore.IsZero() || row.CreatedAt.Before(q.CreatedBefore)) &&
		(q.After == nil || compareRuns(row, q.After.CreatedAt, q.After.ID) < 0)
}

// History implements squidmesh.Store.
func (s *Store) History(ctx context.Context, tx *Tx, id squidmesh.RunID) (squidmesh.History, error) {
	if err := tx.usable(ctx); err != nil {
		return squidmesh.History{}, err
	}
	r := tx.state.runs[id]
	if r == nil {
		return squidmesh.History{}, nil
	}
	attempts := slices.SortedStableFunc(slices.Values(r.attempts), func(a, b squidmesh.AttemptRecord) int {
		return cmp.Or(a.EndedAt.Compare(b.EndedAt), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Attempt, b.Attempt))
	})
	return squidmesh.History{Attempts: attempts, Audit: slices.Clone(r.audit)}, nil
}

// SaveSpecs implements squidmesh.Store. It notes whether or not it is asked to: one transaction writes at a time.
func (s *Store) SaveSpecs(ctx context.Context, tx *Tx, specs []*squidmesh.Spec, _ bool) (known bool, err error) {
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

// Specs implements squidmesh.Store.
func (s *Store) Specs(ctx context.Context, tx *Tx, shapes []string) (map[string]*squidmesh.Spec, error) {
	if err := tx.usable(ctx); err != nil {
		return nil, err
	}
	found := map[string]*squidmesh.Spec{}
	for _, shape := range shapes {
		body := tx.state.specs[shape].body
		if body == nil {
			continue
		}
		spec := &squidmesh.Spec{}
		if err := json.Unmarshal(body, spec); err != nil {
			return nil, fmt.Errorf("decode spec %s: %w", shape, err)
		}
		found[shape] = spec
	}
	return found, nil
}
