package migrations_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
)

// The runs of cron triggers leave the callers' keys, those of callers stay, and the way back loses none.
func TestMigrate_CronKeysMoveOutOfCallersReach(t *testing.T) {
	t.Parallel()

	pool, db := dbtest.Postgres(t, dbtest.Empty), dbtest.SQLite(t, nil, dbtest.Empty).DB()
	for name, d := range map[string]struct {
		m    *migrations.Migrator
		exec func(sql string) error
		keys func() string
	}{
		"postgres": {
			migrations.Postgres(pool, nil),
			func(sql string) error { _, err := pool.Exec(t.Context(), sql); return err },
			func() (keys string) {
				require.NoError(t, pool.QueryRow(t.Context(), "select string_agg(key, ' ' order by id) from squidmesh_run").Scan(&keys))
				return keys
			},
		},
		"sqlite": {
			migrations.SQLite(db, nil),
			func(sql string) error {
				_, err := db.ExecContext(t.Context(), strings.ReplaceAll(sql, "now()", "1"))
				return err
			},
			func() (keys string) {
				require.NoError(t, db.QueryRowContext(t.Context(),
					"select group_concat(key, ' ') from (select key from squidmesh_run order by id)").Scan(&keys))
				return keys
			},
		},
	} {
		migrate := func(direction migrations.Direction, target int) {
			t.Helper()
			_, err := d.m.Migrate(context.WithoutCancel(t.Context()), direction, &migrations.MigrateOptions{TargetVersion: target})
			require.NoError(t, err, name)
		}
		insert := func(n int, key, signal, window, replayed string) {
			t.Helper()
			id := func(n string) string { return "'00000000-0000-0000-0000-00000000000" + n + "'" }
			if replayed != "null" {
				replayed = id(replayed)
			}
			require.NoError(t, d.exec(fmt.Sprintf(`insert into squidmesh_run (id, workflow, trigger, shape, key, signal_id, window_at, replayed_from,
				created_at, status, verdict, compensate, version, seq, last_at, open, retrying) values
				(%s, 'w', 'my_cron', 's', '%s', %s, %s, %s, now(), 'running', '', false, 1, 1, now(), 0, 0)`,
				id(fmt.Sprint(n)), key, signal, window, replayed)), name)
		}
		migrate(migrations.Up, 10)
		insert(1, "cron:my_cron:a", "'a'", "now()", "null")
		insert(2, "cron:my_cron:2026-03-02T07:00:00Z/", "null", "now()", "null") // of a scheduler of the program's own
		insert(3, "cron:my_cron:b", "null", "null", "null")                      // a caller's, in the place of a window
		insert(4, "cron:myXcron:c", "'a'", "now()", "1")                         // a caller's, of a replay
		insert(5, "cron:my_cron:d", "'a'", "now()", "1")                         // another one
		before := d.keys()
		migrate(migrations.Up, 11)
		after := "\x1fcron:my_cron:a \x1fcron:my_cron:2026-03-02T07:00:00Z/ cron:my_cron:b cron:myXcron:c cron:my_cron:d"
		require.Equal(t, after, d.keys(), name)
		insert(6, "cron:my_cron:a", "null", "null", "null") // which a caller may take now
		migrate(migrations.Down, 10)
		require.Equal(t, strings.Replace(before, "cron:my_cron:a", "\x1fcron:my_cron:a", 1)+" cron:my_cron:a", d.keys(), name)
		migrate(migrations.Up, 11)
		require.Equal(t, after+" cron:my_cron:a", d.keys(), name)
	}
}
