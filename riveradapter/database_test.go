package riveradapter

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/drivertest"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const queue = "squidmesh"

// database is a fresh one with River's tables in it.
type database[TTx any] struct {
	schema string // where the connections look, on PostgreSQL
	driver riverdriver.Driver[TTx]
	begin  func(ctx context.Context) (tx TTx, commit, rollback func() error, err error)
	now    func(ctx context.Context) (time.Time, error)
}

func (d *database[TTx]) migrate(t testing.TB) {
	t.Helper()
	migrator, err := rivermigrate.New(d.driver, &rivermigrate.Config{Logger: logger(t)})
	require.NoError(t, err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	require.NoError(t, err)
}

func (d *database[TTx]) inTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error {
	tx, commit, rollback, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = rollback() }() // also when an assertion in fn ends the test, whose cleanup would wait for the transaction
	if err := fn(ctx, tx); err != nil {
		return err
	}
	return commit()
}

// client makes an unstarted client, insert-only unless the config has queues.
func (d *database[TTx]) client(t testing.TB, config river.Config) *river.Client[TTx] {
	t.Helper()
	config.Logger = logger(t)
	config.TestOnly = true
	config.SoftStopTimeout = time.Millisecond
	client, err := river.NewClient(d.driver, &config)
	require.NoError(t, err)
	return client
}

// jobs lists those of a queue that are not worked yet.
func (d *database[TTx]) jobs(t testing.TB, client *river.Client[TTx], queue string) []*rivertype.JobRow {
	t.Helper()
	params := river.NewJobListParams().Queues(queue).First(1000).States(rivertype.JobStateAvailable, rivertype.JobStateScheduled)
	list, err := client.JobList(context.WithoutCancel(t.Context()), params)
	require.NoError(t, err)
	return list.Jobs
}

func start[TTx any](t testing.TB, client *river.Client[TTx]) {
	t.Helper()
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		require.NoError(t, client.Stop(ctx))
	})
}

var schemas atomic.Int64

func postgres(t testing.TB) *database[pgx.Tx] {
	t.Helper()
	schema := fmt.Sprintf("riveradapter_%d_%d", os.Getpid(), schemas.Add(1))
	pool := pgxPool(t, schema)
	_, err := pool.Exec(t.Context(), "create schema "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := pool.Exec(context.WithoutCancel(t.Context()), "drop schema "+schema+" cascade")
		require.NoError(t, err)
	})
	d := openPostgres(pool)
	d.schema = schema
	d.migrate(t)
	return d
}

// pgxPool connects to the test's server, with schema as the current one.
func pgxPool(t testing.TB, schema string) *pgxpool.Pool {
	t.Helper()
	url := os.Getenv("TEST_DATABASE_URL")
	if url == "" {
		t.Fatal("TEST_DATABASE_URL is not set: use make test, or scripts/with-postgres")
	}
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = 8
	config.ConnConfig.RuntimeParams["search_path"] = schema
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func openPostgres(pool *pgxpool.Pool) *database[pgx.Tx] {
	return &database[pgx.Tx]{
		driver: riverpgxv5.New(pool),
		begin: func(ctx context.Context) (pgx.Tx, func() error, func() error, error) {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return nil, nil, nil, err
			}
			return tx, func() error { return tx.Commit(ctx) }, func() error { return tx.Rollback(ctx) }, nil
		},
		now: func(ctx context.Context) (now time.Time, err error) {
			return now, pool.QueryRow(ctx, "select clock_timestamp()").Scan(&now)
		},
	}
}

func sqlite(t testing.TB) *database[*sql.Tx] {
	t.Helper()
	file := filepath.Join(t.TempDir(), "squidmesh.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	d := &database[*sql.Tx]{
		driver: riversqlite.New(db),
		begin: func(ctx context.Context) (*sql.Tx, func() error, func() error, error) {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return nil, nil, nil, err
			}
			return tx, tx.Commit, tx.Rollback, nil
		},
		now: func(context.Context) (time.Time, error) { return time.Now(), nil },
	}
	d.migrate(t)
	return d
}

func TestExecutor_PassesSuite(t *testing.T) {
	t.Parallel()
	t.Run("Postgres", func(t *testing.T) { t.Parallel(); exercise(t, postgres) })
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); exercise(t, sqlite) })
}

func exercise[TTx any](t *testing.T, open func(testing.TB) *database[TTx]) {
	drivertest.ExerciseExecutor(t, func(t *testing.T) drivertest.ExecutorBundle[TTx] {
		d := open(t)
		client := d.client(t, river.Config{})
		return drivertest.ExecutorBundle[TTx]{
			Executor: New(client),
			InTx:     d.inTx,
			Queue:    queue,
			Now: func(t testing.TB) time.Time {
				now, err := d.now(t.Context())
				require.NoError(t, err)
				return now
			},
			Jobs: func(t testing.TB) []drivertest.ExecutorJob {
				var jobs []drivertest.ExecutorJob
				for _, job := range d.jobs(t, client, queue) {
					delivery, err := driver.ParseDelivery(job.EncodedArgs)
					require.NoError(t, err)
					jobs = append(jobs, drivertest.ExecutorJob{ID: fmt.Sprint(job.ID), Delivery: delivery})
				}
				return jobs
			},
			Work: func(t testing.TB, perform drivertest.PerformFunc) {
				workers := river.NewWorkers()
				AddWorkers(workers, performer(perform))
				start(t, d.client(t, river.Config{Workers: workers, Queues: map[string]river.QueueConfig{queue: Queue(4)}}))
			},
		}
	})
}

type performer drivertest.PerformFunc

func (p performer) Perform(ctx context.Context, d driver.Delivery) (flow.Outcome, error) {
	d.Job, d.Queue, d.SentBack = "", "", 0 // are no part of what was enqueued
	return p(ctx, d)
}

// told is a performer that is told all.
type told drivertest.PerformFunc

func (p told) Perform(ctx context.Context, d driver.Delivery) (flow.Outcome, error) {
	return p(ctx, d)
}

func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(quiet{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// quiet logs to the test until it ends, after which River's goroutines may still say a word.
type quiet struct{ t testing.TB }

func (q quiet) Write(line []byte) (int, error) {
	if q.t.Context().Err() == nil {
		q.t.Log(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}
