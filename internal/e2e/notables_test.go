package e2e

import (
	"context"
	"database/sql"
	"log/slog"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// A program whose River looks where its tables are not is told so by Start, with what to do, before it has written that it is there.
func TestNoTables_Postgres(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t)
	store, driver := pgstore.New(pool, nil), riverpgxv5.New(pool)
	requireNoTables(t, store, driver, "", "missing or too old where search_path leads: run migrations.UpAllPostgres")
	requireNoTables(t, store, driver, "no_such_schema", "missing or too old in schema no_such_schema: run migrations.UpAllPostgres")

	elsewhere := dbtest.Schema(dbtest.Postgres(t, dbtest.River)) // the tables are there, and the client's Schema is forgotten
	requireNoTables(t, store, driver, "", "set river.Config.Schema of every client")
	requireTables(t, store, driver, elsewhere)

	var workers int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from squidmesh_worker").Scan(&workers))
	require.Equal(t, 1, workers, "only the one that was started")

	_, err := pool.Exec(t.Context(), "alter table "+elsewhere+".river_job rename column unique_states to later")
	require.NoError(t, err)
	requireNoTables(t, store, driver, elsewhere, "missing or too old in schema "+elsewhere)
}

func TestNoTables_SQLite(t *testing.T) {
	t.Parallel()
	store := dbtest.SQLite(t, nil)
	requireNoTables(t, store, riversqlite.New(store.DB()), "", "missing or too old in the file: run migrations.UpAllSQLite")
	requireNoTables(t, store, riversqlite.New(store.DB()), "no_such_schema", "missing or too old in schema no_such_schema")
	whole := dbtest.SQLite(t, nil, dbtest.River)
	requireTables(t, whole, riversqlite.New(whole.DB()), "")
}

// looking is a runtime whose River looks for its tables in a schema.
func looking[TTx any](t *testing.T, store driver.Store[TTx], driver riverdriver.Driver[TTx], schema string) *squidmesh.Runtime[TTx] {
	t.Helper()
	client, err := river.NewClient(driver, &river.Config{Schema: schema})
	require.NoError(t, err)
	rt, err := squidmesh.New(&squidmesh.Config[TTx]{
		Store: store, Executor: riveradapter.New(client), Workflows: []squidmesh.Workflow{note()}, ManualTick: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return rt
}

func requireNoTables[TTx any](t *testing.T, store driver.Store[TTx], driver riverdriver.Driver[TTx], schema, says string) {
	t.Helper()
	rt := looking(t, store, driver, schema)
	err := rt.Start(t.Context())
	require.ErrorIs(t, err, riveradapter.ErrNoTables)
	require.ErrorContains(t, err, says)
	require.NotErrorIs(t, err, squidmesh.ErrNotMigrated, "it is not about squidmesh's tables")

	// A program that is not started has to be told by its first enqueue.
	_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "note"})
	require.ErrorIs(t, err, riveradapter.ErrNoTables)
	require.ErrorIs(t, err, squidmesh.ErrDispatch)
	require.ErrorContains(t, err, says)
}

func requireTables[TTx any](t *testing.T, store driver.Store[TTx], driver riverdriver.Driver[TTx], schema string) {
	t.Helper()
	rt := looking(t, store, driver, schema)
	require.NoError(t, rt.Start(t.Context()))
	_, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "note"})
	require.NoError(t, err)
	require.NoError(t, rt.Stop(context.Background()))
}

// An executor without a client could enqueue nothing either.
func TestStart_WithoutClientSaysSo(t *testing.T) {
	t.Parallel()
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil, dbtest.River), Executor: riveradapter.New[*sql.Tx](nil), Workflows: []squidmesh.Workflow{note()},
	})
	require.NoError(t, err)
	require.ErrorIs(t, rt.Start(t.Context()), riveradapter.ErrNoClient)
}
