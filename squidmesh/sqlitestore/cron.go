package sqlitestore

import (
	"context"
	"database/sql"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Triggers implements driver.Store. A transaction that writes has the one write lock, so there is nothing to lock or to leave
// out.
func (s *Store) Triggers(ctx context.Context, tx *sql.Tx, q driver.TriggerQuery) ([]flow.TriggerState, error) {
	keys, err := keyList(q.Keys)
	if err != nil {
		return nil, err
	}
	switch {
	case !q.DueBy.IsZero():
		return query(ctx, tx, scanTrigger, s.sql("DueTriggers"), micros(q.DueBy), keys, q.Limit)
	case q.Keys != nil:
		return query(ctx, tx, scanTrigger, s.sql("TriggersByKey"), keys)
	default:
		return query(ctx, tx, scanTrigger, s.sql("Triggers"), q.Workflow)
	}
}

// Fires implements driver.Store.
func (s *Store) Fires(ctx context.Context, tx *sql.Tx, q driver.FireQuery) ([]flow.Fire, error) {
	keys, err := keyList(q.Keys)
	if err != nil {
		return nil, err
	}
	switch {
	case q.SignalID != "":
		return query(ctx, tx, scanFire, s.sql("FireBySignal"), keys, q.SignalID)
	case !q.LookBy.IsZero():
		return query(ctx, tx, scanFire, s.sql("LateFires"), micros(q.LookBy), keys, q.Limit)
	case q.Commented:
		return query(ctx, tx, scanFire, s.sql("CommentedFires"), keys, q.After, q.Limit)
	}
	statement, last := "NewestFires", any(q.Newest)
	if !q.Ahead.IsZero() {
		statement, last = "FiresAhead", micros(q.Ahead)
	}
	var all []flow.Fire
	for _, k := range q.Keys {
		fires, err := query(ctx, tx, scanFire, s.sql(statement), k.Workflow, k.Trigger, last)
		if err != nil {
			return nil, err
		}
		all = append(all, fires...)
	}
	return all, nil
}

// SaveCron implements driver.Store.
func (s *Store) SaveCron(ctx context.Context, tx *sql.Tx, c driver.CronChange) ([]flow.Fire, error) {
	for _, save := range []struct {
		statement string
		triggers  []flow.TriggerState
	}{{"RegisterTriggers", c.Register}, {"DefineTriggers", c.Defined}, {"UpdateTriggers", c.Triggers}, {"OperateTriggers", c.Operated}} {
		rows := make([][]any, len(save.triggers))
		for i, t := range save.triggers {
			rows[i] = []any{
				t.Workflow, t.Trigger, t.Expression, t.TimeZone, t.Missed, t.CatchUp, t.Overlap, micros(t.NextAt), t.Paused,
				micros(t.ChangedAt), t.Actor, t.Comment,
			}
		}
		if err := s.save(ctx, tx, save.statement, rows); err != nil {
			return nil, err
		}
	}
	var inserted []flow.Fire
	for _, f := range c.NewFires {
		result, err := tx.ExecContext(ctx, s.sql("InsertFires"), fireRow(f)...)
		if err != nil {
			return nil, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return nil, err
		}
		if n == 1 {
			inserted = append(inserted, f)
		}
	}
	rows := make([][]any, len(c.Fires))
	for i, f := range c.Fires {
		rows[i] = fireRow(f)
	}
	return inserted, s.save(ctx, tx, "UpdateFires", rows)
}

// save runs a statement that takes its rows as one array.
func (s *Store) save(ctx context.Context, tx *sql.Tx, statement string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	data, err := list(rows)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, s.sql(statement), data)
	return err
}

// cronDue says for a tick whether something is due.
func (s *Store) cronDue(ctx context.Context, tx *sql.Tx, keys []flow.TriggerKey, report *driver.WorkerReport) error {
	if len(keys) == 0 {
		return nil
	}
	wanted, err := keyList(keys)
	if err != nil {
		return err
	}
	return tx.QueryRowContext(ctx, s.sql("CronDue"), micros(report.Now), wanted).Scan(&report.TriggersDue, &report.FiresDue)
}

func keyList(keys []flow.TriggerKey) (string, error) {
	rows := make([][2]string, len(keys))
	for i, k := range keys {
		rows[i] = [2]string{k.Workflow, k.Trigger}
	}
	return list(rows)
}

func fireRow(f flow.Fire) []any {
	return []any{
		f.Workflow, f.Trigger, f.Key, f.SignalID, micros(f.WindowAt), micros(f.WindowEnd), string(f.State), f.Reason, optional(f.RunID),
		micros(f.FiredAt), micros(f.LookAt), f.Sent, f.JobID, f.Actor, f.Comment,
	}
}

func scanTrigger(rows *sql.Rows) (flow.TriggerState, error) {
	var t flow.TriggerState
	err := rows.Scan(&t.Workflow, &t.Trigger, &t.Expression, &t.TimeZone, &t.Missed, &t.CatchUp, &t.Overlap, instant{&t.NextAt}, &t.Paused,
		instant{&t.ChangedAt}, &t.Actor, &t.Comment, instant{&t.PrunedTo})
	return t, err
}

func scanFire(rows *sql.Rows) (flow.Fire, error) {
	var f flow.Fire
	err := rows.Scan(&f.Workflow, &f.Trigger, &f.Key, &f.SignalID, instant{&f.WindowAt}, instant{&f.WindowEnd}, &f.State, &f.Reason, &f.RunID,
		instant{&f.FiredAt}, instant{&f.LookAt}, &f.Sent, &f.JobID, &f.Actor, &f.Comment, &f.RunStatus)
	return f, err
}
