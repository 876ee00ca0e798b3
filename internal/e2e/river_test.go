package e2e

import (
	"context"
	"database/sql"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// program is a whole one: a runtime, and River, which delivers its work.
type program[TTx any] struct {
	*squidmesh.Runtime[TTx]
	client *river.Client[TTx]
}

// postgresProgram starts a program on a fresh PostgreSQL schema.
func postgresProgram(t testing.TB, config *squidmesh.Config[pgx.Tx]) (program[pgx.Tx], *pgxpool.Pool) {
	pool := dbtest.Postgres(t, dbtest.River)
	return programOn(t, pool, config), pool
}

// programOn starts a program on a pool, which a test has changed: by a role, a proxy, a distance or settings. Its store may be given.
func programOn(t testing.TB, pool *pgxpool.Pool, config *squidmesh.Config[pgx.Tx], change ...func(*river.Config)) program[pgx.Tx] {
	t.Helper()
	if config.Store == nil {
		config.Store = pgstore.New(pool, nil)
	}
	return startProgram(t, config, riverpgxv5.New(pool), change...)
}

// deskOn is a program on such a pool that starts and decides runs, and executes nothing.
func deskOn(t testing.TB, pool *pgxpool.Pool, config *squidmesh.Config[pgx.Tx]) *squidmesh.Runtime[pgx.Tx] {
	t.Helper()
	if config.Store == nil {
		config.Store = pgstore.New(pool, nil)
	}
	return desk(t, config, riverpgxv5.New(pool))
}

// desk is a runtime that hands its work to River and does none of it, since its client works no queue.
func desk[TTx any](t testing.TB, config *squidmesh.Config[TTx], driver riverdriver.Driver[TTx]) *squidmesh.Runtime[TTx] {
	t.Helper()
	client, err := river.NewClient(driver, &river.Config{})
	require.NoError(t, err)
	config.Executor = riveradapter.New(client)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	rt, err := squidmesh.New(config)
	require.NoError(t, err)
	return rt
}

// sqliteProgram starts a program on a fresh SQLite file.
func sqliteProgram(t testing.TB, config *squidmesh.Config[*sql.Tx]) (program[*sql.Tx], *sqlitestore.Store) {
	store := dbtest.SQLite(t, nil, dbtest.River)
	config.Store = store
	return startProgram(t, config, riversqlite.New(store.DB())), store
}

// startWithoutWorking starts the only workflow's run from a program that executes nothing.
func startWithoutWorking[TTx any](t testing.TB, config *squidmesh.Config[TTx], driver riverdriver.Driver[TTx]) squidmesh.RunID {
	t.Helper()
	run, err := desk(t, config, driver).StartRun(t.Context(), squidmesh.StartParams{Workflow: config.Workflows[0].Name})
	require.NoError(t, err)
	return run.ID
}

// startProgram glues a runtime and River together, and stops them at the test's end. The client's configuration may be changed.
func startProgram[TTx any](
	t testing.TB, config *squidmesh.Config[TTx], driver riverdriver.Driver[TTx], change ...func(*river.Config),
) program[TTx] {
	t.Helper()
	executor := riveradapter.New[TTx](nil)
	config.Executor = executor
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	rt, err := squidmesh.New(config)
	require.NoError(t, err)
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	queue := &river.Config{
		Logger: config.Logger, Workers: workers, TestOnly: true,
		Queues: map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(20)},
	}
	for _, c := range change {
		c(queue)
	}
	client, err := river.NewClient(driver, queue)
	require.NoError(t, err)
	executor.SetClient(client)
	require.NoError(t, rt.Start(t.Context()))
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	p := program[TTx]{rt, client}
	t.Cleanup(func() { p.stop(t) })
	return p
}

// stop ends the program. It may be stopped before.
func (p program[TTx]) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	require.NoError(t, p.client.StopAndCancel(ctx))
	require.NoError(t, p.Stop(ctx))
}
