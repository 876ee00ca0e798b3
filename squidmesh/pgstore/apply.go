package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/internal/lever"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Apply implements driver.Store in one round trip, or in that of the COMMIT. It sends a statement for each table that has rows. A
// missing row, or a version that does not rise, is an error (SQLSTATE 22012).
func (s *Store) Apply(ctx context.Context, tx pgx.Tx, ts []flow.Transition) error {
	var (
		starts, runs   []flow.Run
		added, changed []flow.StepState
		attempts       []flow.AttemptRecord
		audit, untold  []flow.AuditEntry
		held, unheld   []flow.Hold
		goOn           []continued
	)
	for i := range ts {
		t := &ts[i]
		if c, ok := continues(t); ok && !lever.Off(lever.Narrow) {
			goOn = append(goOn, c)
			continue
		}
		switch {
		case t.NewRun:
			starts = append(starts, t.Run)
		case !t.Empty():
			runs = append(runs, t.Run)
		}
		for _, c := range t.Steps {
			if c.New {
				added = append(added, c.StepState)
			} else {
				changed = append(changed, c.StepState)
			}
		}
		attempts = append(attempts, t.Attempts...)
		audit = append(audit, t.Audit...)
		if t.Untold {
			untold = append(untold, t.Audit...)
		}
		held = append(held, t.Held...)
		unheld = append(unheld, t.Unheld...)
	}

	batch := &indexed{}
	queue(batch, s.sql("ContinueSteps"), goOn, continuedColumns)
	queue(batch, s.sql("InsertRuns"), starts, startColumns)
	queue(batch, s.sql("UpdateRuns"), runs, runColumns)
	queue(batch, s.sql("InsertSteps"), added, stepColumns)
	queue(batch, s.sql("UpdateSteps"), changed, stepColumns)
	queue(batch, s.sql("InsertAttempts"), attempts, attemptColumns)
	queue(batch, s.sql("InsertAudit"), audit, auditColumns)
	queue(batch, s.sql("InsertUntold"), untold, untoldColumns)
	queue(batch, s.sql("DeleteHolds"), unheld, holdColumns)
	queue(batch, s.sql("InsertHolds"), held, holdColumns)
	return batch.sendLast(ctx, tx)
}

func queue[Row any](batch *indexed, sql string, rows []Row, columns func([]Row) []any) {
	if len(rows) > 0 {
		batch.add(sql, columns(rows)...)
	}
}

// The order of the columns is that of the statements' unnest.

func startColumns(runs []flow.Run) []any {
	type row = flow.Run
	return []any{
		column(runs, func(r *row) pgtype.UUID { return id(r.ID) }),
		column(runs, func(r *row) string { return r.Workflow }),
		column(runs, func(r *row) string { return r.Trigger }),
		column(runs, func(r *row) string { return r.Shape }),
		column(runs, func(r *row) string { return r.Key }),
		column(runs, func(r *row) string { return r.KeyHash }),
		column(runs, func(r *row) pgtype.Timestamptz { return stamp(r.WindowAt) }),
		column(runs, func(r *row) pgtype.Timestamptz { return stamp(r.WindowEnd) }),
		column(runs, func(r *row) pgtype.Timestamptz { return stamp(r.ReceivedAt) }),
		column(runs, func(r *row) string { return r.SignalID }),
		column(runs, func(r *row) pgtype.UUID { return id(r.ReplayedFrom) }),
		column(runs, func(r *row) pgtype.Text { return document(r.Payload) }),
		column(runs, func(r *row) pgtype.Timestamptz { return stamp(r.CreatedAt) }),
		column(runs, func(r *row) string { return string(r.Status) }),
		column(runs, func(r *row) string { return string(r.Verdict) }),
		column(runs, func(r *row) bool { return r.Compensate }),
		column(runs, func(r *row) int { return r.Version }),
		column(runs, func(r *row) int { return r.Seq }),
		column(runs, func(r *row) pgtype.Timestamptz { return stamp(r.LastAt) }),
		column(runs, func(r *row) int { return r.Open }),
		column(runs, func(r *row) int { return r.Retrying }),
		column(runs, func(r *row) pgtype.Text { return failure(r.Reason) }),
		column(runs, func(r *row) pgtype.Timestamptz { return stamp(r.FinishedAt) }),
	}
}

func runColumns(runs []flow.Run) []any {
	type row = flow.Run
	return []any{
		column(runs, func(r *row) pgtype.UUID { return id(r.ID) }),
		column(runs, func(r *row) string { return string(r.Status) }),
		column(runs, func(r *row) string { return string(r.Verdict) }),
		column(runs, func(r *row) bool { return r.Compensate }),
		column(runs, func(r *row) int { return r.Version }),
		column(runs, func(r *row) int { return r.Seq }),
		column(runs, func(r *row) pgtype.Timestamptz { return stamp(r.LastAt) }),
		column(runs, func(r *row) int { return r.Open }),
		column(runs, func(r *row) int { return r.Retrying }),
		column(runs, func(r *row) pgtype.Text { return failure(r.Reason) }),
		column(runs, func(r *row) pgtype.Timestamptz { return stamp(r.FinishedAt) }),
	}
}

func stepColumns(steps []flow.StepState) []any {
	type row = flow.StepState
	return []any{
		column(steps, func(r *row) pgtype.UUID { return id(r.Run) }),
		column(steps, func(r *row) string { return r.Name }),
		column(steps, func(r *row) string { return string(r.Phase) }),
		column(steps, func(r *row) string { return string(r.Status) }),
		column(steps, func(r *row) int { return r.Attempt }),
		column(steps, func(r *row) int { return r.Failures }),
		column(steps, func(r *row) int { return r.Losses }),
		column(steps, func(r *row) int { return r.Missing }),
		column(steps, func(r *row) int { return r.DoneSeq }),
		column(steps, func(r *row) int64 { return int64(r.Worker) }),
		column(steps, func(r *row) pgtype.Timestamptz { return stamp(r.DueAt) }),
		column(steps, func(r *row) pgtype.Timestamptz { return stamp(r.DeadlineAt) }),
		column(steps, func(r *row) pgtype.Timestamptz { return stamp(r.StartedAt) }),
		column(steps, func(r *row) pgtype.Timestamptz { return stamp(r.FinishedAt) }),
		column(steps, func(r *row) string { return r.Cause }),
		column(steps, func(r *row) string { return r.JobID }),
		column(steps, func(r *row) string { return r.Queue }),
	}
}

func attemptColumns(attempts []flow.AttemptRecord) []any {
	type row = flow.AttemptRecord
	return []any{
		column(attempts, func(r *row) pgtype.UUID { return id(r.Run) }),
		column(attempts, func(r *row) string { return r.Name }),
		column(attempts, func(r *row) string { return string(r.Phase) }),
		column(attempts, func(r *row) int { return r.Attempt }),
		column(attempts, func(r *row) int64 { return int64(r.Worker) }),
		column(attempts, func(r *row) string { return string(r.Outcome) }),
		column(attempts, func(r *row) pgtype.Timestamptz { return stamp(r.StartedAt) }),
		column(attempts, func(r *row) pgtype.Timestamptz { return stamp(r.EndedAt) }),
		column(attempts, func(r *row) pgtype.Text { return failure(r.Error) }),
	}
}

func auditColumns(audit []flow.AuditEntry) []any {
	type row = flow.AuditEntry
	return []any{
		column(audit, func(r *row) pgtype.UUID { return id(r.Run) }),
		column(audit, func(r *row) int { return r.Seq }),
		column(audit, func(r *row) string { return string(r.Kind) }),
		column(audit, func(r *row) string { return r.Name }),
		column(audit, func(r *row) string { return string(r.Phase) }),
		column(audit, func(r *row) int { return r.Attempt }),
		column(audit, func(r *row) pgtype.Timestamptz { return stamp(r.At) }),
		column(audit, func(r *row) string { return r.Actor }),
		column(audit, func(r *row) pgtype.Text { return document(r.Data) }),
		column(audit, func(r *row) pgtype.Text { return document(r.Output) }),
	}
}

func untoldColumns(entries []flow.AuditEntry) []any {
	type row = flow.AuditEntry
	return []any{
		column(entries, func(r *row) pgtype.UUID { return id(r.Run) }),
		column(entries, func(r *row) int { return r.Seq }),
		column(entries, func(r *row) pgtype.Timestamptz { return stamp(r.At) }),
	}
}

func holdColumns(holds []flow.Hold) []any {
	type row = flow.Hold
	return []any{
		column(holds, func(r *row) int64 { return int64(r.Worker) }),
		column(holds, func(r *row) pgtype.UUID { return id(r.Run) }),
		column(holds, func(r *row) string { return r.Name }),
		column(holds, func(r *row) string { return string(r.Phase) }),
	}
}
