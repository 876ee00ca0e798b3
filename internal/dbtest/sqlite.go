package dbtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// SQLite returns a store on a fresh file. Both go at the test's end.
func SQLite(tb testing.TB, storeOptions *sqlitestore.Options, options ...Option) *sqlitestore.Store {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "squidmesh.db")
	if err := NewSQLite(path, options...); err != nil {
		tb.Fatal(err)
	}
	store, err := sqlitestore.Open(tb.Context(), path, storeOptions)
	if err != nil {
		tb.Fatalf("open SQLite: %v", err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Errorf("close SQLite: %v", err)
		}
	})
	return store
}

// NewSQLite writes a fresh file.
func NewSQLite(path string, options ...Option) error {
	content := ours
	switch {
	case slices.Contains(options, Empty):
		return nil // opening the file makes it
	case slices.Contains(options, River):
		content = all
	}
	file, err := content()
	if err != nil {
		return fmt.Errorf("migrate SQLite: %w", err)
	}
	return os.WriteFile(path, file, 0o600)
}

// Files as the migrations leave them. All tests of a program begin with a copy: with the race detector, migrating takes a second.
var (
	ours = sync.OnceValues(func() ([]byte, error) {
		return migrated(func(ctx context.Context, store *sqlitestore.Store) error {
			_, err := migrations.SQLite(store.DB(), nil).Migrate(ctx, migrations.Up, nil)
			return err
		})
	})
	all = sync.OnceValues(func() ([]byte, error) {
		return migrated(func(ctx context.Context, store *sqlitestore.Store) error {
			return migrations.UpAllSQLite(ctx, store.DB(), nil)
		})
	})
)

// migrated is the content of a file that was migrated.
func migrated(up func(context.Context, *sqlitestore.Store) error) ([]byte, error) {
	directory, err := os.MkdirTemp("", "squidmesh")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(directory)
	path, ctx := filepath.Join(directory, "squidmesh.db"), context.Background()
	store, err := sqlitestore.Open(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	if err := up(ctx, store); err != nil {
		_ = store.Close()
		return nil, err
	}
	if err := store.Close(); err != nil { // which leaves nothing beside the file
		return nil, err
	}
	return os.ReadFile(path)
}
