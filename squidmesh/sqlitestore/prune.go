package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Prune implements driver.Store.
func (s *Store) Prune(ctx context.Context, tx *sql.Tx, q driver.PruneQuery) (driver.Pruned, error) {
	if q.Count {
		return s.countPrunable(ctx, tx, q)
	}
	var pruned driver.Pruned
	var runs []flow.RunID
	for _, ended := range q.Runs(&pruned) {
		if len(runs) >= q.Limit {
			break
		}
		found, err := query(ctx, tx, scanID, s.sql("EndedRuns"), ended.Status, micros(ended.Before), q.Limit-len(runs))
		if err != nil {
			return driver.Pruned{}, err
		}
		*ended.Count = len(found)
		runs = append(runs, found...)
	}
	var fires [][3]string
	if !q.Fires.IsZero() {
		var err error
		if fires, err = query(ctx, tx, scanFireKey, s.sql("IdleFires"), micros(q.Fires), q.Limit); err != nil {
			return driver.Pruned{}, err
		}
		pruned.Fires = len(fires)
	}
	if err := s.deleteAll(ctx, tx, runs, fires, q.Now); err != nil {
		return driver.Pruned{}, err
	}
	if q.Shapes.IsZero() {
		return pruned, nil
	}
	result, err := tx.ExecContext(ctx, s.sql("DeleteShapes"), micros(q.Shapes))
	if err != nil {
		return driver.Pruned{}, fmt.Errorf("DeleteShapes: %w", err)
	}
	shapes, err := result.RowsAffected()
	pruned.Shapes = int(shapes)
	return pruned, err
}

// deleteAll deletes runs with all that is theirs, and fires.
func (s *Store) deleteAll(ctx context.Context, tx *sql.Tx, runs []flow.RunID, fires [][3]string, now time.Time) error {
	if len(runs)+len(fires) == 0 {
		return nil
	}
	ids, err := list(runs)
	if err != nil {
		return err
	}
	keys, err := list(fires)
	if err != nil {
		return err
	}
	for _, write := range []struct {
		statement string
		args      []any
	}{
		{"DeleteSteps", []any{ids}},
		{"DeleteAttempts", []any{ids}},
		{"DeleteEvents", []any{ids}},
		{"DeleteRunHolds", []any{ids}},
		{"MarkPruned", []any{ids, keys, micros(now)}},
		{"DeleteFires", []any{ids}},
		{"DeleteRuns", []any{ids}},
		{"DeleteIdleFires", []any{keys}},
	} {
		if _, err := tx.ExecContext(ctx, s.sql(write.statement), write.args...); err != nil {
			return fmt.Errorf("%s: %w", write.statement, err)
		}
	}
	return nil
}

func scanFireKey(rows *sql.Rows) (key [3]string, err error) {
	err = rows.Scan(&key[0], &key[1], &key[2])
	return key, err
}

func (s *Store) countPrunable(ctx context.Context, tx *sql.Tx, q driver.PruneQuery) (driver.Pruned, error) {
	var p driver.Pruned
	err := tx.QueryRowContext(ctx, s.sql("CountPrunable"),
		sql.Named("completed", bound(q.Completed, math.MinInt64)), sql.Named("failed", bound(q.Failed, math.MinInt64)),
		sql.Named("cancelled", bound(q.Cancelled, math.MinInt64)), sql.Named("fires", bound(q.Fires, math.MinInt64)),
		sql.Named("shapes", bound(q.Shapes, math.MinInt64)),
	).Scan(&p.Completed, &p.Failed, &p.Cancelled, &p.Fires, &p.Shapes)
	return p, err
}
