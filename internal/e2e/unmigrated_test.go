package e2e

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// A program that meets a database without its tables, or with those of any older version, says so in every call that needs what is not
// there, and what to do.
func TestUnmigrated_Postgres(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t, dbtest.Empty)
	begin := func(ctx context.Context, fn func(pgx.Tx) error) error { return pgx.BeginFunc(ctx, pool, fn) }
	meetUnmigrated(t, pgstore.New(pool, nil), migrations.Postgres(pool, nil), begin)
}

func TestUnmigrated_SQLite(t *testing.T) {
	t.Parallel()
	store := dbtest.SQLite(t, nil, dbtest.Empty)
	begin := func(ctx context.Context, fn func(*sql.Tx) error) error {
		tx, err := store.DB().BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		return fn(tx)
	}
	meetUnmigrated(t, store, migrations.SQLite(store.DB(), nil), begin)
}

func meetUnmigrated[TTx any](
	t *testing.T, store driver.Store[TTx], migrator *migrations.Migrator, begin func(context.Context, func(TTx) error) error,
) {
	t.Helper()
	parcel := squidmesh.Workflow{
		Name: "parcel",
		Triggers: []squidmesh.Trigger{
			squidmesh.Manual("hand", squidmesh.Contract{}), squidmesh.Cron("nightly", "@daily", "", squidmesh.Contract{}),
		},
		Steps: []squidmesh.Step{{Name: "sign", Do: squidmesh.Pause()}},
	}
	versions := migrator.Versions()
	for _, version := range append([]migrations.Version{{}}, versions...) {
		if version.Version > 0 {
			_, err := migrator.Migrate(t.Context(), migrations.Up, &migrations.MigrateOptions{TargetVersion: version.Version})
			require.NoError(t, err)
		}
		rt, err := squidmesh.New(&squidmesh.Config[TTx]{
			Store: store, Executor: noQueue[TTx]{}, Workflows: []squidmesh.Workflow{parcel}, ManualTick: true,
		})
		require.NoError(t, err)
		starting := rt.Start(t.Context())
		if starting == nil {
			require.NoError(t, rt.Stop(t.Context()))
		}
		refused := 0
		for name, err := range map[string]error{
			"Start":    starting,
			"StartRun": second(rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "parcel"})),
			"StartRunTx": begin(t.Context(), func(tx TTx) error {
				return second(rt.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "parcel", Key: "7"}))
			}),
			"ListRuns":     second(rt.ListRuns(t.Context(), squidmesh.ListParams{})),
			"ListTriggers": second(rt.ListTriggers(t.Context(), squidmesh.ListTriggersParams{})),
			"PauseTrigger": rt.PauseTrigger(t.Context(), "parcel", "nightly", squidmesh.TriggerParams{}),
			"CheckDeploy":  second(rt.CheckDeploy(t.Context(), nil)),
		} {
			if squidmesh.CodeOf(err) == "unknown_trigger" { // there was no Start to register it
				continue
			}
			if err != nil {
				refused++
				assert.ErrorIs(t, err, squidmesh.ErrNotMigrated, "version %d: %s", version.Version, name)
				assert.Equal(t, "not_migrated", squidmesh.CodeOf(err))
				assert.ErrorContains(t, err, "UpAllPostgres")
			}
		}
		switch version.Version {
		case 0:
			require.Equal(t, 7, refused)
		case versions[len(versions)-1].Version:
			require.Zero(t, refused)
		}
	}
}

// A step that misses a table of the program's own has failed; nobody is sent to squidmesh's migrations.
func TestUnmigrated_TableOfTheProgram(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t)
	kit := squidmeshtest.NewOn(t, squidmeshtest.Options[pgx.Tx]{
		Open: func(clock func(time.Time) time.Time) driver.Store[pgx.Tx] {
			return pgstore.New(pool, &pgstore.Options{Clock: clock})
		},
		Config: squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{{
			Name: "parcel", Triggers: []squidmesh.Trigger{squidmesh.Manual("hand", squidmesh.Contract{})},
			Steps: []squidmesh.Step{{Name: "sign", Do: squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
				_, err := tx.Exec(ctx, "insert into parcel default values")
				return err
			})}},
		}}},
	})
	run := kit.Start("parcel", nil)
	kit.RunUntilIdle()
	reason := run.Inspect().Run.Reason
	require.Contains(t, reason.Message, "parcel")
	require.NotContains(t, reason.Message, "migrations")
}

func second[T any](_ T, err error) error { return err }
