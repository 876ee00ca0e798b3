package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Unsealed implements driver.Store. Sealed values are told by how they begin, so that the server need not read the rest.
func (s *Store) Unsealed(ctx context.Context, tx pgx.Tx, q driver.UnsealedQuery) (driver.UnsealedPage, error) {
	page, seen := driver.UnsealedPage{Last: q.After}, 0
	batch := &indexed{}
	batch.add(s.sql("Unsealed"), pgtype.UUID{Bytes: q.After, Valid: true}, q.Limit, q.Plain, q.Prefixes()).Query(func(rows pgx.Rows) error {
		var unsealed bool
		_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&page.Last), &unsealed}, func() error {
			if seen++; unsealed {
				page.Runs = append(page.Runs, page.Last)
			}
			return nil
		})
		return err
	})
	err := batch.send(ctx, tx)
	page.More = seen == q.Limit
	return page, err
}

// SaveSealed implements driver.Store in one round trip.
func (s *Store) SaveSealed(ctx context.Context, tx pgx.Tx, v driver.SealedValues) error {
	batch := &indexed{}
	queue(batch, s.sql("SealRuns"), v.Runs, func(runs []flow.Run) []any {
		type row = flow.Run
		return []any{
			column(runs, func(r *row) pgtype.UUID { return id(r.ID) }),
			column(runs, func(r *row) pgtype.Text { return document(r.Payload) }),
			column(runs, func(r *row) string { return r.KeyHash }),
			column(runs, func(r *row) pgtype.Text { return failure(r.Reason) }),
		}
	})
	queue(batch, s.sql("SealAttempts"), v.Attempts, func(attempts []flow.AttemptRecord) []any {
		type row = flow.AttemptRecord
		return []any{
			column(attempts, func(r *row) pgtype.UUID { return id(r.Run) }),
			column(attempts, func(r *row) string { return r.Name }),
			column(attempts, func(r *row) string { return string(r.Phase) }),
			column(attempts, func(r *row) int { return r.Attempt }),
			column(attempts, func(r *row) pgtype.Text { return failure(r.Error) }),
		}
	})
	queue(batch, s.sql("SealEvents"), v.Audit, func(entries []flow.AuditEntry) []any {
		type row = flow.AuditEntry
		return []any{
			column(entries, func(r *row) pgtype.UUID { return id(r.Run) }),
			column(entries, func(r *row) int { return r.Seq }),
			column(entries, func(r *row) pgtype.Text { return document(r.Data) }),
			column(entries, func(r *row) pgtype.Text { return document(r.Output) }),
		}
	})
	queue(batch, s.sql("SealTriggers"), v.Triggers, func(triggers []flow.TriggerState) []any {
		type row = flow.TriggerState
		return []any{
			column(triggers, func(r *row) string { return r.Workflow }), column(triggers, func(r *row) string { return r.Trigger }),
			column(triggers, func(r *row) string { return r.Comment }),
		}
	})
	queue(batch, s.sql("SealFires"), v.Fires, func(fires []flow.Fire) []any {
		type row = flow.Fire
		return []any{
			column(fires, func(r *row) string { return r.Workflow }), column(fires, func(r *row) string { return r.Trigger }),
			column(fires, func(r *row) string { return r.Key }), column(fires, func(r *row) string { return r.Comment }),
		}
	})
	return batch.send(ctx, tx)
}
