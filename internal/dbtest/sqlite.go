package dbtest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// SQLite returns a store on a fresh file. Both go at the test's end.
func SQLite(tb testing.TB, storeOptions *sqlitestore.Options, options ...Option) *sqlitestore.Store {
	tb.Helper()
	store, err := sqlitestore.Open(tb.Context(), filepath.Join(tb.TempDir(), "squidmesh.db"), storeOptions)
	if err != nil {
		tb.Fatalf("open SQLite: %v", err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Errorf("close SQLite: %v", err)
		}
	})
	migrate(tb, options,
		func(ctx context.Context) error { return migrations.UpAllSQLite(ctx, store.DB(), nil) },
		func(ctx context.Context) error {
			_, err := migrations.SQLite(store.DB(), nil).Migrate(ctx, migrations.Up, nil)
			return err
		})
	return store
}
