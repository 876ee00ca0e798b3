package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Triggers implements driver.Store.
func (s *Store) Triggers(ctx context.Context, tx pgx.Tx, q driver.TriggerQuery) ([]flow.TriggerState, error) {
	statement, args := "Triggers", keyArgs(q.Keys)
	switch {
	case !q.DueBy.IsZero():
		statement, args["due"], args["limit"] = "DueTriggers", stamp(q.DueBy), q.Limit
	case q.Lock:
		statement = "LockTriggers"
	case q.Keys != nil:
		statement = "TriggersByKey"
	default:
		args = pgx.NamedArgs{"workflow": q.Workflow}
	}
	rows, err := tx.Query(ctx, s.sql(statement), args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (flow.TriggerState, error) {
		var t flow.TriggerState
		var next, changed, pruned pgtype.Timestamptz
		err := row.Scan(&t.Workflow, &t.Trigger, &t.Expression, &t.TimeZone, &t.Missed, &t.CatchUp, &t.Overlap, &next, &t.Paused, &changed,
			&t.Actor, &t.Comment, &pruned)
		t.NextAt, t.ChangedAt, t.PrunedTo = when(next), when(changed), when(pruned)
		return t, err
	})
}

// Fires implements driver.Store.
func (s *Store) Fires(ctx context.Context, tx pgx.Tx, q driver.FireQuery) ([]flow.Fire, error) {
	statement, args := "NewestFires", keyArgs(q.Keys)
	switch {
	case q.SignalID != "":
		statement, args["signal"] = "LockFire", q.SignalID
	case !q.LookBy.IsZero():
		statement, args["look"], args["limit"] = "LateFires", stamp(q.LookBy), q.Limit
	case q.Commented:
		statement, args["after"], args["limit"] = "CommentedFires", q.After, q.Limit
	case !q.Ahead.IsZero():
		statement, args["ahead"] = "FiresAhead", stamp(q.Ahead)
	default:
		args["limit"] = q.Newest
	}
	var fires []flow.Fire
	batch := &indexed{}
	batch.add(s.sql(statement), args).Query(func(rows pgx.Rows) (err error) {
		fires, err = pgx.CollectRows(rows, scanFire)
		return err
	})
	return fires, batch.send(ctx, tx)
}

func scanFire(row pgx.CollectableRow) (flow.Fire, error) {
	var (
		f                        flow.Fire
		run                      pgtype.UUID
		from, until, fired, look pgtype.Timestamptz
	)
	err := row.Scan(&f.Workflow, &f.Trigger, &f.Key, &f.SignalID, &from, &until, &f.State, &f.Reason, &run, &fired, &look,
		&f.Sent, &f.JobID, &f.Actor, &f.Comment, &f.RunStatus)
	f.RunID, f.WindowAt, f.WindowEnd, f.FiredAt, f.LookAt = run.Bytes, when(from), when(until), when(fired), when(look)
	return f, err
}

// SaveCron implements driver.Store.
func (s *Store) SaveCron(ctx context.Context, tx pgx.Tx, c driver.CronChange) ([]flow.Fire, error) {
	type (
		trigger = flow.TriggerState
		fire    = flow.Fire
	)
	batch := &indexed{}
	if r := c.Register; len(r) > 0 {
		batch.add(s.sql("RegisterTriggers"),
			column(r, func(t *trigger) string { return t.Workflow }), column(r, func(t *trigger) string { return t.Trigger }),
			column(r, func(t *trigger) string { return t.Expression }), column(r, func(t *trigger) string { return t.TimeZone }),
			column(r, func(t *trigger) string { return string(t.Missed) }), column(r, func(t *trigger) int32 { return int32(t.CatchUp) }),
			column(r, func(t *trigger) string { return string(t.Overlap) }),
			column(r, func(t *trigger) pgtype.Timestamptz { return stamp(t.NextAt) }), column(r, func(t *trigger) bool { return t.Paused }))
	}
	if d := c.Defined; len(d) > 0 {
		batch.add(s.sql("DefineTriggers"),
			column(d, func(t *trigger) string { return t.Workflow }), column(d, func(t *trigger) string { return t.Trigger }),
			column(d, func(t *trigger) string { return t.Expression }), column(d, func(t *trigger) string { return t.TimeZone }),
			column(d, func(t *trigger) string { return string(t.Missed) }), column(d, func(t *trigger) int32 { return int32(t.CatchUp) }),
			column(d, func(t *trigger) string { return string(t.Overlap) }),
			column(d, func(t *trigger) pgtype.Timestamptz { return stamp(t.NextAt) }))
	}
	if u := c.Triggers; len(u) > 0 {
		batch.add(s.sql("UpdateTriggers"),
			column(u, func(t *trigger) string { return t.Workflow }), column(u, func(t *trigger) string { return t.Trigger }),
			column(u, func(t *trigger) pgtype.Timestamptz { return stamp(t.NextAt) }))
	}
	if u := c.Operated; len(u) > 0 {
		batch.add(s.sql("OperateTriggers"),
			column(u, func(t *trigger) string { return t.Workflow }), column(u, func(t *trigger) string { return t.Trigger }),
			column(u, func(t *trigger) pgtype.Timestamptz { return stamp(t.NextAt) }), column(u, func(t *trigger) bool { return t.Paused }),
			column(u, func(t *trigger) pgtype.Timestamptz { return stamp(t.ChangedAt) }),
			column(u, func(t *trigger) string { return t.Actor }), column(u, func(t *trigger) string { return t.Comment }))
	}
	there := map[[4]string]bool{}
	if n := c.NewFires; len(n) > 0 {
		batch.add(s.sql("InsertFires"),
			column(n, func(f *fire) string { return f.Workflow }), column(n, func(f *fire) string { return f.Trigger }),
			column(n, func(f *fire) string { return f.Key }), column(n, func(f *fire) string { return f.SignalID }),
			column(n, func(f *fire) pgtype.Timestamptz { return stamp(f.WindowAt) }),
			column(n, func(f *fire) pgtype.Timestamptz { return stamp(f.WindowEnd) }),
			column(n, func(f *fire) string { return string(f.State) }), column(n, func(f *fire) string { return f.Reason }),
			column(n, func(f *fire) pgtype.UUID { return id(f.RunID) }), column(n, func(f *fire) pgtype.Timestamptz { return stamp(f.FiredAt) }),
			column(n, func(f *fire) pgtype.Timestamptz { return stamp(f.LookAt) }), column(n, func(f *fire) int32 { return int32(f.Sent) }),
			column(n, func(f *fire) string { return f.JobID }), column(n, func(f *fire) string { return f.Actor }),
			column(n, func(f *fire) string { return f.Comment }),
		).Query(func(rows pgx.Rows) error {
			var k [4]string
			_, err := pgx.ForEachRow(rows, []any{&k[0], &k[1], &k[2], &k[3]}, func() error {
				there[k] = true
				return nil
			})
			return err
		})
	}
	if u := c.Fires; len(u) > 0 {
		batch.add(s.sql("UpdateFires"),
			column(u, func(f *fire) string { return f.Workflow }), column(u, func(f *fire) string { return f.Trigger }),
			column(u, func(f *fire) string { return f.Key }), column(u, func(f *fire) string { return string(f.State) }),
			column(u, func(f *fire) string { return f.Reason }), column(u, func(f *fire) pgtype.UUID { return id(f.RunID) }),
			column(u, func(f *fire) pgtype.Timestamptz { return stamp(f.LookAt) }), column(u, func(f *fire) int32 { return int32(f.Sent) }),
			column(u, func(f *fire) string { return f.JobID }))
	}
	if err := batch.send(ctx, tx); err != nil {
		return nil, err
	}
	var inserted []fire
	for _, f := range c.NewFires {
		if k := [4]string{f.Workflow, f.Trigger, f.Key, f.SignalID}; there[k] {
			inserted = append(inserted, f)
			delete(there, k)
		}
	}
	return inserted, nil
}

func keyArgs(keys []flow.TriggerKey) pgx.NamedArgs {
	return pgx.NamedArgs{
		"workflows": column(keys, func(k *flow.TriggerKey) string { return k.Workflow }),
		"triggers":  column(keys, func(k *flow.TriggerKey) string { return k.Trigger }),
	}
}
