package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// site is a database, empty but for the tables, as a contender sees it. Contenders close it.
type site[TTx any] struct {
	store    driver.Store[TTx]
	driver   riverdriver.Driver[TTx]
	inTx     func(ctx context.Context, fn func(tx TTx) error) error
	complete func(ctx context.Context, tx TTx, job *river.Job[linkArgs]) error
	meter    *meter // nil where there is no wire
	workers  int
	close    func() error
}

// quietLogger drops what River says when a cell is cut short.
var quietLogger = slog.New(slog.DiscardHandler)

// postgres empties the lab's database and connects to it.
func (l *lab) postgres(ctx context.Context) (*site[pgx.Tx], error) {
	if err := l.reset(ctx); err != nil {
		return nil, err
	}
	m := &meter{away: l.away}
	pool, err := l.connect(ctx, l.conns, m)
	if err != nil {
		return nil, err
	}
	return &site[pgx.Tx]{
		store:  pgstore.New(pool, nil),
		driver: riverpgxv5.New(pool),
		inTx: func(ctx context.Context, fn func(pgx.Tx) error) error {
			return pgx.BeginFunc(ctx, pool, fn)
		},
		complete: func(ctx context.Context, tx pgx.Tx, job *river.Job[linkArgs]) error {
			_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
			return err
		},
		meter: m, workers: l.workers,
		close: func() error { pool.Close(); return nil },
	}, nil
}

// sqlite makes a new file.
func (l *lab) sqlite(ctx context.Context) (*site[*sql.Tx], error) {
	dir, err := os.MkdirTemp("", "squidmesh-bench")
	if err != nil {
		return nil, err
	}
	store, err := sqlitestore.Open(ctx, filepath.Join(dir, "bench.db"), nil)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &site[*sql.Tx]{
		store:  store,
		driver: riversqlite.New(store.DB()),
		inTx: func(ctx context.Context, fn func(*sql.Tx) error) error {
			tx, err := store.DB().BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if err := fn(tx); err != nil {
				return errors.Join(err, tx.Rollback())
			}
			return tx.Commit()
		},
		complete: func(ctx context.Context, tx *sql.Tx, job *river.Job[linkArgs]) error {
			_, err := river.JobCompleteTx[*riversqlite.Driver](ctx, tx, job)
			return err
		},
		workers: l.workers,
		close:   func() error { return errors.Join(store.Close(), os.RemoveAll(dir)) },
	}
	if err := migrations.UpAllSQLite(ctx, store.DB(), nil); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}
