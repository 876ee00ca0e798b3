package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Workers implements driver.Store. A heartbeat is one statement, and a look another one.
func (s *Store) Workers(ctx context.Context, tx pgx.Tx, tick driver.WorkerTick) (driver.WorkerReport, error) {
	var report driver.WorkerReport
	var now pgtype.Timestamptz // null leaves it to the statements
	if s.clock != nil {
		var database time.Time
		if err := tx.QueryRow(ctx, "select clock_timestamp()").Scan(&database); err != nil {
			return report, err
		}
		now = stamp(s.now(database))
	}
	if tick.ListWorkers {
		err := s.roster(ctx, tx, now, tick.Limit, &report)
		return report, err
	}
	lease := tick.Lease
	if lease <= 0 {
		lease = s.lease
	}

	batch := &pgx.Batch{}
	p, ok := tx.(*pipelined)
	wait, mark := lockWait(tick, lease), "squidmesh tick "+string(tick.Only)
	known := tx.Conn().PgConn().CustomData()
	first := wait != "" && known[mark] == nil // pgx prepares a connection's first one ahead of the batch, where it would wait for locks without a limit
	switch {
	case ok && !p.begun:
		p.settings += wait // and has the other settings
		if first {
			if err := p.send(ctx); err != nil {
				return report, err
			}
		}
	case !ok:
		batch.Queue(planned + wait) // a tick that was planned while there were few steps was seen to read a million of them for half a second
		if first {
			if err := tx.SendBatch(ctx, batch).Close(); err != nil {
				return report, err
			}
			batch = &pgx.Batch{}
		}
	}
	alive := tick.Heartbeat
	if tick.Register != nil {
		report.Registered = newWorkerID()
		alive = report.Registered
		batch.Queue(s.sql("Register"), pgx.NamedArgs{
			"id": int64(alive), "name": tick.Register.Name, "queues": list(tick.Register.Queues),
			"functions": list(tick.Register.Functions), "shapes": list(tick.Register.Shapes), "now": now, "lease": lease.Microseconds(),
		})
	}
	if tick.Resign != 0 {
		batch.Queue(s.sql("Resign"), int64(tick.Resign), now)
	}
	if alive != 0 && tick.Only != driver.TickLook {
		beat := pgx.NamedArgs{"worker": int64(alive), "now": now, "lease": lease.Microseconds()}
		batch.Queue(s.sql("Beat"), beat).Query(func(rows pgx.Rows) error {
			var at pgtype.Timestamptz
			_, err := pgx.ForEachRow(rows, []any{&at}, func() error {
				report.Alive, report.Now = true, when(at)
				return nil
			})
			return err
		})
	}
	if tick.Only != driver.TickLease {
		s.look(batch, tick, alive, now, lease, &report)
	}
	var err error
	if ok {
		err = p.send(ctx, batch.QueuedQueries...)
	} else {
		err = tx.SendBatch(ctx, batch).Close()
	}
	if err != nil {
		delete(known, mark) // pgx forgets a statement that failed
		return driver.WorkerReport{}, err
	}
	known[mark] = true
	return report, nil
}

// lockWait is the setting with which the server gives up a heartbeat or a look that waits for a lock, before the runtime does: what the runtime
// gives up costs the connection, and a busy server may not make the next one in the time that a heartbeat has. Who registers waits.
func lockWait(tick driver.WorkerTick, lease time.Duration) string {
	if tick.Only == "" || tick.Register != nil {
		return ""
	}
	return fmt.Sprintf(", set_config('lock_timeout', '%d', true)", (lease / 5).Milliseconds())
}

// look queues what declares workers lost and reads what needs care.
func (s *Store) look(
	batch *pgx.Batch, tick driver.WorkerTick, alive flow.WorkerID, now pgtype.Timestamptz, lease time.Duration, report *driver.WorkerReport,
) {
	if tick.Register != nil {
		batch.Queue(s.sql("Forget"), now)
	}
	cron := keyArgs(tick.Triggers)
	args := pgx.NamedArgs{
		"workflows": cron["workflows"], "triggers": cron["triggers"],
		"now": now, "worker": int64(alive), "lease": lease.Microseconds(), "others": tick.LoseOthers,
		"within": tick.DueWithin.Microseconds(), "limit": tick.Limit,
		"overdue": tick.Overdue.Microseconds(), "late": tick.Late.Microseconds(),
		"block_runs":  column(tick.Blocks, func(b *driver.BlockKey) pgtype.UUID { return id(b.Run) }),
		"block_names": column(tick.Blocks, func(b *driver.BlockKey) string { return b.Name }),
	}
	placeArgs(args, tick.From)
	batch.Queue(s.sql("Tick"), args).Query(func(rows pgx.Rows) error { return scanReport(rows, report) })
}

// placeArgs adds where the lists of a tick go on.
func placeArgs(args pgx.NamedArgs, from driver.ListPositions) {
	add := func(list string, run flow.RunID, key flow.StepKey) {
		args[list+"_run"], args[list+"_name"], args[list+"_phase"] = pgtype.UUID{Bytes: run, Valid: true}, key.Name, string(key.Phase)
	}
	args["orphan_worker"] = int64(from.Orphans.Worker)
	add("orphan", from.Orphans.Run, from.Orphans.StepKey)
	for list, place := range map[string]driver.StepPosition{
		"jobless": from.Jobless, "overdue": from.Overdue, "expired": from.Expired, "late": from.Late,
	} {
		args[list+"_at"] = open(place.At, pgtype.NegativeInfinity)
		add(list, place.Run, place.StepKey)
	}
}

// newWorkerID makes an id that survives JSON readers with 53-bit numbers.
func newWorkerID() flow.WorkerID {
	return flow.WorkerID(1 + rand.Int64N(1<<53-1))
}

// list is a document of texts.
func list(texts []string) string {
	data, err := json.Marshal(append([]string{}, texts...))
	if err != nil {
		panic(fmt.Sprintf("pgstore: encode texts: %v", err)) // which always encode
	}
	return string(data)
}

// roster reads the workers that matter to somebody who looks, and the clock.
func (s *Store) roster(ctx context.Context, tx pgx.Tx, now pgtype.Timestamptz, limit int, report *driver.WorkerReport) error {
	rows, err := tx.Query(ctx, s.sql("Roster"), now, limit)
	if err != nil {
		return err
	}
	var (
		at, lease, lost           pgtype.Timestamptz
		id                        pgtype.Int8
		name                      pgtype.Text
		queues, functions, shapes []string
	)
	_, err = pgx.ForEachRow(rows, []any{&at, &id, &name, &queues, &functions, &shapes, &lease, &lost}, func() error {
		report.Now = when(at)
		if id.Valid {
			report.Workers = append(report.Workers, flow.Worker{
				ID: flow.WorkerID(id.Int64), Name: name.String, Queues: queues, Functions: functions, Shapes: shapes,
				LeaseUntil: when(lease), LostAt: when(lost),
			})
		}
		queues, functions, shapes = nil, nil, nil
		return nil
	})
	return err
}

func scanReport(rows pgx.Rows, report *driver.WorkerReport) error {
	var (
		part                              string
		owner                             int64
		run                               pgtype.UUID
		st                                flow.StepState
		at, due, deadline, started, ended pgtype.Timestamptz
	)
	_, err := pgx.ForEachRow(rows, []any{
		&at, &report.Alive, &part, &owner, &run, &st.Name, &st.Phase,
		&st.Status, &st.Attempt, &st.Failures, &st.Losses, &st.Missing, &st.DoneSeq, &st.Worker, &due, &deadline,
		&started, &ended, &st.Cause, &st.JobID, &st.Queue,
	}, func() error {
		st.Run = run.Bytes
		switch part {
		case "now":
			report.Now = when(at)
		case "trigger":
			report.TriggersDue = true
		case "fire":
			report.FiresDue = true
		case "untold":
			report.Untold = true
		case "orphan":
			report.Orphans = append(report.Orphans, flow.Hold{Worker: flow.WorkerID(owner), Run: st.Run, StepKey: st.StepKey})
		case "held":
			report.Held = append(report.Held, flow.Hold{Worker: flow.WorkerID(owner), Run: st.Run, StepKey: st.StepKey})
		case "verdict":
			report.Verdicts = append(report.Verdicts, st.Run)
		case "failed":
			report.Failed = append(report.Failed, driver.BlockKey{Run: st.Run, Name: st.Name})
		case "jobless":
			st.DueAt, st.DeadlineAt, st.StartedAt, st.FinishedAt = when(due), when(deadline), when(started), when(ended)
			report.Jobless = append(report.Jobless, st)
		case "overdue":
			st.DueAt, st.DeadlineAt, st.StartedAt, st.FinishedAt = when(due), when(deadline), when(started), when(ended)
			report.Overdue = append(report.Overdue, st)
		case "expired":
			st.DueAt, st.DeadlineAt, st.StartedAt, st.FinishedAt = when(due), when(deadline), when(started), when(ended)
			report.Expired = append(report.Expired, st)
		case "late":
			st.DueAt, st.DeadlineAt, st.StartedAt, st.FinishedAt = when(due), when(deadline), when(started), when(ended)
			report.Late = append(report.Late, st)
		}
		return nil
	})
	return err
}
