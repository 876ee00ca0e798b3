package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// InsertRun implements driver.Store.
func (s *Store) InsertRun(ctx context.Context, tx *sql.Tx, run flow.Run) (*flow.Run, error) {
	result, err := tx.ExecContext(ctx, s.sql("InsertRun"), startRow(run)...)
	if err != nil {
		return nil, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return nil, err
	}
	taken, err := query(ctx, tx, scanRun, s.sql("Taken"), run.ID, run.Workflow, run.Key)
	if err != nil {
		return nil, fmt.Errorf("read the run in the place of %s: %w", run.ID, err)
	}
	return &taken[0], nil
}

// FreeKey implements driver.Store.
func (s *Store) FreeKey(ctx context.Context, tx *sql.Tx, run flow.RunID) error {
	_, err := tx.ExecContext(ctx, s.sql("FreeKey"), run)
	return err
}

// Find implements driver.Store.
func (s *Store) Find(ctx context.Context, tx *sql.Tx, q driver.RunQuery) ([]flow.Run, error) {
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
	wanted, err := list(statuses)
	if err != nil {
		return nil, err
	}
	args := []any{
		sql.Named("statuses", wanted), sql.Named("workflow", q.Workflow), sql.Named("key", q.Key), sql.Named("payload", q.Payload),
		sql.Named("from", bound(q.CreatedFrom, math.MinInt64)), sql.Named("before", bound(q.CreatedBefore, math.MaxInt64)),
	}
	ids, err := list(q.IDs)
	if err != nil {
		return nil, err
	}
	cursor, last := int64(math.MaxInt64), uuid.Max
	if q.After != nil {
		cursor, last = micros(q.After.CreatedAt), q.After.ID
	}
	limit := q.Limit
	if limit == 0 {
		limit = -1 // none
	}
	args = append(args, sql.Named("ids", ids), sql.Named("cursor_at", cursor), sql.Named("cursor_id", last), sql.Named("limit", limit))
	return query(ctx, tx, scanRun, s.sql(statement), args...)
}

// bound is a time, or the extreme that stands for none.
func bound(t time.Time, none int64) int64 {
	if t.IsZero() {
		return none
	}
	return micros(t)
}
