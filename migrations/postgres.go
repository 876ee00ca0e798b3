package migrations

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Postgres returns a migrator for the database of pool. Options may be nil. It works through poolers in transaction mode.
func Postgres(pool *pgxpool.Pool, options *Options) *Migrator {
	return newMigrator("postgres", postgres{pool}, options)
}

// UpAllPostgres brings River's and squidmesh's tables to their newest versions, in the same schema. A program needs this one call
// before it starts. One connection is enough, and the call does not keep it while another process migrates.
func UpAllPostgres(ctx context.Context, pool *pgxpool.Pool, options *Options) error {
	m := Postgres(pool, options)
	if m.err != nil {
		return m.err
	}
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: m.schema, Logger: m.logger})
	if err != nil {
		return fmt.Errorf("river migrations: %w", err)
	}
	// River takes no lock of its own, so two processes could collide. Each version has a transaction: one adds a value to an enum
	// that the next cannot use before it is committed.
	for more := true; more; {
		err := postgres{pool}.alone(ctx, m.schema, func(tx pgx.Tx) error {
			//lint:ignore SA1019 it is deprecated for batches of several versions; this is one, on the one connection that has the lock
			done, err := river.MigrateTx(ctx, tx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{MaxSteps: 1})
			more = err == nil && len(done.Versions) > 0
			return err
		})
		if err != nil {
			return fmt.Errorf("river migrations: %w", err)
		}
	}
	_, err = m.Migrate(ctx, Up, nil)
	return err
}

type postgres struct{ pool *pgxpool.Pool }

func (p postgres) exclusive(ctx context.Context, schema string, fn func(transaction) error) error {
	return p.alone(ctx, schema, func(tx pgx.Tx) error { return fn(postgresTx{tx, schema}) })
}

// alone runs fn in a transaction that no other migrator of the schema can run at the same time. While it waits for another, it holds
// no connection: the other may need this one, in the same pool or in a pooler that both go through.
func (p postgres) alone(ctx context.Context, schema string, fn func(pgx.Tx) error) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		locked := false
		// Read committed, whatever the session's own: later statements must see what was committed before the lock was granted.
		err := pgx.BeginTxFunc(ctx, p.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) (err error) {
			if locked, err = lock(ctx, tx, schema); err != nil || !locked {
				return err
			}
			return fn(tx)
		})
		if locked || err != nil {
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return fmt.Errorf("wait for another process, which migrates: %w", context.Cause(ctx))
		}
	}
}

// lock takes the migrators' lock of the schema until the end of the transaction, unless another one holds it.
func lock(ctx context.Context, tx pgx.Tx, schema string) (locked bool, err error) {
	var found *string
	err = tx.QueryRow(ctx, `
		with it (name) as (
			select case when $1::text = '' then current_schema() else (select nspname from pg_catalog.pg_namespace where nspname = $1) end
		)
		select name::text, pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('squidmesh_migration.' || coalesce(name, ''), 0))
		from it`, schema).Scan(&found, &locked)
	switch {
	case err != nil:
		return false, err
	case found != nil:
		return locked, nil
	case schema == "":
		return false, &squidmesh.InputError{
			Field: "Schema", Code: "no_schema", Detail: "is empty, and search_path leads to no schema that this role may use: create it first",
		}
	default:
		return false, &squidmesh.InputError{
			Field: "Schema", Code: "no_schema", Detail: fmt.Sprintf("%s is not in this database: create it first", echo.Quote(schema)),
		}
	}
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
