package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// SQLite returns a migrator for the database of db, which should be the connection pool that writes. Options may be nil.
func SQLite(db *sql.DB, options *Options) *Migrator {
	return newMigrator("sqlite", sqlite{db}, options)
}

// UpAllSQLite brings River's and squidmesh's tables to their newest versions. A program needs this one call before it starts.
func UpAllSQLite(ctx context.Context, db *sql.DB, options *Options) error {
	m := SQLite(db, options)
	if m.err != nil {
		return m.err
	}
	river, err := rivermigrate.New(riversqlite.New(db), &rivermigrate.Config{Logger: m.logger})
	if err != nil {
		return fmt.Errorf("river migrations: %w", err)
	}
	if err := riverUp(ctx, db, river); err != nil {
		return fmt.Errorf("river migrations: %w", err)
	}
	_, err = m.Migrate(ctx, Up, nil)
	return err
}

// riverUp runs all that is missing of River's in one transaction. River takes no lock of its own, so two processes could collide.
func riverUp(ctx context.Context, db *sql.DB, river *rivermigrate.Migrator[*sql.Tx]) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of one that has ended, it does nothing
	// Begun anew as in exclusive, since database/sql cannot be told to.
	if _, err := tx.ExecContext(ctx, "rollback; begin immediate"); err != nil {
		return err
	}
	//lint:ignore SA1019 it is deprecated for versions that cannot share a transaction; on SQLite all can, and the lock is the transaction's
	if _, err := river.MigrateTx(ctx, tx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return tx.Commit()
}

type sqlite struct{ db *sql.DB }

// exclusive begins IMMEDIATE, whatever the pool's own way to begin: the lock must come before the look.
func (s sqlite) exclusive(ctx context.Context, _ string, fn func(transaction) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "begin immediate"); err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "rollback")
		}
	}()
	if err := fn(sqliteTx{conn}); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "commit"); err != nil {
		return err
	}
	committed = true
	return nil
}

type sqliteTx struct{ conn *sql.Conn }

func (tx sqliteTx) applied(ctx context.Context) (map[int]time.Time, error) {
	var tables int
	err := tx.conn.QueryRowContext(ctx,
		"select count(*) from sqlite_master where type = 'table' and name = 'squidmesh_migration'").Scan(&tables)
	if err != nil || tables == 0 {
		return nil, err
	}
	rows, err := tx.conn.QueryContext(ctx, "select version, created_at from squidmesh_migration")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	present := map[int]time.Time{}
	for rows.Next() {
		var version int
		var at int64
		if err := rows.Scan(&version, &at); err != nil {
			return nil, err
		}
		present[version] = time.UnixMicro(at).UTC()
	}
	return present, rows.Err()
}

func (tx sqliteTx) exec(ctx context.Context, sql string) error {
	_, err := tx.conn.ExecContext(ctx, sql)
	return err
}
