package docs

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

func TestCheckout_RefusedCardReleasesTheReservation(t *testing.T) {
	shop := &Shop[*memstore.Tx]{Settle: time.Hour}
	kit := squidmeshtest.New(t, Checkout(shop))
	kit.On("capture").Fail(squidmesh.Fail(errors.New("card declined")))

	run := kit.Start("checkout", Order{ID: "1001", Cents: 4990})
	kit.RunUntilIdle()
	require.Equal(t, squidmesh.RunFailed, run.Status())
	require.Equal(t, "card declined", run.Inspect().Run.Reason.Message)
	require.True(t, shop.Released)
}

func TestCheckout_DoubtfulOrdersAreReviewed(t *testing.T) {
	bank := &bank{}
	kit := squidmeshtest.New(t, Checkout(&Shop[*memstore.Tx]{Settle: 30 * 24 * time.Hour, Payment: bank}))
	kit.On("score").Attempt(1).TimeOut()
	kit.On("score").Attempt(2).Return(map[string]int{"score": 99})

	run := kit.Start("checkout", Order{ID: "1001", Cents: 4990})
	kit.RunUntilIdle()
	require.Equal(t, squidmesh.RunPaused, run.Status())
	run.Approve(squidmesh.Decision{Actor: "maria"})
	kit.Advance(29 * 24 * time.Hour)
	require.Empty(t, bank.captured)
	kit.Advance(24 * time.Hour)
	require.Equal(t, squidmesh.RunCompleted, run.Status())
	require.Len(t, bank.captured, 1)
}

// bank captures a payment once for each key.
type bank struct{ captured map[string]int }

func (b *bank) Capture(_ context.Context, key string, cents int) error {
	if b.captured == nil {
		b.captured = map[string]int{}
	}
	b.captured[key] = cents
	return nil
}

func TestCheckout_CapturesOnceWhereverItCrashes(t *testing.T) {
	squidmeshtest.CrashEverywhere(t, func(t testing.TB) (*squidmeshtest.Kit[*memstore.Tx], func() any) {
		bank := &bank{}
		kit := squidmeshtest.New(t, Checkout(&Shop[*memstore.Tx]{Settle: time.Hour, Payment: bank}))
		return kit, func() any {
			kit.Start("checkout", Order{ID: "1001", Cents: 4990})
			kit.RunUntilIdle()
			return slices.Collect(maps.Values(bank.captured))
		}
	})
}

func TestCheckout_OnSQLite(t *testing.T) {
	kit := squidmeshtest.NewOn(t, squidmeshtest.Options[*sql.Tx]{
		Config: squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{Checkout(&Shop[*sql.Tx]{Settle: time.Hour, Payment: &bank{}})}},
		Open: func(clock func(time.Time) time.Time) driver.Store[*sql.Tx] {
			store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), &sqlitestore.Options{Clock: clock})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			require.NoError(t, migrations.UpAllSQLite(t.Context(), store.DB(), nil))
			return store
		},
	})
	run := kit.Start("checkout", Order{ID: "1001", Cents: 4990})
	kit.RunUntilIdle()
	require.Equal(t, squidmesh.RunCompleted, run.Status())
}

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

func TestCheckout_OnRiver(t *testing.T) {
	shop := &Shop[*sql.Tx]{Settle: 10 * time.Millisecond, Payment: &bank{}}
	rt, stop := start(t, filepath.Join(t.TempDir(), "test.db"), Checkout(shop))
	defer stop()

	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "checkout", Payload: Order{ID: "1001", Cents: 4990}})
	require.NoError(t, err)
	ended, err := rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, ended.Status)
}
