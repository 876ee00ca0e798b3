package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Unsealed implements squidmesh.Store. Sealed values are told by how they begin, so that the server need not read the rest.
func (s *Store) Unsealed(ctx context.Context, tx pgx.Tx, q squidmesh.UnsealedQuery) (squidmesh.UnsealedPage, error) {
	page, seen := squidmesh.UnsealedPage{Last: q.After}, 0
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

// SaveSealed implements squidmesh.Store in one round trip.
func (s *Store) SaveSealed(ctx context.Context, tx pgx.Tx, v squidmesh.SealedValues) error {
	batch := &indexed{}
	queue(batch, s.sql("SealRuns"), v.Runs, func(runs []squidmesh.Run) []any {
		type row = squidmesh.Run
		return []any{
			column(runs, func(r *row) pgtype.UUID { return id(r.ID) }),
			column(runs, func(r *row) pgtype.Text { return document(r.Payload) }),
			column(runs, func(r *row) string { return r.KeyHash }),
			column(runs, func(r *row) pgtype.Text { return failure(r.Reason) }),
		}
	})
	queue(batch, s.sql("SealAttempts"), v.Attempts, func(attempts []squidmesh.AttemptRecord) []any {
		type row = squidmesh.AttemptRecord
		return []any{
			column(attempts, func(r *row) pgtype.UUID { return id(r.Run) }),
			column(attempts, func(r *row) string { return r.Name }),
			column(attempts, func(r *row) string { return string(r.Phase) }),
			column(attempts, func(r *row) int { return r.Attempt }),
			column(attempts, func(r *row) pgtype.Text { return failure(r.Error) }),
		}
	})
	queue(batch, s.sql("SealEvents"), v.Audit, func(entries []squidmesh.AuditEntry) []any {
		type row = squidmesh.AuditEntry
		return []any{
			column(entries, func(r *row) pgtype.UUID { return id(r.Run) }),
			column(entries, func(r *row) int { return r.Seq }),
			column(entries, func(r *row) pgtype.Text { return document(r.Data) }),
			column(entries, func(r *row) pgtype.Text { return document(r.Output) }),
		}
	})
	queue(batch, s.sql("SealTriggers"), v.Triggers, func(triggers []squidmesh.TriggerState) []any {
		type row = squidmesh.TriggerState
		return []any{
			column(triggers, func(r *row) string { return r.Workflow }), column(triggers, func(r *row) string { return r.Trigger }),
			column(triggers, func(r *row) string { return r.Comment }),
		}
	})
	queue(batch, s.sql("SealFires"), v.Fires, func(fires []squidmesh.Fire) []any {
		type row = squidmesh.Fire
		return []any{
			column(fires, func(r *row) string { return r.Workflow }), column(fires, func(r *row) string { return r.Trigger }),
			column(fires, func(r *row) string { return r.Key }), column(fires, func(r *row) string { return r.Comment }),
		}
	})
	return batch.send(ctx, tx)
}
