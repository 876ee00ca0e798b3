package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Apply implements driver.Store with a statement for each table that has rows. A missing row, or a version that does not rise, is
// an error.
func (s *Store) Apply(ctx context.Context, tx *sql.Tx, ts []flow.Transition) error {
	var starts, runs, added, changed, attempts, audit, untold, held, unheld [][]any
	for _, t := range ts {
		switch {
		case t.NewRun:
			starts = append(starts, startRow(t.Run))
		case !t.Empty():
			runs = append(runs, runRow(t.Run))
		}
		for _, c := range t.Steps {
			if c.New {
				added = append(added, stepRow(c.StepState))
			} else {
				changed = append(changed, stepRow(c.StepState))
			}
		}
		for _, a := range t.Attempts {
			attempts = append(attempts, attemptRow(a))
		}
		for _, e := range t.Audit {
			audit = append(audit, auditRow(e))
			if t.Untold {
				untold = append(untold, []any{e.Run, e.Seq, micros(e.At)})
			}
		}
		for _, h := range t.Held {
			held = append(held, holdRow(h))
		}
		for _, h := range t.Unheld {
			unheld = append(unheld, holdRow(h))
		}
	}
	for _, write := range []struct {
		statement string
		rows      [][]any
		exactly   bool
	}{
		{"InsertRuns", starts, false},
		{"UpdateRuns", runs, true},
		{"InsertSteps", added, true},
		{"UpdateSteps", changed, true},
		{"InsertAttempts", attempts, true},
		{"InsertAudit", audit, true},
		{"InsertUntold", untold, true},
		{"DeleteHolds", unheld, false},
		{"InsertHolds", held, false},
	} {
		if err := s.write(ctx, tx, write.statement, write.rows, write.exactly); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) write(ctx context.Context, tx *sql.Tx, statement string, rows [][]any, exactly bool) error {
	if len(rows) == 0 {
		return nil
	}
	document, err := list(rows)
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, s.sql(statement), document)
	if err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	n, err := result.RowsAffected()
	if err == nil && exactly && n != int64(len(rows)) {
		err = fmt.Errorf("%s: %d of %d rows are there as they were read", statement, n, len(rows))
	}
	return err
}

// The order of the columns is that of the statements.

func startRow(r flow.Run) []any {
	return []any{
		r.ID, r.Workflow, r.Trigger, r.Shape, r.Key, r.KeyHash, micros(r.WindowAt), micros(r.WindowEnd),
		micros(r.ReceivedAt), r.SignalID, optional(r.ReplayedFrom), text(r.Payload), micros(r.CreatedAt), r.Status, r.Verdict,
		r.Compensate, r.Version, r.Seq, micros(r.LastAt), r.Open, r.Retrying,
		failure(r.Reason), micros(r.FinishedAt),
	}
}

func runRow(r flow.Run) []any {
	return []any{
		r.ID, r.Status, r.Verdict, r.Compensate, r.Version, r.Seq, micros(r.LastAt), r.Open, r.Retrying, failure(r.Reason),
		micros(r.FinishedAt),
	}
}

func stepRow(r flow.StepState) []any {
	return []any{
		r.Run, r.Name, r.Phase, r.Status, r.Attempt, r.Failures, r.Losses, r.Missing, r.DoneSeq, r.Worker,
		micros(r.DueAt), micros(r.DeadlineAt), micros(r.StartedAt), micros(r.FinishedAt), r.Cause, r.JobID, r.Queue,
	}
}

func attemptRow(r flow.AttemptRecord) []any {
	return []any{r.Run, r.Name, r.Phase, r.Attempt, r.Worker, r.Outcome, micros(r.StartedAt), micros(r.EndedAt), failure(r.Error)}
}

func auditRow(r flow.AuditEntry) []any {
	return []any{r.Run, r.Seq, r.Kind, r.Name, r.Phase, r.Attempt, micros(r.At), r.Actor, text(r.Data), text(r.Output)}
}

func holdRow(r flow.Hold) []any {
	return []any{r.Worker, r.Run, r.Name, r.Phase}
}
