package pgstore_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

func TestNew_RefusesImpossibleOptions(t *testing.T) {
	t.Parallel()

	require.PanicsWithValue(t, "pgstore: pool is nil", func() { pgstore.New(nil, nil) })
	for _, lease := range []time.Duration{2*time.Second - 1, 1, -time.Second, math.MinInt64} {
		require.PanicsWithValue(t, fmt.Sprintf("pgstore: Lease: is %s, must be at least 2s", lease), func() {
			pgstore.New(&pgxpool.Pool{}, &pgstore.Options{Lease: lease})
		})
	}
	for _, lease := range []time.Duration{0, 2 * time.Second, time.Hour} {
		pgstore.New(&pgxpool.Pool{}, &pgstore.Options{Lease: lease})
	}
	for schema, shown := range map[string]string{
		"x; drop table y":          `"x; drop table y"`,
		"Upper":                    `"Upper"`,
		strings.Repeat("a", 47):    `"` + strings.Repeat("a", 47) + `"`,
		strings.Repeat("\x00", 99): `"` + strings.Repeat(`\x00`, 15) + `..."`,
	} {
		require.PanicsWithValue(t, "pgstore: Schema: "+shown+" must be 1 to 46 lower-case letters, digits and underscores, and not begin with a digit",
			func() { pgstore.New(&pgxpool.Pool{}, &pgstore.Options{Schema: schema}) })
	}
	for _, schema := range []string{"", strings.Repeat("a", 45), strings.Repeat("a", 46)} {
		pgstore.New(&pgxpool.Pool{}, &pgstore.Options{Schema: schema})
	}
}

func TestOptions_Schema(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	config := pool.Config()
	delete(config.ConnConfig.RuntimeParams, "search_path")
	elsewhere, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer elsewhere.Close()
	requireWorksIn(t, elsewhere, dbtest.Schema(pool))
}

// The scope is the schema, however the store finds it.
func TestScope_IsTheSchema(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	schema := dbtest.Schema(pool)
	scope := func(store *pgstore.Store) (scope string, err error) {
		err = store.View(t.Context(), func(ctx context.Context, tx pgx.Tx) (err error) {
			scope, err = store.Scope(ctx, tx)
			return err
		})
		return scope, err
	}
	for _, options := range []*pgstore.Options{nil, {Schema: schema}} {
		got, err := scope(pgstore.New(pool, options))
		require.NoError(t, err)
		require.Equal(t, schema, got)
	}
	_, err := scope(pgstore.New(dbtest.Postgres(t, dbtest.Empty), nil))
	require.True(t, pgstore.New(pool, nil).Traits().NotMigrated(err), err)

	other := schema + "_x"
	_, err = pool.Exec(t.Context(), "alter schema "+schema+" rename to "+other)
	require.NoError(t, err)
	defer func() {
		_, err := pool.Exec(t.Context(), "alter schema "+other+" rename to "+schema)
		require.NoError(t, err)
	}()
	config := pool.Config()
	config.ConnConfig.RuntimeParams["search_path"] = "no_such_schema, " + other
	elsewhere, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer elsewhere.Close()
	got, err := scope(pgstore.New(elsewhere, nil))
	require.NoError(t, err)
	require.Equal(t, other, got)
}

// A schema may have a name that is a word of SQL, as every service that is called user or order has it.
func TestOptions_SchemaThatIsAWordOfSQL(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.Empty)
	config := pool.Config()
	config.ConnConfig.Database = dbtest.Schema(pool) // of its own, since these names are everybody's
	delete(config.ConnConfig.RuntimeParams, "search_path")
	_, err := pool.Exec(t.Context(), "create database "+config.ConnConfig.Database)
	require.NoError(t, err)
	own, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer func() {
		own.Close()
		_, err := pool.Exec(t.Context(), "drop database "+config.ConnConfig.Database)
		require.NoError(t, err)
	}()
	for _, schema := range []string{"user", "order", "end", "select", "table", "null", "all"} {
		_, err := own.Exec(t.Context(), `create schema "`+schema+`"`)
		require.NoError(t, err)
		require.NoError(t, migrations.UpAllPostgres(t.Context(), own, &migrations.Options{Schema: schema}), schema)
		requireWorksIn(t, own, schema)
		violations, err := invariants.CheckPostgres(t.Context(), own, &invariants.Options{Schema: schema})
		require.NoError(t, err, schema)
		require.NotEmpty(t, violations, "of a run that nothing belongs to")
		_, err = migrations.Postgres(own, &migrations.Options{Schema: schema}).Migrate(t.Context(), migrations.Down,
			&migrations.MigrateOptions{TargetVersion: -1})
		require.NoError(t, err, schema)
	}
}

// requireWorksIn writes to the tables of a schema.
func requireWorksIn(t *testing.T, pool *pgxpool.Pool, schema string) {
	t.Helper()
	store := pgstore.New(pool, &pgstore.Options{Schema: schema})
	run := newRun(time.Now().UTC())
	require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := store.InsertRun(ctx, tx, run)
		require.NoError(t, err)
		_, err = store.Lock(ctx, tx, driver.LockQuery{Runs: []flow.RunID{run.ID}, Worker: 1})
		require.NoError(t, err)
		_, err = store.Workers(ctx, tx, driver.WorkerTick{Register: &flow.Worker{}, Limit: 1})
		return err
	}))
	var n int
	require.NoError(t, pool.QueryRow(t.Context(), `select count(*) from "`+schema+`".squidmesh_run`).Scan(&n))
	require.Equal(t, 1, n)
}

// The clock is one thing: what it says holds for the time of decisions and for leases alike.
func TestOptions_ClockMovesDecisionsAndLeases(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	var ahead time.Duration
	store := pgstore.New(pool, &pgstore.Options{Clock: func(database time.Time) time.Time { return database.Add(ahead) }})
	tick := func(tick driver.WorkerTick) (report driver.WorkerReport) {
		require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) (err error) {
			report, err = store.Workers(ctx, tx, tick)
			return err
		}))
		return report
	}
	silent := tick(driver.WorkerTick{Register: &flow.Worker{}}).Registered
	other := tick(driver.WorkerTick{Register: &flow.Worker{}}).Registered

	ahead = time.Hour
	require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		locked, err := store.Lock(ctx, tx, driver.LockQuery{})
		require.WithinDuration(t, time.Now().Add(ahead), locked.Now, time.Minute)
		return err
	}))
	report := tick(driver.WorkerTick{Heartbeat: other})
	require.True(t, report.Alive)
	require.WithinDuration(t, time.Now().Add(ahead), report.Now, time.Minute)
	for range 3 { // for as long as a lease lasts it has to be there before it judges others
		ahead += 3 * pgstore.DefaultLease / 8
		require.True(t, tick(driver.WorkerTick{Heartbeat: other}).Alive)
	}
	require.False(t, tick(driver.WorkerTick{Heartbeat: silent}).Alive, "its lease of 4 s ended an hour ago")

	ahead = 50 * time.Hour
	third := tick(driver.WorkerTick{Register: &flow.Worker{}}).Registered
	for range 3 {
		ahead += 3 * pgstore.DefaultLease / 8
		require.True(t, tick(driver.WorkerTick{Heartbeat: third}).Alive)
	}
	tick(driver.WorkerTick{Only: driver.TickLook, Heartbeat: third})
	var ids []int64
	rows, err := pool.Query(t.Context(), "select id from squidmesh_worker where lost_at is null")
	require.NoError(t, err)
	ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	require.Equal(t, []int64{int64(third)}, ids)
	var n int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from squidmesh_worker where id = $1", int64(silent)).Scan(&n))
	require.Zero(t, n, "a worker that was lost a day ago and holds nothing is forgotten")
}

func newRun(at time.Time) flow.Run {
	return flow.Run{
		ID: uuid.Must(uuid.NewV7()), Workflow: "w", Trigger: "manual", Shape: "s", CreatedAt: at, Status: flow.RunRunning,
		Version: 1, Seq: 1, LastAt: at, Open: 1,
	}
}
