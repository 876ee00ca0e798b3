package migrations

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Postgres returns a migrator for the database of pool. Options may be nil. It works through poolers in transaction mode.
func Postgres(pool *pgxpool.Pool, options *Options) *Migrator {
	return newMigrator("postgres", postgres{pool}, options)
}

// UpAllPostgres brings River's tables and squidmesh's to their newest versions, in the same schema. It is the one call to make
// before a program starts. The pool needs two connections.
func UpAllPostgres(ctx context.Context, pool *pgxpool.Pool, options *Options) error {
	m := Postgres(pool, options)
	if m.err != nil {
		return m.err
	}
	if pool.Config().MaxConns < 2 {
		return &squidmesh.InputError{Field: "pool", Code: "too_small", Detail: "needs two connections, one of them holds the lock"}
	}
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: m.schema, Logger: m.logger})
	if err != nil {
		return fmt.Errorf("river migrations: %w", err)
	}
	// River takes no lock of its own, so two processes could collide.
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, m.schema); err != nil {
			return err
		}
		_, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("river migrations: %w", err)
	}
	_, err = m.Migrate(ctx, Up, nil)
	return err
}

type postgres struct{ pool *pgxpool.Pool }

func (p postgres) exclusive(ctx context.Context, schema string, fn func(transaction) error) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, schema); err != nil {
			return err
		}
		return fn(postgresTx{tx, schema})
	})
}

// lock waits for other migrators of the schema, until the end of the transaction.
func lock(ctx context.Context, tx pgx.Tx, schema string) error {
	_, err := tx.Exec(ctx, `select pg_advisory_xact_lock(
		hashtextextended('squidmesh_migration.' || coalesce(nullif($1::text, ''), current_schema(), ''), 0))`, schema)
	return err
}

type postgresTx struct {
	pgx.Tx
	schema string
}

func (tx postgresTx) applied(ctx context.Context) (map[int]time.Time, error) {
	// A query of the catalogue, not to_regclass: that could answer from a cache that is older than the lock.
	var exists bool
	err := tx.QueryRow(ctx, `select exists (
		select from pg_catalog.pg_tables
		where tablename = 'squidmesh_migration' and schemaname = any(case when $1 = '' then current_schemas(false) else array[$1::name] end)
	)`, tx.schema).Scan(&exists)
	if err != nil || !exists {
		return nil, err
	}
	rows, err := tx.Query(ctx, sqltext.WithSchema("select version, created_at from "+sqltext.SchemaMark+"squidmesh_migration", tx.schema))
	if err != nil {
		return nil, err
	}
	present := map[int]time.Time{}
	var version int
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&version, &at}, func() error {
		present[version] = at.UTC()
		return nil
	})
	return present, err
}

func (tx postgresTx) exec(ctx context.Context, sql string) error {
	_, err := tx.Conn().PgConn().Exec(ctx, sql).ReadAll() // several statements
	return err
}
