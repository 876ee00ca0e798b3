package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Prune implements driver.Store.
func (s *Store) Prune(ctx context.Context, tx pgx.Tx, q driver.PruneQuery) (driver.Pruned, error) {
	if q.Count {
		return s.countPrunable(ctx, tx, q)
	}
	var pruned driver.Pruned
	var runs []flow.RunID
	for _, ended := range q.Runs(&pruned) {
		if len(runs) >= q.Limit {
			break
		}
		found, err := s.endedRuns(ctx, tx, ended.Status, ended.Before, q.Limit-len(runs))
		if err != nil {
			return driver.Pruned{}, err
		}
		*ended.Count = len(found)
		runs = append(runs, found...)
	}
	var fires []flow.Fire
	if !q.Fires.IsZero() {
		var err error
		if fires, err = s.idleFires(ctx, tx, q.Fires, q.Limit); err != nil {
			return driver.Pruned{}, err
		}
	}
	batch := &indexed{}
	s.queueDeletes(batch, runs, fires, q.Now, &pruned.Fires)
	if err := batch.send(ctx, tx); err != nil {
		return driver.Pruned{}, err
	}
	if !q.Shapes.IsZero() {
		var err error
		if pruned.Shapes, err = s.deleteShapes(ctx, tx, q.Shapes); err != nil {
			return driver.Pruned{}, err
		}
	}
	return pruned, nil
}

// deleteShapes deletes the definitions that nothing needs and that were in use before a time.
func (s *Store) deleteShapes(ctx context.Context, tx pgx.Tx, before time.Time) (deleted int, err error) {
	var unused []string
	look, remove := &indexed{}, &indexed{}
	look.add(s.sql("UnusedShapes"), stamp(before)).Query(func(rows pgx.Rows) (err error) {
		unused, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err := look.send(ctx, tx); err != nil || len(unused) == 0 {
		return 0, err
	}
	remove.add(s.sql("DeleteShapes"), unused).Exec(affected(&deleted))
	err = remove.send(ctx, tx)
	return deleted, err
}

func (s *Store) endedRuns(ctx context.Context, tx pgx.Tx, status flow.RunStatus, before time.Time, limit int) ([]flow.RunID, error) {
	var ids []flow.RunID
	batch := &indexed{}
	batch.add(s.sql("EndedRuns"), string(status), stamp(before), limit).Query(func(rows pgx.Rows) error {
		var id [16]byte
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			ids = append(ids, id)
			return nil
		})
		return err
	})
	return ids, batch.send(ctx, tx)
}

func (s *Store) idleFires(ctx context.Context, tx pgx.Tx, before time.Time, limit int) ([]flow.Fire, error) {
	var fires []flow.Fire
	batch := &indexed{}
	batch.add(s.sql("IdleFires"), stamp(before), limit).Query(func(rows pgx.Rows) (err error) {
		fires, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (flow.Fire, error) {
			var f flow.Fire
			var window pgtype.Timestamptz
			err := row.Scan(&f.Workflow, &f.Trigger, &f.Key, &window)
			f.WindowAt = when(window)
			return f, err
		})
		return err
	})
	return fires, batch.send(ctx, tx)
}

// queueDeletes queues the deletion of runs with all that is theirs, and of fires. The locks of triggers come late, since cron
// deliveries wait for them, but before the rows that the triggers vouch for.
func (s *Store) queueDeletes(batch *indexed, runs []flow.RunID, fires []flow.Fire, now time.Time, gone *int) {
	ids := uuids(runs)
	if len(runs) > 0 {
		for _, statement := range []string{"DeleteSteps", "DeleteAttempts", "DeleteEvents", "DeleteRunHolds"} {
			batch.add(s.sql(statement), ids)
		}
	}
	workflows := column(fires, func(f *flow.Fire) string { return f.Workflow })
	triggers := column(fires, func(f *flow.Fire) string { return f.Trigger })
	if len(runs)+len(fires) > 0 {
		batch.add(s.sql("MarkPruned"), ids, workflows, triggers,
			column(fires, func(f *flow.Fire) pgtype.Timestamptz { return stamp(f.WindowAt) }), stamp(now))
	}
	if len(runs) > 0 {
		batch.add(s.sql("DeleteFires"), ids)
		batch.add(s.sql("DeleteRuns"), ids)
	}
	if len(fires) > 0 {
		batch.add(s.sql("DeleteIdleFires"), workflows, triggers, column(fires, func(f *flow.Fire) string { return f.Key })).
			Exec(affected(gone))
	}
}

// affected notes how many rows a statement has changed.
func affected(n *int) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		*n = int(tag.RowsAffected())
		return nil
	}
}

func (s *Store) countPrunable(ctx context.Context, tx pgx.Tx, q driver.PruneQuery) (driver.Pruned, error) {
	var p driver.Pruned
	err := tx.QueryRow(ctx, s.sql("CountPrunable"), pgx.NamedArgs{
		"completed": open(q.Completed, pgtype.NegativeInfinity), "failed": open(q.Failed, pgtype.NegativeInfinity),
		"cancelled": open(q.Cancelled, pgtype.NegativeInfinity), "fires": open(q.Fires, pgtype.NegativeInfinity),
		"shapes": open(q.Shapes, pgtype.NegativeInfinity),
	}).Scan(&p.Completed, &p.Failed, &p.Cancelled, &p.Fires, &p.Shapes)
	return p, err
}
