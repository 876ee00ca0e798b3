package sqlitestore

import (
	"context"
	"database/sql"
	"math/rand/v2"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Workers implements driver.Store.
func (s *Store) Workers(ctx context.Context, tx *sql.Tx, tick driver.WorkerTick) (driver.WorkerReport, error) {
	report := driver.WorkerReport{Now: s.now()}
	if tick.ListWorkers {
		var err error
		report.Workers, err = query(ctx, tx, scanWorker, s.sql("Roster"), tick.Limit)
		return report, err
	}
	now := micros(report.Now)
	term := tick.Lease
	if term <= 0 {
		term = lease
	}
	alive := tick.Heartbeat
	if tick.Register != nil {
		id, err := s.register(ctx, tx, tick.Register, now, term.Microseconds())
		if err != nil {
			return report, err
		}
		report.Registered, alive = id, id
	}
	if tick.Resign != 0 {
		if _, err := tx.ExecContext(ctx, s.sql("Resign"), tick.Resign, now); err != nil {
			return report, err
		}
	}
	if tick.Only != driver.TickLook {
		if _, err := tx.ExecContext(ctx, s.sql("Beat"), alive, now, term.Microseconds()); err != nil {
			return report, err
		}
	}
	if err := tx.QueryRowContext(ctx, s.sql("Alive"), alive).Scan(&report.Alive); err != nil {
		return report, err
	}
	if tick.Only == driver.TickLease {
		return report, nil
	}
	return report, s.look(ctx, tx, tick, alive, now, term.Microseconds(), &report)
}

// look declares workers lost and reads what needs care.
func (s *Store) look(
	ctx context.Context, tx *sql.Tx, tick driver.WorkerTick, alive flow.WorkerID, now, term int64, report *driver.WorkerReport,
) (err error) {
	if tick.Register != nil {
		if _, err := tx.ExecContext(ctx, s.sql("Forget"), now); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, s.sql("Expire"), alive, now, tick.LoseOthers, term); err != nil {
		return err
	}
	from := tick.From.Orphans
	if report.Orphans, err = query(ctx, tx, scanHold, s.sql("Orphans"), from.Run, from.Worker, from.Name, from.Phase, tick.Limit); err != nil {
		return err
	}
	if report.Verdicts, err = query(ctx, tx, scanID, s.sql("Verdicts"), alive); err != nil {
		return err
	}
	if err := s.failedBlocks(ctx, tx, tick.Blocks, report); err != nil {
		return err
	}
	if report.Jobless, err = s.stepsBehind(ctx, tx, "Jobless", now+tick.DueWithin.Microseconds(), tick.From.Jobless, tick.Limit); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, s.sql("Untold")).Scan(&report.Untold); err != nil {
		return err
	}
	if err := s.cronDue(ctx, tx, tick.Triggers, report); err != nil {
		return err
	}
	if tick.Overdue > 0 {
		report.Overdue, err = s.stepsBehind(ctx, tx, "Overdue", now-tick.Overdue.Microseconds(), tick.From.Overdue, tick.Limit)
		if err != nil {
			return err
		}
	}
	return s.expired(ctx, tx, tick, now, report)
}

// stepsBehind reads a list of steps up to a time, behind a place.
func (s *Store) stepsBehind(ctx context.Context, tx *sql.Tx, list string, until int64, from driver.StepPosition,
	limit int,
) ([]flow.StepState, error) {
	return query(ctx, tx, scanStep, s.sql(list), until, micros(from.At), from.Run, from.Name, from.Phase, limit)
}

// failedBlocks reports which of the blocks have failed.
func (s *Store) failedBlocks(ctx context.Context, tx *sql.Tx, blocks []driver.BlockKey, report *driver.WorkerReport) error {
	if len(blocks) == 0 {
		return nil
	}
	rows := make([][]any, len(blocks))
	for i, b := range blocks {
		rows[i] = []any{b.Run, b.Name}
	}
	document, err := list(rows)
	if err != nil {
		return err
	}
	report.Failed, err = query(ctx, tx, scanBlock, s.sql("FailedBlocks"), document)
	return err
}

func scanBlock(rows *sql.Rows) (driver.BlockKey, error) {
	var b driver.BlockKey
	err := rows.Scan(&b.Run, &b.Name)
	return b, err
}

// expired reports what is past its deadline: open decisions, and attempts with what their workers hold of their runs.
func (s *Store) expired(ctx context.Context, tx *sql.Tx, tick driver.WorkerTick, now int64, report *driver.WorkerReport) error {
	var err error
	report.Expired, err = s.stepsBehind(ctx, tx, "ExpiredDecisions", now, tick.From.Expired, tick.Limit)
	if err != nil || tick.Late <= 0 {
		return err
	}
	report.Late, err = s.stepsBehind(ctx, tx, "Late", now-tick.Late.Microseconds(), tick.From.Late, tick.Limit)
	if err != nil || len(report.Late) == 0 {
		return err
	}
	owners := make([][]any, len(report.Late))
	for i, row := range report.Late {
		owners[i] = []any{row.Worker, row.Run}
	}
	document, err := list(owners)
	if err != nil {
		return err
	}
	report.Held, err = query(ctx, tx, scanHold, s.sql("HeldBy"), document)
	return err
}

// register inserts a worker under an id that survives JSON readers with 53-bit numbers.
func (s *Store) register(ctx context.Context, tx *sql.Tx, w *flow.Worker, now, term int64) (flow.WorkerID, error) {
	queues, err := list(append([]string{}, w.Queues...))
	if err != nil {
		return 0, err
	}
	functions, err := list(append([]string{}, w.Functions...))
	if err != nil {
		return 0, err
	}
	shapes, err := list(append([]string{}, w.Shapes...))
	if err != nil {
		return 0, err
	}
	id := flow.WorkerID(1 + rand.Int64N(1<<53-1))
	_, err = tx.ExecContext(ctx, s.sql("Register"), id, w.Name, queues, functions, shapes, now, term)
	return id, err
}

func scanWorker(rows *sql.Rows) (flow.Worker, error) {
	var w flow.Worker
	err := rows.Scan(&w.ID, &w.Name, texts{&w.Queues}, texts{&w.Functions}, texts{&w.Shapes}, instant{&w.LeaseUntil}, instant{&w.LostAt})
	return w, err
}

func scanHold(rows *sql.Rows) (flow.Hold, error) {
	var h flow.Hold
	err := rows.Scan(&h.Worker, &h.Run, &h.Name, &h.Phase)
	return h, err
}

func scanID(rows *sql.Rows) (flow.RunID, error) {
	var id flow.RunID
	err := rows.Scan(&id)
	return id, err
}
