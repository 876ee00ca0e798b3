package docs

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// start runs workflows on the SQLite file at path, with River, until stop is called.
func start(t *testing.T, path string, workflows ...squidmesh.Workflow) (rt *squidmesh.Runtime[*sql.Tx], stop func()) {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, migrations.UpAllSQLite(t.Context(), store.DB(), nil))
	ex := riveradapter.New[*sql.Tx](nil)
	rt, err = squidmesh.New(&squidmesh.Config[*sql.Tx]{Store: store, Executor: ex, Workflows: workflows})
	require.NoError(t, err)
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riversqlite.New(store.DB()), &river.Config{
		Workers: workers, TestOnly: true, Queues: map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(10)},
	})
	require.NoError(t, err)
	ex.SetClient(client)
	ctx := context.WithoutCancel(t.Context()) // River stops when it is told to, not when the test's context ends
	require.NoError(t, rt.Start(ctx))
	require.NoError(t, client.Start(ctx))
	return rt, func() {
		require.NoError(t, client.StopAndCancel(ctx))
		require.NoError(t, rt.Stop(ctx))
		require.NoError(t, store.Close())
	}
}

type refusingBank struct{}

func (refusingBank) Capture(context.Context, string, int) error {
	return squidmesh.Fail(errors.New("card declined"))
}

func TestCheckout_RefusedCardReleasesTheReservation(t *testing.T) {
	shop := &Shop[*sql.Tx]{Settle: 10 * time.Millisecond, Payment: refusingBank{}}
	rt, stop := start(t, filepath.Join(t.TempDir(), "test.db"), Checkout(shop))
	defer stop()

	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "checkout", Payload: Order{ID: "1001", Cents: 4990}})
	require.NoError(t, err)
	ended, err := rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunFailed, ended.Status)
	require.Equal(t, "card declined", ended.Reason.Message)
	require.True(t, shop.Released)
}
