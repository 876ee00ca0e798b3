package squidmesh_test

import (
	"context"
	"database/sql"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// exampleRuntime is a started runtime on SQLite, with the database that its store is in.
type exampleRuntime struct {
	*squidmesh.Runtime[*sql.Tx]
	store *sqlitestore.Store
	db    *sql.DB
}

// start sets up what the examples share: a SQLite file, the tables, the runtime, and River to deliver its work.
func start(workflows ...squidmesh.Workflow) (rt exampleRuntime, stop func()) {
	return startConfig(&squidmesh.Config[*sql.Tx]{Workflows: workflows})
}

// startConfig is start with more than workflows.
func startConfig(config *squidmesh.Config[*sql.Tx]) (rt exampleRuntime, stop func()) {
	ctx := context.Background()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	dir, err := os.MkdirTemp("", "squidmesh-example")
	check(err)
	path := filepath.Join(dir, "example.db")
	check(dbtest.NewSQLite(path, dbtest.River))
	store, err := sqlitestore.Open(ctx, path, nil)
	check(err)

	ex := riveradapter.New[*sql.Tx](nil)
	rt.store, rt.db = store, store.DB()
	config.Store, config.Executor = store, ex
	if config.Logger == nil {
		config.Logger = quiet
	}
	rt.Runtime, err = squidmesh.New(config)
	check(err)
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riversqlite.New(store.DB()), &river.Config{
		Workers: workers, Logger: quiet,
		Queues: map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(10)},
	})
	check(err)
	ex.SetClient(client)
	check(rt.Start(ctx))
	check(client.Start(ctx))
	return rt, func() {
		check(client.Stop(ctx))
		check(rt.Stop(ctx))
		check(store.Close())
		check(os.RemoveAll(dir))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// startTest is start for tests.
func startTest(t *testing.T, workflows ...squidmesh.Workflow) exampleRuntime {
	t.Helper()
	rt, stop := start(workflows...)
	t.Cleanup(stop)
	return rt
}
