// Package dbtest gives each test a database of its own: a PostgreSQL schema or a SQLite file, migrated and empty. Tests only.
package dbtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/internal/pgcluster"
	"github.com/squidmesh/squidmesh-go/migrations"
)

// Option changes what a test gets.
type Option int

// The options.
const (
	// River migrates River's tables too.
	River Option = iota + 1
	// Empty migrates nothing.
	Empty
	// Alone gives a test a server of its own: on that of the others their transactions keep old versions of rows alive.
	Alone
)

// Postgres returns a pool whose connections work in a fresh schema of the server at TEST_DATABASE_URL. Both go at the test's end. A test
// without a server fails: `make test` starts one.
func Postgres(tb testing.TB, options ...Option) *pgxpool.Pool {
	tb.Helper()
	var url string
	if slices.Contains(options, Alone) {
		url = Cluster(tb, pgcluster.Options{}).URL("postgres")
	} else {
		url = databaseURL(tb)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		tb.Fatalf("URL of the server: %v", err)
	}
	schema := newSchema(tb, config.ConnConfig)
	config.ConnConfig.RuntimeParams["search_path"] = schema
	config.MaxConns = 10
	pool := open(tb, config)
	if err := up(tb.Context(), pool, options); err != nil {
		tb.Fatalf("migrate: %v", err)
	}
	return pool
}

// Changed returns a second pool on the schema of one that Postgres made, whose configuration is changed: it is that of another role, say, or has
// other settings. The first one still leads to what the second one does.
func Changed(tb testing.TB, pool *pgxpool.Pool, changes ...func(*pgxpool.Config)) *pgxpool.Pool {
	tb.Helper()
	config := pool.Config()
	for _, change := range changes {
		change(config)
	}
	return open(tb, config)
}

// open opens a pool and closes it at the test's end.
func open(tb testing.TB, config *pgxpool.Config) *pgxpool.Pool {
	tb.Helper()
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		tb.Fatalf("open pool: %v", err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// Schema is the schema that a pool made by Postgres works in.
func Schema(pool *pgxpool.Pool) string {
	return pool.Config().ConnConfig.RuntimeParams["search_path"]
}

// Cluster starts a server that a test has for itself, and stops it at the test's end.
func Cluster(tb testing.TB, options pgcluster.Options) *pgcluster.Cluster {
	tb.Helper()
	return serve(tb, func(dir string) (*pgcluster.Cluster, error) { return pgcluster.New(tb.Context(), dir, options) })
}

// Standby starts a synchronous standby of a server, and stops it at the test's end.
func Standby(tb testing.TB, of *pgcluster.Cluster) *pgcluster.Cluster {
	tb.Helper()
	return serve(tb, func(dir string) (*pgcluster.Cluster, error) { return of.NewStandby(tb.Context(), dir) })
}

func serve(tb testing.TB, start func(dir string) (*pgcluster.Cluster, error)) *pgcluster.Cluster {
	tb.Helper()
	dir, err := os.MkdirTemp("", "squidmesh") // not tb.TempDir, which the server's user cannot enter
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove the data of a server: %v", err)
		}
	})
	cluster, err := start(dir)
	if cluster != nil {
		tb.Cleanup(func() {
			if err := cluster.Stop(context.Background()); err != nil {
				tb.Errorf("stop PostgreSQL: %v", err)
			}
		})
	}
	if err != nil {
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	return cluster
}

func up(ctx context.Context, pool *pgxpool.Pool, options []Option) error {
	switch {
	case slices.Contains(options, Empty):
		return nil
	case slices.Contains(options, River):
		return migrations.UpAllPostgres(ctx, pool, nil)
	default:
		_, err := migrations.Postgres(pool, nil).Migrate(ctx, migrations.Up, nil)
		return err
	}
}

func databaseURL(tb testing.TB) string {
	tb.Helper()
	url := os.Getenv("TEST_DATABASE_URL")
	if url == "" {
		tb.Fatal("This test needs PostgreSQL: set TEST_DATABASE_URL, or run `make test`, which starts a server for all tests.")
	}
	return url
}

// newSchema makes a schema and drops it at the test's end.
func newSchema(tb testing.TB, config *pgx.ConnConfig) string {
	tb.Helper()
	schema := newName()
	config = config.Copy()
	if err := execute(config, "create schema "+schema); err != nil {
		tb.Fatalf("create schema: %v", err)
	}
	tb.Cleanup(func() {
		if err := execute(config, "set client_min_messages = warning; drop schema "+schema+" cascade"); err != nil {
			tb.Errorf("drop schema: %v", err)
		}
	})
	return schema
}

func newName() string {
	var random [8]byte
	_, _ = rand.Read(random[:])
	return "test_" + hex.EncodeToString(random[:])
}

// execute executes over a connection of its own.
func execute(config *pgx.ConnConfig, sql string) error {
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
