package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// InsertRun implements driver.Store.
func (s *Store) InsertRun(ctx context.Context, tx pgx.Tx, run flow.Run) (*flow.Run, error) {
	for {
		tag, err := tx.Exec(ctx, s.sql("InsertRun"),
			id(run.ID), run.Workflow, run.Trigger, run.Shape, run.Key, run.KeyHash, stamp(run.WindowAt), stamp(run.WindowEnd),
			stamp(run.ReceivedAt), run.SignalID, id(run.ReplayedFrom), document(run.Payload), stamp(run.CreatedAt),
			string(run.Status), string(run.Verdict), run.Compensate, run.Version, run.Seq, stamp(run.LastAt), run.Open, run.Retrying,
			failure(run.Reason), stamp(run.FinishedAt))
		if err != nil || tag.RowsAffected() == 1 {
			return nil, err
		}
		rows, err := tx.Query(ctx, s.sql("Taken"), id(run.ID), run.Workflow, run.Key)
		if err != nil {
			return nil, err
		}
		taken, err := pgx.CollectExactlyOneRow(rows, scanRun)
		if errors.Is(err, pgx.ErrNoRows) {
			continue // deleted in between, so its place is free again
		}
		if err != nil {
			return nil, fmt.Errorf("read the run in the place of %s: %w", run.ID, err)
		}
		return &taken, nil
	}
}

// FreeKey implements driver.Store.
func (s *Store) FreeKey(ctx context.Context, tx pgx.Tx, run flow.RunID) error {
	_, err := tx.Exec(ctx, s.sql("FreeKey"), id(run))
	return err
}

// Find implements driver.Store.
func (s *Store) Find(ctx context.Context, tx pgx.Tx, q driver.RunQuery) ([]flow.Run, error) {
	statement := "FindByStatus"
	switch {
	case q.IDs != nil:
		statement = "FindByID"
	case q.Workflow != "" && q.Key != "":
		statement = "FindByKey"
	case q.Workflow != "":
		statement = "FindByWorkflow"
	}
	statuses := q.Statuses
	if len(statuses) == 0 {
		statuses = flow.RunStatuses
	}
	cursor, last := open(time.Time{}, pgtype.Infinity), uuid.Max
	if q.After != nil {
		cursor, last = stamp(q.After.CreatedAt), q.After.ID
	}
	rows, err := tx.Query(ctx, s.sql(statement), pgx.NamedArgs{
		"ids": uuids(q.IDs), "workflow": q.Workflow, "key": q.Key, "payload": q.Payload, "limit": q.Limit,
		"statuses":  column(statuses, func(s *flow.RunStatus) string { return string(*s) }),
		"from":      open(q.CreatedFrom, pgtype.NegativeInfinity),
		"before":    open(q.CreatedBefore, pgtype.Infinity),
		"cursor_at": cursor, "cursor_id": pgtype.UUID{Bytes: last, Valid: true},
	})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRun)
}

// open is a bound, or the infinity that stands for none.
func open(t time.Time, none pgtype.InfinityModifier) pgtype.Timestamptz {
	if t.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: none, Valid: true}
	}
	return stamp(t)
}
