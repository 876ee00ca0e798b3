package pgstore_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/bulk"
	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

var byHand = []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Contract{})}

// scale is how many runs the plans are looked at with: those of `make plans` take minutes to insert.
func scale() (ended, active int) {
	if os.Getenv("PLANS") == "full" {
		return 1_000_000, 100_000
	}
	return 20_000, 2_000
}

// readsAll are the statements that look at all runs, as whoever calls for them knows.
var readsAll = map[string]string{
	"LivingShapes":  "before a shape is deleted, the rest of retention",
	"UnusedShapes":  "the same",
	"DeleteShapes":  "the same",
	"CountPrunable": "an operator's preview",
}

// sentPlainly are the statements that are sent without the settings of indexed. A plan that a connection keeps of them may have a
// sequential scan wherever the planner likes one.
var sentPlainly = map[string]bool{
	"InsertRun": true, "Taken": true, "FindByID": true, "FindByKey": true, "FindByWorkflow": true, "FindByStatus": true,
	"Specs": true, "SaveSpecs": true, "Roster": true,
	"Triggers": true, "TriggersByKey": true, "LockTriggers": true, "DueTriggers": true,
}

// No statement may read all rows of the tables that grow, planned as it is sent: neither by a plan that was made while they were empty,
// which a connection keeps until the next analyze, nor by one that was made when they had grown, nor, where the settings do not rule that
// out, by one for the values of the moment.
func TestStatements_FindTheirRowsByIndexes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := dbtest.Postgres(t)
	conn, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	settled, plain := prepareAll(t, conn)
	set := func(settings string) {
		_, err := conn.Exec(ctx, settings)
		require.NoError(t, err)
	}
	kept := func(when string) {
		set("set plan_cache_mode = force_generic_plan")
		requireIndexes(t, conn, plain, when)
		set("set enable_seqscan = off; set jit = off") // as in indexed
		requireIndexes(t, conn, settled, when)
		set("reset enable_seqscan; reset jit")
	}
	kept("empty tables")

	ended, active := scale()
	began := time.Now()
	grow(t, pool, ended, active)
	t.Logf("%d ended runs and %d active ones inserted in %s", ended, active, time.Since(began).Round(time.Second))
	kept("kept plans")
	var tables string // of this test: those of others are theirs
	err = pool.QueryRow(t.Context(), "select string_agg(quote_ident(tablename), ', ') from pg_tables where schemaname = current_schema()").Scan(&tables)
	require.NoError(t, err)
	set("vacuum (analyze) " + tables)
	kept("new plans")
	set("set plan_cache_mode = force_custom_plan")
	requireIndexes(t, conn, plain, "plans of the moment")
	logTick(t, pool)
}

// logTick says what a tick costs that looks at everything, with 5,000 deliveries at work.
func logTick(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	store := pgstore.New(pool, nil)
	best := time.Hour
	for range 10 {
		require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			began := time.Now()
			_, err := store.Workers(ctx, tx, driver.WorkerTick{
				Lease: time.Minute, DueWithin: time.Nanosecond, Overdue: time.Second, Late: 10 * time.Second, Limit: 200,
			})
			best = min(best, time.Since(began))
			return err
		}))
	}
	t.Logf("a tick that looks for attempts past their deadline: %s", best)
}

// prepareAll prepares every statement that is one and not a part of others.
func prepareAll(t *testing.T, conn *pgxpool.Conn) (settled, plain []string) {
	t.Helper()
	texts, err := sqltext.Statements(os.DirFS("sql"), "")
	require.NoError(t, err)
	verb := regexp.MustCompile(`^(select|insert|update|delete|with)\b`)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if readsAll[name] != "" || !verb.MatchString(texts[name]) {
			continue
		}
		sql, _, err := pgx.NamedArgs{}.RewriteQuery(t.Context(), conn.Conn(), texts[name], nil)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), fmt.Sprintf("prepare %q as %s", name, sql))
		require.NoError(t, err, name)
		if sentPlainly[name] {
			plain = append(plain, name)
		} else {
			settled = append(settled, name)
		}
	}
	require.Len(t, plain, len(sentPlainly))
	require.Greater(t, len(settled)+len(plain), 40)
	return settled, plain
}

var (
	growing  = `squidmesh_(run|step|event|attempt|fire)`
	readAll  = regexp.MustCompile(`Seq Scan on ` + growing + `\b`)
	indexed  = regexp.MustCompile(`(Index Scan|Index Only Scan).* on ` + growing + `\b|Bitmap Index Scan on ` + growing + `_`)
	byValues = "Index Cond:"
	ofRuns   = regexp.MustCompile(`squidmesh_(step|event|attempt)_pkey`) // whose first column is the run
)

// requireIndexes looks at the plans of prepared statements: tables that grow are read by indexes, and these are searched, not read through.
func requireIndexes(t *testing.T, conn *pgxpool.Conn, statements []string, when string) {
	t.Helper()
	for _, name := range statements {
		var arguments int
		require.NoError(t, conn.QueryRow(t.Context(), "select cardinality(parameter_types) from pg_prepared_statements where name = $1", name).
			Scan(&arguments))
		call := fmt.Sprintf("explain execute %q", name)
		if arguments > 0 {
			call += "(null" + strings.Repeat(", null", arguments-1) + ")"
		}
		rows, err := conn.Query(t.Context(), call, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, name)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, name)
		plan := strings.Join(lines, "\n")
		if readAll.MatchString(plan) {
			t.Errorf("%s, %s: reads a table from end to end\n%s", when, name, plan)
		}
		for i, line := range lines {
			if !indexed.MatchString(line) {
				continue
			}
			if condition := lines[min(i+1, len(lines)-1)]; !strings.Contains(condition, byValues) ||
				ofRuns.MatchString(line) && !strings.Contains(condition, "run_id") {
				t.Errorf("%s, %s: reads an index from end to end\n%s", when, name, plan)
				break
			}
		}
	}
}

// grow fills the database with runs: some of each kind are real, and the others are copies of them.
func grow(t *testing.T, pool *pgxpool.Pool, ended, active int) {
	t.Helper()
	ctx := t.Context()
	kit := squidmeshtest.NewOn(t, squidmeshtest.Options[pgx.Tx]{
		Config: squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{
			{Name: "pay", Triggers: byHand, Steps: []squidmesh.Step{
				{Name: "charge", Retry: flow.Constant(2, time.Second), Next: "ship", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
					if info, _ := squidmesh.Info(ctx); info.Attempt == 1 {
						return context.DeadlineExceeded
					}
					return nil
				})},
				{Name: "ship", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })},
			}},
			{Name: "soon", Triggers: byHand, Steps: []squidmesh.Step{{Name: "wait", Do: squidmesh.Wait(time.Hour)}}},
			{Name: "later", Triggers: byHand, Steps: []squidmesh.Step{{Name: "wait", Do: squidmesh.Wait(30 * 24 * time.Hour)}}},
			{Name: "asking", Triggers: byHand, Steps: []squidmesh.Step{{Name: "ask", Do: squidmesh.Approval(), Timeout: 72 * time.Hour, Output: "answer", OnError: flow.Complete}}},
		}},
		Open: func(clock func(time.Time) time.Time) driver.Store[pgx.Tx] {
			return pgstore.New(pool, &pgstore.Options{Clock: clock})
		},
	})
	paid := kit.Start("pay", nil)
	kit.RunUntilIdle()
	require.Equal(t, flow.RunCompleted, paid.Status())
	ago := fmt.Sprintf("clock_timestamp() - n * interval '30 days' / %d", ended)
	require.NoError(t, bulk.Copy(ctx, pool, paid.ID, ended, bulk.Changes{
		"squidmesh_run.created_at": ago, "squidmesh_run.finished_at": ago, "squidmesh_run.last_at": ago,
	}))
	for _, workflow := range []string{"soon", "later", "asking"} {
		run := kit.Start(workflow, nil)
		require.NoError(t, bulk.Copy(ctx, pool, run.ID, active/3, bulk.Changes{
			"squidmesh_run.created_at":   "clock_timestamp() - n * interval '1 second'",
			"squidmesh_step.due_at":      "due_at + n * interval '1 second'",
			"squidmesh_step.deadline_at": "deadline_at + n * interval '1 second'",
		}))
	}
	_, err := pool.Exec(ctx, `insert into squidmesh_hold (worker, run_id, name, phase)
		select 1 + row_number() over () % 10, run_id, name, phase from squidmesh_step where due_at is not null limit 5000`)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `insert into squidmesh_fire (workflow, name, key, signal_id, window_at, state, run_id, fired_at, sent)
		select workflow, 'nightly', id::text, id::text, created_at, 'started', id, created_at, 1 from squidmesh_run`)
	require.NoError(t, err)
}
