package memstore

import (
	"context"
	"slices"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Unsealed implements driver.Store.
func (s *Store) Unsealed(ctx context.Context, tx *Tx, q driver.UnsealedQuery) (driver.UnsealedPage, error) {
	if err := tx.usable(ctx); err != nil {
		return driver.UnsealedPage{}, err
	}
	page := driver.UnsealedPage{Last: q.After}
	var behind []flow.RunID
	for id := range tx.state.runs {
		if slices.Compare(id[:], q.After[:]) > 0 {
			behind = append(behind, id)
		}
	}
	slices.SortFunc(behind, func(a, b flow.RunID) int { return slices.Compare(a[:], b[:]) })
	page.More = len(behind) >= q.Limit
	for _, id := range capped(behind, q.Limit) {
		r := tx.state.runs[id]
		if q.Selects(r.row, driver.History{Attempts: r.attempts, Audit: r.audit}) {
			page.Runs = append(page.Runs, id)
		}
		page.Last = id
	}
	return page, nil
}

// SaveSealed implements driver.Store.
func (s *Store) SaveSealed(ctx context.Context, tx *Tx, v driver.SealedValues) error {
	if err := tx.writable(ctx); err != nil {
		return err
	}
	for _, row := range v.Runs {
		if r := tx.state.edit(row.ID); r != nil {
			r.row.Payload, r.row.KeyHash, r.row.Reason = row.Payload, row.KeyHash, row.Reason
		}
	}
	for _, a := range v.Attempts {
		if r := tx.state.edit(a.Run); r != nil {
			for i := range r.attempts {
				if r.attempts[i].StepKey == a.StepKey && r.attempts[i].Attempt == a.Attempt {
					r.attempts[i].Error = a.Error
				}
			}
		}
	}
	for _, e := range v.Audit {
		if r := tx.state.edit(e.Run); r != nil {
			for i := range r.audit {
				if r.audit[i].Seq == e.Seq {
					r.audit[i].Data, r.audit[i].Output = e.Data, e.Output
				}
			}
		}
	}
	for _, t := range v.Triggers {
		if row, known := tx.state.triggers[t.TriggerKey]; known {
			row.Comment = t.Comment
			tx.state.triggers[t.TriggerKey] = row
		}
	}
	for _, f := range v.Fires {
		if row, known := tx.state.fires[f.TriggerKey][f.Key]; known {
			row.Comment = f.Comment
			tx.state.saveFire(row)
		}
	}
	return nil
}
