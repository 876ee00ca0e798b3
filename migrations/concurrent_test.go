package migrations_test

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// patience is for what would wait for ever if it were wrong.
const patience = time.Minute

// poolLike opens another pool on the schema of one, as another process has it.
func poolLike(t *testing.T, pool *pgxpool.Pool, connections int32, settings map[string]string) *pgxpool.Pool {
	t.Helper()
	config := pool.Config()
	config.MaxConns = connections
	for name, value := range settings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	other, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), config)
	require.NoError(t, err)
	t.Cleanup(other.Close)
	return other
}

func requireMigrated(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	valid, err := migrations.Postgres(pool, nil).Validate(t.Context())
	require.NoError(t, err)
	require.True(t, valid.OK, valid.Messages)
	var jobs int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from river_job").Scan(&jobs))
}

// together calls fn several times at once.
func together(t *testing.T, times int, fn func(ctx context.Context, i int) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for i := range times {
		group.Go(func() error { return fn(ctx, i) })
	}
	require.NoError(t, group.Wait())
}

// So it is on a pool, and so it is for several processes behind a pooler that lends a connection for a transaction.
func TestUpAllPostgres_AtOnceOnFewConnections(t *testing.T) {
	t.Parallel()
	for connections := int32(1); connections <= 4; connections++ {
		pool := poolLike(t, dbtest.Postgres(t, dbtest.Empty), connections, nil)
		together(t, 5, func(ctx context.Context, _ int) error { return migrations.UpAllPostgres(ctx, pool, nil) })
		requireMigrated(t, pool)
	}
}

// A program may hold connections while it migrates, and one that is left is enough.
func TestUpAllPostgres_WithOneConnectionThatIsLeft(t *testing.T) {
	t.Parallel()
	pool := poolLike(t, dbtest.Postgres(t, dbtest.Empty), 2, nil)
	held, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer held.Release()
	together(t, 2, func(ctx context.Context, _ int) error { return migrations.UpAllPostgres(ctx, pool, nil) })
	requireMigrated(t, pool)
}

// A server may begin transactions in another isolation, where who has waited for the lock sees what was there before.
func TestUpAllPostgres_ByProcessesWhoseTransactionsAreIsolated(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			pool := dbtest.Postgres(t, dbtest.Empty)
			processes := make([]*pgxpool.Pool, 8)
			for i := range processes {
				processes[i] = poolLike(t, pool, 2, map[string]string{"default_transaction_isolation": level})
			}
			together(t, len(processes), func(ctx context.Context, i int) error {
				return migrations.UpAllPostgres(ctx, processes[i], nil)
			})
			requireMigrated(t, pool)
		})
	}
}

// Who waits for another migrator occupies nothing meanwhile: neither a connection of the pool nor one of a pooler in between.
func TestMigrate_GivesItsConnectionBackWhileItWaits(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t, dbtest.Empty)
	other, err := pool.Begin(t.Context()) // another process's, at a long migration
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), "select pg_advisory_xact_lock(hashtextextended('squidmesh_migration.' || current_schema(), 0))")
	require.NoError(t, err)

	small := poolLike(t, pool, 1, nil)
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() { ended <- migrations.UpAllPostgres(context.WithoutCancel(t.Context()), small, nil) }()
	}
	require.Eventually(t, func() bool { return small.Stat().AcquireCount() >= 4 }, patience, time.Millisecond, "both have asked for the lock, and again")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, small.Ping(ctx), "its only connection is free in between")
	require.Empty(t, ended)
	require.NoError(t, other.Rollback(t.Context()))
	for range cap(ended) {
		require.NoError(t, <-ended)
	}
	requireMigrated(t, small)
}

// The wait for another migrator ends with the caller's patience, and says what it was for.
func TestMigrate_WaitsAsLongAsItsCaller(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t, dbtest.Empty)
	other, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Rollback(t.Context())) }()
	_, err = other.Exec(t.Context(), "select pg_advisory_xact_lock(hashtextextended('squidmesh_migration.' || current_schema(), 0))")
	require.NoError(t, err)

	waiter := poolLike(t, pool, 1, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- migrations.UpAllPostgres(ctx, waiter, nil) }()
	require.Eventually(t, func() bool { return waiter.Stat().AcquireCount() >= 2 }, patience, time.Millisecond)
	cancel()
	err = <-ended
	require.ErrorIs(t, err, context.Canceled)
}

// River's migrations of an older program are brought up too, though one of them cannot share its transaction with the next.
func TestUpAllPostgres_FromEachVersionOfRiver(t *testing.T) {
	t.Parallel()
	for version := 1; version <= len(riverVersions(t)); version++ {
		pool := dbtest.Postgres(t, dbtest.Empty)
		riverUpTo(t, pool, version)
		require.NoError(t, migrations.UpAllPostgres(t.Context(), poolLike(t, pool, 1, nil), nil), "from version %d", version)
		requireMigrated(t, pool)
	}
}

func TestMigrate_AsksForTheSchema(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t, dbtest.Empty)
	nowhere := poolLike(t, pool, 1, map[string]string{"search_path": "not_there"})
	for name, m := range map[string]struct {
		pool    *pgxpool.Pool
		options *migrations.Options
		says    string
	}{
		"by name":        {pool, &migrations.Options{Schema: "not_there"}, `"not_there"`},
		"by search_path": {nowhere, nil, "search_path"},
	} {
		calls := map[string]func() error{
			"UpAll": func() error { return migrations.UpAllPostgres(t.Context(), m.pool, m.options) },
			"Migrate": func() error {
				_, err := migrations.Postgres(m.pool, m.options).Migrate(t.Context(), migrations.Up, nil)
				return err
			},
			"Validate": func() error { _, err := migrations.Postgres(m.pool, m.options).Validate(t.Context()); return err },
			"List":     func() error { _, err := migrations.Postgres(m.pool, m.options).List(t.Context()); return err },
		}
		for call, fn := range calls {
			err := fn()
			var bad *squidmesh.InputError
			require.ErrorAs(t, err, &bad, "%s %s", name, call)
			require.Equal(t, [2]string{"Schema", "no_schema"}, [2]string{bad.Field, bad.Code})
			require.ErrorContains(t, err, m.says)
			require.ErrorContains(t, err, "create it first")
		}
	}
}

func TestUpAllSQLite_ByProcessesAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		path := filepath.Join(t.TempDir(), "mesh.db")
		databases := make([]*sql.DB, 4)
		for i := range databases {
			db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(60000)")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			databases[i] = db
		}
		together(t, len(databases), func(ctx context.Context, i int) error { return migrations.UpAllSQLite(ctx, databases[i], nil) })
		store, err := sqlitestore.Open(t.Context(), path, nil)
		require.NoError(t, err)
		valid, err := migrations.SQLite(store.DB(), nil).Validate(t.Context())
		require.NoError(t, err)
		require.True(t, valid.OK, valid.Messages)
		require.NoError(t, store.Close())
	}
}

func riverMigrator(t *testing.T, pool *pgxpool.Pool) *rivermigrate.Migrator[pgx.Tx] {
	t.Helper()
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return m
}

func riverVersions(t *testing.T) []rivermigrate.Migration {
	t.Helper()
	return riverMigrator(t, nil).AllVersions()
}

func riverUpTo(t *testing.T, pool *pgxpool.Pool, version int) {
	t.Helper()
	_, err := riverMigrator(t, pool).Migrate(t.Context(), rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: version})
	require.NoError(t, err)
}
