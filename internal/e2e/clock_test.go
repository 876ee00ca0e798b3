package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// elsewhen is a database whose clock is off: its functions stand before PostgreSQL's own, for squidmesh's statements and for River's.
func elsewhen(t *testing.T, off time.Duration) *pgxpool.Pool {
	t.Helper()
	direct := dbtest.Postgres(t, dbtest.River)
	for _, clock := range []string{"now", "clock_timestamp"} {
		_, err := direct.Exec(t.Context(), fmt.Sprintf(
			"create function %[1]s() returns timestamptz language sql stable as $$ select pg_catalog.%[1]s() + interval '%[2]d milliseconds' $$",
			clock, off.Milliseconds()))
		require.NoError(t, err)
	}
	return dbtest.Changed(t, direct, func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["search_path"] = dbtest.Schema(direct) + ", pg_catalog"
	})
}

// Two programs share a queue, and only one of them has the workflow, so each delivery that comes to the other is sent back for a moment:
// by the host's clock, if River has its way. The same goes for retries, waits and what is sent to the queue for later.
func TestClock_HostsMayDifferFromTheDatabase(t *testing.T) {
	t.Parallel()

	for _, ahead := range []time.Duration{5 * time.Second, 20 * time.Second, time.Hour, -5 * time.Second, -20 * time.Second, -time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			pool := elsewhen(t, -ahead)
			warnings := &logbook{}
			logger := slog.New(slog.NewTextHandler(warnings, &slog.HandlerOptions{Level: slog.LevelWarn}))
			start := func(workflow squidmesh.Workflow) program[pgx.Tx] {
				return programOn(t, pool, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{workflow}, Logger: logger})
			}
			var failed atomic.Bool
			other := start(note())
			p := start(squidmesh.Workflow{Name: "wanted", Triggers: byHand, Steps: []squidmesh.Step{
				{Name: "first", Do: nothing(), Next: "pause"},
				{Name: "pause", Do: squidmesh.Wait(time.Second), Next: "again"},
				{Name: "again", Retry: squidmesh.Exponential(2, time.Second, time.Second), Do: squidmesh.Effect(func(context.Context, struct{}) error {
					if failed.Swap(true) {
						return nil
					}
					return errors.New("not yet")
				})},
			}})
			began := time.Now()
			var ids []squidmesh.RunID
			for range 10 {
				ids = append(ids, startNamed(t, p, "wanted"))
			}
			for _, id := range ids {
				require.Eventually(t, func() bool {
					ex, err := p.ExplainRun(t.Context(), id)
					if err != nil {
						return false
					}
					require.NotContains(t, ex.Sentence, "no process")
					return ex.Status == squidmesh.RunCompleted
				}, 30*time.Second, 50*time.Millisecond)
			}
			t.Logf("took %s", time.Since(began))
			require.Less(t, time.Since(began), 20*time.Second)
			other.stop(t)
			p.stop(t)
			require.Equal(t, 2, strings.Count(warnings.String(), "this host's clock differs from the database's"), "once for each process")
		})
	}
}
