package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// childEnv tells this test binary to be the process that dies: it holds the name of the test to run, and targetEnv where.
const (
	childEnv  = "SQUIDMESH_E2E_CHILD"
	targetEnv = "SQUIDMESH_E2E_TARGET"
)

// crashLease is short, so that the take-over need not be waited for long.
const crashLease = 2 * time.Second

// paying is a workflow whose step writes to the application's table, and kills its process before the commit if it is to.
func paying[TTx any](write func(ctx context.Context, tx TTx, key string) error) squidmesh.Workflow {
	return squidmesh.Workflow{Name: "paying", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "pay", Do: squidmesh.EffectTx(func(ctx context.Context, tx TTx, _ struct{}) error {
			if err := write(ctx, tx, squidmesh.IdempotencyKey(ctx)); err != nil {
				return err
			}
			if os.Getenv(childEnv) != "" {
				return syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
			return nil
		})},
	}}
}

func payPostgres(ctx context.Context, tx pgx.Tx, key string) error {
	_, err := tx.Exec(ctx, "insert into payment values ($1)", key)
	return err
}

func paySQLite(ctx context.Context, tx *sql.Tx, key string) error {
	_, err := tx.ExecContext(ctx, "insert into payment values (?)", key)
	return err
}

// What a FuncTx step writes commits with the step or not at all. A process that dies in between leaves nothing; the one that
// takes over writes once.
func TestFuncTx_ProcessDiesBeforeCommit_Postgres(t *testing.T) {
	config := func() *squidmesh.Config[pgx.Tx] {
		return &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{paying(payPostgres)}}
	}
	if os.Getenv(childEnv) == t.Name() {
		pool := childPool(t)
		c := config()
		c.Store = pgstore.New(pool, &pgstore.Options{Lease: crashLease})
		startProgram(t, c, riverpgxv5.New(pool))
		select {} // until the step kills the process
	}
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.River)
	_, err := pool.Exec(t.Context(), "create table payment (key text)")
	require.NoError(t, err)
	c := config()
	c.Store = pgstore.New(pool, nil)
	id := startWithoutWorking(t, c, riverpgxv5.New(pool))
	dieAsChild(t, dbtest.Schema(pool))
	requirePayments(t, 0, func(n *int) error { return pool.QueryRow(t.Context(), "select count(*) from payment").Scan(n) })

	c = config()
	c.Store = pgstore.New(pool, nil)
	requireTakenOver(t, startProgram(t, c, riverpgxv5.New(pool)), id)
	requirePayments(t, 1, func(n *int) error { return pool.QueryRow(t.Context(), "select count(*) from payment").Scan(n) })
}

func TestFuncTx_ProcessDiesBeforeCommit_SQLite(t *testing.T) {
	config := func() *squidmesh.Config[*sql.Tx] {
		return &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{paying(paySQLite)}}
	}
	if os.Getenv(childEnv) == t.Name() {
		store, err := sqlitestore.Open(t.Context(), os.Getenv(targetEnv), nil)
		require.NoError(t, err)
		c := config()
		c.Store = store
		startProgram(t, c, riversqlite.New(store.DB()))
		select {}
	}
	t.Parallel()

	path := filepath.Join(t.TempDir(), "crash.db")
	store, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, migrations.UpAllSQLite(t.Context(), store.DB(), nil))
	_, err = store.DB().ExecContext(t.Context(), "create table payment (key text)")
	require.NoError(t, err)
	c := config()
	c.Store = store
	id := startWithoutWorking(t, c, riversqlite.New(store.DB()))
	require.NoError(t, store.Close()) // one process has the file at a time
	dieAsChild(t, path)

	store, err = sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	count := func(n *int) error {
		return store.DB().QueryRowContext(t.Context(), "select count(*) from payment").Scan(n)
	}
	requirePayments(t, 0, count)
	c = config()
	c.Store = store
	requireTakenOver(t, startProgram(t, c, riversqlite.New(store.DB())), id)
	requirePayments(t, 1, count)
}

// dieAsChild runs the test in a process of its own, which must kill itself.
func dieAsChild(t *testing.T, target string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=5m")
	child.Env = append(os.Environ(), childEnv+"="+t.Name(), targetEnv+"="+target)
	output, err := child.CombinedOutput()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "the child ended well: %s", output)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL && ctx.Err() == nil, "%v: %s", err, output)
}

// childPool connects a child to its parent's schema.
func childPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return schemaPool(t, os.Getenv(targetEnv))
}

// schemaPool are connections of another process to a schema.
func schemaPool(t *testing.T, schema string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(os.Getenv("TEST_DATABASE_URL"))
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["search_path"] = schema
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// requireTakenOver waits for the run's end, which the second attempt brings.
func requireTakenOver[TTx any](t *testing.T, p program[TTx], id squidmesh.RunID) {
	t.Helper()
	awaitStatus(t, p, id, squidmesh.RunCompleted)
	in, err := p.InspectRun(t.Context(), id, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	var attempts []string
	for _, a := range in.Attempts {
		attempts = append(attempts, fmt.Sprintf("%d %s", a.Attempt, a.Outcome))
	}
	require.Equal(t, []string{"1 lost", "2 succeeded"}, attempts)
}

func requirePayments(t *testing.T, want int, count func(*int) error) {
	t.Helper()
	var got int
	require.NoError(t, count(&got))
	require.Equal(t, want, got, "rows in the application's table")
}
