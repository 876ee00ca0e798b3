package pgstore_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// explain returns the plan of a statement.
func explain(t *testing.T, tx pgx.Tx, sql string, args ...any) string {
	t.Helper()
	rows, err := tx.Query(t.Context(), "explain "+sql, args...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

// What the services ask for each second must not read what is merely waiting.
func TestTick_FindsJoblessStepsByTheirOwnIndex(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	ctx := t.Context()
	_, err := pool.Exec(ctx, `
		insert into squidmesh_step (run_id, name, phase, status, attempt, failures, losses, missing, due_at, job_id)
		select gen_random_uuid(), 'wait', 'do', 'scheduled', 1, 0, 0, 0, now() + n * interval '1 second', n::text
		from generate_series(1, 20000) as n`)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, "analyze squidmesh_step")
	require.NoError(t, err)
	require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		plan := explain(t, tx, `select * from squidmesh_step where due_at is not null and job_id is null and status = 'scheduled'
			and due_at < now() + interval '1 day' and (due_at, run_id, name, phase) > ('-infinity', gen_random_uuid(), '', '')
			order by due_at, run_id, name, phase limit 100`)
		require.Contains(t, plan, "squidmesh_step_jobless", plan)
		return nil
	}))
}

// The tick's many parts look expensive to the planner, which then compiles the statement for two seconds each second.
func TestTick_IsNotCompiled(t *testing.T) {
	t.Parallel()
	store := pgstore.New(dbtest.Postgres(t), nil)
	require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := store.Workers(ctx, tx, driver.WorkerTick{Register: &flow.Worker{Name: "w"}, Lease: time.Minute, Limit: 10})
		require.NoError(t, err)
		var jit string
		require.NoError(t, tx.QueryRow(ctx, "show jit").Scan(&jit))
		require.Equal(t, "off", jit)
		return nil
	}))
}

// What retention looks for must not cost what is kept, be the statement planned with its values or once for all.
func TestPrune_FindsWhatHasEndedByItsIndex(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	ctx := t.Context()
	for _, sql := range []string{
		`insert into squidmesh_run (id, workflow, trigger, shape, created_at, status, verdict, compensate, version, seq, last_at, open, retrying, finished_at)
		select gen_random_uuid(), 'w', 'manual', 's', at, 'completed', '', false, 1, 1, at, 0, 0, at
		from (select now() - n * interval '1 second' as at from generate_series(1, 100000) as n) as runs`,
		`insert into squidmesh_fire (workflow, name, key, signal_id, window_at, state, reason, fired_at, sent)
		select 'w', 't', n::text, n::text, now(), 'skipped', 'missed', now() - n * interval '1 second', 0 from generate_series(1, 20000) as n`,
		"analyze squidmesh_run", "analyze squidmesh_fire",
	} {
		_, err := pool.Exec(ctx, sql)
		require.NoError(t, err)
	}
	statements, err := sqltext.Statements(os.DirFS("sql"), "")
	require.NoError(t, err)
	require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			_, err := tx.Exec(ctx, "set local plan_cache_mode = "+mode)
			require.NoError(t, err)
			old := time.Now().Add(-10 * time.Hour)
			plan := explain(t, tx, statements["EndedRuns"], "completed", old, 1000)
			require.Contains(t, plan, "Index Scan using squidmesh_run_finished", plan)
			require.NotContains(t, plan, "Sort", plan)
			plan = explain(t, tx, statements["IdleFires"], old, 1000)
			require.Contains(t, plan, "Index Scan using squidmesh_fire_idle", plan)
			require.NotContains(t, plan, "Sort", plan)
		}
		return nil
	}))

	// A batch of it goes, and the next one is found where the last ended.
	store := pgstore.New(pool, nil)
	for range 2 {
		require.NoError(t, store.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			pruned, err := store.Prune(ctx, tx, driver.PruneQuery{Completed: time.Now().Add(-time.Hour), Limit: 1000})
			require.Equal(t, driver.Pruned{Completed: 1000}, pruned)
			return err
		}))
	}
}

// A start holds the definition that it counts on until its run is there; but a look at the runs that began before sees none.
func TestPrune_LeavesAShapeWhoseRunCameMeanwhile(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	ctx := t.Context()
	_, err := pool.Exec(ctx, `insert into squidmesh_spec (shape, workflow, body, used_at)
		select shape, 'w', '{}', now() - interval '2 days' from unnest(array['a', 'b']) as shape`)
	require.NoError(t, err)
	statements, err := sqltext.Statements(os.DirFS("sql"), "")
	require.NoError(t, err)
	require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, statements["UnusedShapes"], time.Now().Add(-24*time.Hour))
		require.NoError(t, err)
		unused, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, unused)
		_, err = pool.Exec(ctx, `insert into squidmesh_run
			(id, workflow, trigger, shape, created_at, status, verdict, compensate, version, seq, last_at, open, retrying)
			values (gen_random_uuid(), 'w', 'manual', 'a', now(), 'pending', '', false, 1, 1, now(), 1, 0)`)
		require.NoError(t, err)
		tag, err := tx.Exec(ctx, statements["DeleteShapes"], unused)
		require.EqualValues(t, 1, tag.RowsAffected())
		return err
	}))
	var left string
	require.NoError(t, pool.QueryRow(ctx, "select shape from squidmesh_spec").Scan(&left))
	require.Equal(t, "a", left)
}

// What holds a window up must be found without reading what has ended, however long that is kept.
func TestFires_WhatIsAheadIsFoundByItsIndexes(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	ctx := t.Context()
	for _, sql := range []string{
		`insert into squidmesh_run (id, workflow, trigger, shape, window_at, created_at, status, verdict, compensate, version, seq, last_at, open, retrying, finished_at)
		select gen_random_uuid(), 'w', 't', 's', at, at, 'completed', '', false, 1, 1, at, 0, 0, at
		from (select now() - n * interval '1 minute' as at from generate_series(1, 20000) as n) as runs`,
		`insert into squidmesh_fire (workflow, name, key, signal_id, window_at, state, run_id, fired_at, sent)
		select 'w', 't', id::text, id::text, window_at, 'started', id, window_at, 1 from squidmesh_run`,
		"analyze squidmesh_run", "analyze squidmesh_fire",
	} {
		_, err := pool.Exec(ctx, sql)
		require.NoError(t, err)
	}
	statements, err := sqltext.Statements(os.DirFS("sql"), "")
	require.NoError(t, err)
	require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		plan := explain(t, tx, statements["FiresAhead"], pgx.NamedArgs{"workflows": []string{"w"}, "triggers": []string{"t"}, "ahead": time.Now()})
		require.Contains(t, plan, "squidmesh_run_window_open", plan)
		require.Contains(t, plan, "squidmesh_fire_queued", plan)
		require.NotContains(t, plan, "Seq Scan", plan)
		return nil
	}))
}
