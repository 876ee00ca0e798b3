package migrations_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
)

// A database that has runs from the first version on comes to the newest one, with all its rows. With MIGRATIONS=full there are 1,000,000 runs
// of one step each, and the log says how long each version took.
func TestMigrate_TakesRunsAlong(t *testing.T) {
	t.Parallel()
	runs := 1000
	if os.Getenv("MIGRATIONS") == "full" {
		runs = 1_000_000
	}
	ctx := context.WithoutCancel(t.Context())
	pool := dbtest.Postgres(t, dbtest.Empty)
	m := migrations.Postgres(pool, nil)
	_, err := m.Migrate(ctx, migrations.Up, &migrations.MigrateOptions{TargetVersion: 4})
	require.NoError(t, err)
	// Every tenth run was started by cron, every hundredth waits for a decision, and the others have completed.
	_, err = pool.Exec(ctx, `insert into squidmesh_run (id, workflow, trigger, shape, key, signal_id, payload, created_at, status, verdict, compensate,
			version, seq, last_at, open, retrying, finished_at)
		select gen_random_uuid(), 'ship', 'nightly', 's', case when n % 10 = 0 then 'cron:nightly:' || n end, case when n % 10 = 0 then n::text end,
			json_build_object('id', n), now() - n * interval '1 second', case when n % 100 = 1 then 'paused' else 'completed' end, '', false,
			4, 4, now(), (n % 100 = 1)::int, 0, case when n % 100 <> 1 then now() end
		from generate_series(1, $1) as n`, runs)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `insert into squidmesh_step (run_id, name, phase, status, attempt, failures, losses, missing, deadline_at, started_at)
		select id, 'ship', 'do', status, 1, 0, 0, 0, case when status = 'paused' then now() end, created_at from squidmesh_run`)
	require.NoError(t, err)

	result, err := m.Migrate(ctx, migrations.Up, nil)
	require.NoError(t, err)
	for _, v := range result.Versions {
		t.Logf("%03d %s: %s", v.Version, v.Name, v.Duration.Round(time.Millisecond))
	}
	valid, err := m.Validate(ctx)
	require.NoError(t, err)
	require.True(t, valid.OK, valid.Messages)
	var moved, open int
	require.NoError(t, pool.QueryRow(ctx, "select count(*) from squidmesh_run where key like chr(31) || 'cron:%'").Scan(&moved))
	require.NoError(t, pool.QueryRow(ctx, "select count(*) from squidmesh_step where open_until is not null").Scan(&open))
	require.Equal(t, []int{runs / 10, runs / 100}, []int{moved, open})
}
