package pgstore_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// What a step may cost that its worker goes on with, of which there are thousands a second.
const (
	rowVersionsPerStep  = 4
	indexEntriesPerStep = 2.2
	walBytesPerStep     = 1500 // without images of pages
	hotUpdates          = 0.85
)

func continueSteps(t *testing.T) string {
	t.Helper()
	statements, err := sqltext.Statements(os.DirFS("sql"), "")
	require.NoError(t, err)
	require.NotEmpty(t, statements["ContinueSteps"])
	return statements["ContinueSteps"]
}

// written is what a transaction has written so far, as its connection counts it.
type written struct {
	Versions, Updates, Hot int64
	Entries                int64 // of indexes without a condition, which each version enters that is not HOT
	Generic, Custom        int64 // plans of ContinueSteps
}

func (w *written) add(ctx context.Context, tx pgx.Tx, statement string, sign int64) error {
	rows, err := tx.Query(ctx, `select coalesce(sum(n_tup_ins + n_tup_upd), 0)::bigint as versions,
			coalesce(sum(n_tup_upd), 0)::bigint as updates, coalesce(sum(n_tup_hot_upd), 0)::bigint as hot,
			coalesce(sum((n_tup_ins + n_tup_upd - n_tup_hot_upd) *
				(select count(*) from pg_index i where i.indrelid = t.relid and i.indpred is null)), 0)::bigint as entries,
			(select coalesce(sum(generic_plans), 0)::bigint from pg_prepared_statements where statement = $1) as generic,
			(select coalesce(sum(custom_plans), 0)::bigint from pg_prepared_statements where statement = $1) as custom
		from pg_stat_xact_user_tables t where schemaname = current_schema()`, statement)
	if err != nil {
		return err
	}
	so, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[written])
	w.Versions += sign * so.Versions
	w.Updates += sign * so.Updates
	w.Hot += sign * so.Hot
	w.Entries += sign * so.Entries
	w.Generic += sign * so.Generic
	w.Custom += sign * so.Custom
	return err
}

// A step that its worker goes on with costs two updates and two inserts, and hardly an index entry but those of the two inserts, since the
// updates are HOT. An index on anything that changes with each step breaks this test, as does a transition that Decide makes and that
// the statement for such steps does not take.
func TestContinueSteps_WritesFourRowVersionsAndTwoIndexEntries(t *testing.T) {
	t.Parallel()

	const runs, steps, rounds = 50, 20, 40
	statement := continueSteps(t)
	store := pgstore.New(dbtest.Postgres(t, dbtest.Alone), nil)
	ledger := dbtest.NewLedger(t, store)
	for round := 1; ; round++ {
		ledger.InTx = store.Pipeline
		accounts := ledger.Start(t, runs)
		var w written
		ledger.InTx = func(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
			return store.Pipeline(ctx, func(ctx context.Context, tx pgx.Tx) error {
				if err := w.add(ctx, tx, statement, -1); err != nil { // with what earlier transactions have not reported yet
					return err
				}
				if err := fn(ctx, tx); err != nil {
					return err
				}
				return w.add(ctx, tx, statement, 1)
			})
		}
		for range steps {
			ledger.Advance(t, accounts)
		}
		t.Logf("%+v", w)
		require.EqualValues(t, steps, w.Generic, "each commit is one statement, planned once")
		require.Zero(t, w.Custom)
		require.EqualValues(t, rowVersionsPerStep*runs*steps, w.Versions)
		entries, hot := float64(w.Entries)/(runs*steps), float64(w.Hot)/float64(w.Updates)
		if entries <= indexEntriesPerStep && hot >= hotUpdates {
			return
		}
		// As long as some other transaction may see old versions, an analyze perhaps, their pages fill up. So they do while one that writes
		// is open in any database of the server, since a snapshot begins at the oldest of them all.
		require.Less(t, round, rounds, "%.2f index entries a step, %.2f of updates HOT", entries, hot)
	}
}

// explained is a transaction that has a statement explained while it is executed.
type explained struct {
	pgx.Tx
	statement string
	plans     [][]byte
}

func (e *explained) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	for _, q := range b.QueuedQueries {
		if q.SQL == e.statement {
			q.SQL = "explain (analyze, wal, format json) " + q.SQL
			q.QueryRow(func(row pgx.Row) error {
				var plan []byte
				err := row.Scan(&plan)
				e.plans = append(e.plans, plan)
				return err
			})
		}
	}
	return e.Tx.SendBatch(ctx, b)
}

// walNode is a node of a plan, with what it and those below it have logged.
type walNode struct {
	Type   string `json:"Node Type"`
	Bytes  int    `json:"WAL Bytes"`
	Images int    `json:"WAL FPI"`
	Plans  []walNode
}

// logged is what the writing nodes of a plan have logged. Those of a WITH are not below the node that reads them.
func (n walNode) logged() (bytes, images int) {
	if n.Type == "ModifyTable" {
		return n.Bytes, n.Images
	}
	for _, plan := range n.Plans {
		b, i := plan.logged()
		bytes, images = bytes+b, images+i
	}
	return bytes, images
}

func TestContinueSteps_LogsLittle(t *testing.T) {
	t.Parallel()

	const runs, steps, rounds = 50, 40, 40
	statement := continueSteps(t)
	store := pgstore.New(dbtest.Postgres(t, dbtest.Alone), nil)
	ledger := dbtest.NewLedger(t, store)
	for round := 1; ; round++ {
		ledger.InTx = store.InTx
		accounts := ledger.Start(t, runs)
		var plans [][]byte
		ledger.InTx = func(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
			return store.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
				e := &explained{Tx: tx, statement: statement}
				err := fn(ctx, e)
				plans = append(plans, e.plans...)
				return err
			})
		}
		for range steps {
			ledger.Advance(t, accounts)
		}
		require.Len(t, plans, steps)
		var bytes, measured int
		for _, text := range plans {
			var plan []struct{ Plan walNode }
			require.NoError(t, json.Unmarshal(text, &plan), "%s", text)
			logged, images := plan[0].Plan.logged()
			require.Greater(t, logged, runs*100, "%s", text)
			if images == 0 { // else a checkpoint has just begun
				bytes, measured = bytes+logged, measured+runs
			}
		}
		t.Logf("%d bytes a step, of %d steps", bytes/max(measured, 1), measured)
		if measured > runs*steps/2 && bytes <= walBytesPerStep*measured {
			return
		}
		// An update that is not HOT logs entries of indexes too. The test above says why there may be such.
		require.Less(t, round, rounds)
	}
}
