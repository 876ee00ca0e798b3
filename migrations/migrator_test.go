package migrations_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// eachDialect runs a test on an empty database of both sorts.
func eachDialect(t *testing.T, test func(t *testing.T, open func() *migrations.Migrator)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()

		pool := dbtest.Postgres(t, dbtest.Empty)
		test(t, func() *migrations.Migrator { return migrations.Postgres(pool, nil) })
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()

		db := dbtest.SQLite(t, nil, dbtest.Empty).DB()
		test(t, func() *migrations.Migrator { return migrations.SQLite(db, nil) })
	})
}

func TestMigrate_UpDownUp(t *testing.T) {
	t.Parallel()

	eachDialect(t, func(t *testing.T, open func() *migrations.Migrator) {
		ctx, m := t.Context(), open()
		newest := len(m.Versions())

		valid, err := m.Validate(ctx)
		require.NoError(t, err)
		require.False(t, valid.OK)
		require.Contains(t, valid.Messages[0], "001_initial is not applied")

		for range 2 {
			up, err := m.Migrate(ctx, migrations.Up, nil)
			require.NoError(t, err)
			require.Len(t, up.Versions, newest)
			valid, err = m.Validate(ctx)
			require.NoError(t, err)
			require.True(t, valid.OK, valid.Messages)
			listed, err := m.List(ctx)
			require.NoError(t, err)
			require.Len(t, listed, newest)
			require.False(t, listed[0].AppliedAt.IsZero())

			again, err := m.Migrate(ctx, migrations.Up, nil)
			require.NoError(t, err)
			require.Empty(t, again.Versions)

			down, err := m.Migrate(ctx, migrations.Down, &migrations.MigrateOptions{TargetVersion: -1})
			require.NoError(t, err)
			require.Len(t, down.Versions, newest)
			require.Equal(t, 1, down.Versions[newest-1].Version)
		}
	})
}

func TestMigrate_DryRunChangesNothing(t *testing.T) {
	t.Parallel()

	eachDialect(t, func(t *testing.T, open func() *migrations.Migrator) {
		m := open()
		result, err := m.Migrate(t.Context(), migrations.Up, &migrations.MigrateOptions{DryRun: true})
		require.NoError(t, err)
		require.Len(t, result.Versions, len(m.Versions()))
		require.Contains(t, result.Versions[0].SQL, "create table squidmesh_run")
		valid, err := m.Validate(t.Context())
		require.NoError(t, err)
		require.False(t, valid.OK)
	})
}

func TestMigrate_SeveralAtOnceApplyEachVersionOnce(t *testing.T) {
	t.Parallel()

	eachDialect(t, func(t *testing.T, open func() *migrations.Migrator) {
		const processes = 4
		for range 5 {
			applied, failed := make(chan int, processes), make(chan error, processes)
			for range processes {
				go func() {
					result, err := open().Migrate(context.WithoutCancel(t.Context()), migrations.Up, nil)
					applied <- len(result.Versions)
					failed <- err
				}()
			}
			sum := 0
			for range processes {
				sum += <-applied
				require.NoError(t, <-failed)
			}
			require.Equal(t, len(open().Versions()), sum)
			_, err := open().Migrate(t.Context(), migrations.Down, &migrations.MigrateOptions{TargetVersion: -1})
			require.NoError(t, err)
		}
	})
}

func TestMigrate_AnUnknownVersionIsNotValid(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	_, err := pool.Exec(t.Context(), "insert into squidmesh_migration (version) values (999)")
	require.NoError(t, err)
	valid, err := migrations.Postgres(pool, nil).Validate(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"Migration 999 is applied but unknown: the database is newer than this program."}, valid.Messages)
}

func TestMigrate_IntoANamedSchema(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.Empty)
	schema := dbtest.Schema(pool)
	elsewhere := pool.Config()
	delete(elsewhere.ConnConfig.RuntimeParams, "search_path")
	other, err := pgxpool.NewWithConfig(t.Context(), elsewhere)
	require.NoError(t, err)
	defer other.Close()

	require.NoError(t, migrations.UpAllPostgres(t.Context(), other, &migrations.Options{Schema: schema}))
	require.NoError(t, migrations.UpAllPostgres(t.Context(), other, &migrations.Options{Schema: schema}))
	for _, table := range []string{"squidmesh_run", "river_job"} {
		var n int
		require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from "+schema+"."+table).Scan(&n))
	}
	_, err = migrations.Postgres(other, &migrations.Options{Schema: schema}).Migrate(t.Context(), migrations.Down, nil)
	require.NoError(t, err)
}

// Bad options are found by the first call that could do something, before it does.
func TestMigrate_RefusesBadArguments(t *testing.T) {
	t.Parallel()

	pool, db := dbtest.Postgres(t, dbtest.Empty), dbtest.SQLite(t, nil, dbtest.Empty).DB()
	ctx := t.Context()
	refused := func(err error, field, code string) {
		t.Helper()
		var bad *squidmesh.InputError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, [2]string{field, code}, [2]string{bad.Field, bad.Code})
		require.Equal(t, "invalid_argument", squidmesh.CodeOf(err))
		require.LessOrEqual(t, len(err.Error()), 200, "an error repeats little of what was given")
	}
	fits := strings.Repeat("a", 46)
	for _, schema := range []string{"Upper", "a-b", "1a", "x\"; drop table y; --", "a\x00", fits + "a", strings.Repeat("\x00", 1000)} {
		m := migrations.Postgres(pool, &migrations.Options{Schema: schema})
		_, err := m.Migrate(ctx, migrations.Up, nil)
		refused(err, "Schema", "bad_name")
		_, err = m.Validate(ctx)
		refused(err, "Schema", "bad_name")
		_, err = m.List(ctx)
		refused(err, "Schema", "bad_name")
		_, err = m.SQL(1, migrations.Up)
		refused(err, "Schema", "bad_name")
	}
	_, err := migrations.Postgres(pool, &migrations.Options{Schema: "pg_temp"}).Migrate(ctx, migrations.Up, nil)
	refused(err, "Schema", "reserved_name")
	for _, schema := range []string{fits, fits[1:]} {
		_, err := migrations.Postgres(pool, &migrations.Options{Schema: schema}).SQL(1, migrations.Up)
		require.NoError(t, err)
	}
	_, err = migrations.SQLite(db, &migrations.Options{Schema: "app"}).Migrate(ctx, migrations.Up, nil)
	refused(err, "Schema", "not_applicable")

	for _, m := range []*migrations.Migrator{migrations.Postgres(pool, nil), migrations.SQLite(db, nil)} {
		newest := len(m.Versions())
		for _, direction := range []migrations.Direction{"", "UP", "sideways", migrations.Direction(strings.Repeat("\x00", 1000))} {
			_, err = m.Migrate(ctx, direction, nil)
			refused(err, "direction", "unknown_direction")
			_, err = m.SQL(1, direction)
			refused(err, "direction", "unknown_direction")
		}
		for _, c := range []struct {
			direction migrations.Direction
			target    int
		}{{migrations.Up, newest + 1}, {migrations.Down, newest + 1}, {migrations.Up, -1}, {migrations.Down, -2}} {
			_, err = m.Migrate(ctx, c.direction, &migrations.MigrateOptions{TargetVersion: c.target})
			refused(err, "TargetVersion", "out_of_range")
		}
		for _, version := range []int{-1, 0, newest + 1} {
			_, err = m.SQL(version, migrations.Up)
			refused(err, "version", "out_of_range")
		}
		listed, err := m.List(ctx)
		require.NoError(t, err)
		for _, v := range listed {
			require.Zero(t, v.AppliedAt, "nothing was done")
		}
		_, err = m.Migrate(ctx, migrations.Up, &migrations.MigrateOptions{TargetVersion: newest, DryRun: true})
		require.NoError(t, err)
	}
}

func TestUpAll_BothDatabasesTwice(t *testing.T) {
	t.Parallel()

	pool, db := dbtest.Postgres(t, dbtest.River), dbtest.SQLite(t, nil, dbtest.River).DB()
	require.NoError(t, migrations.UpAllPostgres(t.Context(), pool, nil))
	require.NoError(t, migrations.UpAllSQLite(t.Context(), db, nil))
}

// Another tool that runs the printed SQL leaves a database that this package recognises.
func TestSQL_RecordsItself(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.Empty)
	m := migrations.Postgres(pool, nil)
	for _, v := range m.Versions() {
		text, err := m.SQL(v.Version, migrations.Up)
		require.NoError(t, err)
		_, err = pool.Exec(t.Context(), text)
		require.NoError(t, err)
	}
	valid, err := m.Validate(t.Context())
	require.NoError(t, err)
	require.True(t, valid.OK, valid.Messages)
}

// What is written by hand must at least be a word that programs know.
func TestTables_RefuseUnknownStatuses(t *testing.T) {
	t.Parallel()

	const run = "insert into squidmesh_run (id, workflow, trigger, shape, created_at, status, verdict, compensate, version, seq, last_at, open, retrying) "
	const step = "insert into squidmesh_step (run_id, name, phase, status, attempt, failures, losses, missing) "
	const id = "'00000000-0000-0000-0000-000000000001'"
	pool := dbtest.Postgres(t)
	db := dbtest.SQLite(t, nil).DB()
	for name, statement := range map[string]string{
		"run status":     run + "values (" + id + ", 'w', 't', 's', {now}, 'done', '', false, 1, 1, {now}, 0, 0)",
		"verdict":        run + "values (" + id + ", 'w', 't', 's', {now}, 'running', 'maybe', false, 1, 1, {now}, 0, 0)",
		"open":           run + "values (" + id + ", 'w', 't', 's', {now}, 'running', '', false, 1, 1, {now}, -1, 0)",
		"step status":    step + "values (" + id + ", 'a', 'do', 'waiting', 1, 0, 0, 0)",
		"phase":          step + "values (" + id + ", 'a', 'redo', 'running', 1, 0, 0, 0)",
		"attempt's end":  "insert into squidmesh_attempt (run_id, name, phase, attempt, outcome, ended_at) values (" + id + ", 'a', 'do', 1, 'gone', {now})",
		"hold's phase":   "insert into squidmesh_hold (worker, run_id, name, phase) values (1, " + id + ", 'a', '')",
		"run without id": "insert into squidmesh_run (workflow) values ('w')",
	} {
		_, err := pool.Exec(t.Context(), strings.ReplaceAll(statement, "{now}", "now()"))
		require.ErrorContains(t, err, "constraint", name)
		_, err = db.ExecContext(t.Context(), strings.ReplaceAll(statement, "{now}", "1"))
		require.ErrorContains(t, err, "constraint", name)
	}
	good := run + "values (" + id + ", 'w', 't', 's', {now}, 'running', '', false, 1, 1, {now}, 0, 0)"
	_, err := pool.Exec(t.Context(), strings.ReplaceAll(good, "{now}", "now()"))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), strings.ReplaceAll(good, "{now}", "1"))
	require.NoError(t, err)
}
