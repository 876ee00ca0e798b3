package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/shop"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// database is all that depends on which one it is.
type database[TTx any] struct {
	kind    string // SQLite or PostgreSQL
	place   string // for people
	store   driver.Store[TTx]
	driver  riverdriver.Driver[TTx]
	sql     shop.SQL[TTx]
	suffix  string // tells ledgers of different databases apart
	migrate func(ctx context.Context) error
	close   func(ctx context.Context) error
}

// ledger is where the payment provider keeps what belongs to this database.
func (db *database[TTx]) ledger(dir string) string {
	return filepath.Join(dir, "payments"+db.suffix+".jsonl")
}

const databaseFile = "demo.db"

// openSQLite opens the database in dir. The store's lock refuses a second process.
func openSQLite(ctx context.Context, o options, dir string) (*database[*sql.Tx], error) {
	path := filepath.Join(dir, databaseFile)
	if o.fresh {
		if err := wipe(ctx, path); err != nil {
			return nil, err
		}
	}
	store, err := sqlitestore.Open(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	return &database[*sql.Tx]{
		kind: "SQLite", place: path + "  (set DATABASE_URL for PostgreSQL)",
		store: store, driver: riversqlite.New(store.DB()), sql: shop.Std{},
		migrate: func(ctx context.Context) error { return migrations.UpAllSQLite(ctx, store.DB(), nil) },
		close:   func(context.Context) error { return store.Close() },
	}, nil
}

// wipe removes what earlier nights left, unless one is still going on.
func wipe(ctx context.Context, path string) error {
	store, err := sqlitestore.Open(ctx, path, nil) // for its lock
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	files, err := os.ReadDir(filepath.Dir(path)) // not Glob, to which the directory's name is a pattern, too
	if err != nil {
		return err
	}
	for _, f := range files {
		if !ours(f.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(filepath.Dir(path), f.Name())); err != nil {
			return fmt.Errorf("begin a new night: %w", err)
		}
	}
	return nil
}

// ours reports whether the demo makes files of that name.
func ours(name string) bool {
	return strings.HasPrefix(name, databaseFile) || name == "payments.jsonl" ||
		strings.HasPrefix(name, "digest-") && strings.HasSuffix(name, ".txt")
}

const demoSchema = "squidmesh_demo"

// openPostgres opens a schema of the database of DATABASE_URL, and says so before it writes anything. The schema of --once is new,
// and dropped in the end.
func openPostgres(ctx context.Context, o options, std streams) (*database[pgx.Tx], error) {
	config, err := pgxpool.ParseConfig(o.databaseURL)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	schema := demoSchema
	if o.once {
		schema = fmt.Sprintf("%s_%d_%d", demoSchema, os.Getpid(), time.Now().UnixMilli())
	}
	config.ConnConfig.RuntimeParams["search_path"] = schema
	config.MaxConns = max(config.MaxConns, 20)
	pgstore.TunePool(config, nil)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	where := fmt.Sprintf("%s:%d/%s", config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.Database)
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	drop := func(ctx context.Context) error {
		_, err := pool.Exec(ctx, "drop schema if exists "+schema+" cascade")
		return err
	}
	create := func(ctx context.Context) error {
		_, err := pool.Exec(ctx, "create schema if not exists "+schema)
		return err
	}
	sum := sha256.Sum256([]byte(where + "/" + schema))
	db := &database[pgx.Tx]{
		kind: "PostgreSQL", place: where + ", schema " + schema,
		store: pgstore.New(pool, nil), driver: riverpgxv5.New(pool), sql: shop.Pgx{},
		suffix: "-" + hex.EncodeToString(sum[:4]),
		migrate: func(ctx context.Context) error {
			if err := create(ctx); err != nil {
				return fmt.Errorf("create schema %s: %w", schema, err)
			}
			return migrations.UpAllPostgres(ctx, pool, nil)
		},
		close: func(context.Context) error {
			pool.Close()
			return nil
		},
	}
	fate := "kept; --fresh begins a new night"
	if o.once {
		fate = "new, and dropped in the end"
		db.close = func(ctx context.Context) error {
			defer pool.Close()
			if err := drop(ctx); err != nil {
				return fmt.Errorf("drop schema %s: %w", schema, err)
			}
			return nil
		}
	}
	_, _ = fmt.Fprintf(std.err, "DATABASE_URL is set: writing to %s, in the schema %s (%s)\n", where, schema, fate)
	if o.fresh {
		if err := errors.Join(drop(ctx), forget(o, db)); err != nil {
			pool.Close()
			return nil, fmt.Errorf("begin a new night: %w", err)
		}
	}
	return db, nil
}

// forget removes the ledger of a database whose tables are gone.
func forget(o options, db *database[pgx.Tx]) error {
	dir, _, err := o.directory()
	if err != nil {
		return err
	}
	if err := os.Remove(db.ledger(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
