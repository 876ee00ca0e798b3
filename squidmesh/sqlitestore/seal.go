package sqlitestore

import (
	"context"
	"database/sql"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Unsealed implements driver.Store.
func (s *Store) Unsealed(ctx context.Context, tx *sql.Tx, q driver.UnsealedQuery) (driver.UnsealedPage, error) {
	prefixes, err := list(q.Prefixes())
	if err != nil {
		return driver.UnsealedPage{}, err
	}
	type looked struct {
		run      flow.RunID
		unsealed bool
	}
	seen, err := query(ctx, tx, func(rows *sql.Rows) (l looked, err error) {
		err = rows.Scan(&l.run, &l.unsealed)
		return l, err
	}, s.sql("Unsealed"), sql.Named("after", q.After), sql.Named("limit", q.Limit), sql.Named("plain", q.Plain), sql.Named("prefixes", prefixes))
	page := driver.UnsealedPage{Last: q.After, More: len(seen) == q.Limit}
	for _, l := range seen {
		if page.Last = l.run; l.unsealed {
			page.Runs = append(page.Runs, l.run)
		}
	}
	return page, err
}

// SaveSealed implements driver.Store.
func (s *Store) SaveSealed(ctx context.Context, tx *sql.Tx, v driver.SealedValues) error {
	runs := rowsOf(v.Runs, func(r flow.Run) []any { return []any{r.ID, text(r.Payload), r.KeyHash, failure(r.Reason)} })
	attempts := rowsOf(v.Attempts, func(a flow.AttemptRecord) []any {
		return []any{a.Run, a.Name, a.Phase, a.Attempt, failure(a.Error)}
	})
	events := rowsOf(v.Audit, func(e flow.AuditEntry) []any { return []any{e.Run, e.Seq, text(e.Data), text(e.Output)} })
	triggers := rowsOf(v.Triggers, func(t flow.TriggerState) []any { return []any{t.Workflow, t.Trigger, t.Comment} })
	fires := rowsOf(v.Fires, func(f flow.Fire) []any { return []any{f.Workflow, f.Trigger, f.Key, f.Comment} })
	for _, write := range []struct {
		statement string
		rows      [][]any
	}{{"SealRuns", runs}, {"SealAttempts", attempts}, {"SealEvents", events}, {"SealTriggers", triggers}, {"SealFires", fires}} {
		if err := s.write(ctx, tx, write.statement, write.rows, false); err != nil {
			return err
		}
	}
	return nil
}

// rowsOf are the rows of a statement.
func rowsOf[Row any](from []Row, row func(Row) []any) [][]any {
	rows := make([][]any, len(from))
	for i, r := range from {
		rows[i] = row(r)
	}
	return rows
}
