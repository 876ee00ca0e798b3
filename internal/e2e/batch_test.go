package e2e

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// cutting is an executor behind whose first batch of several jobs the COMMIT is cut.
type cutting struct {
	*riveradapter.Executor[pgx.Tx]
	proxy   *wirecut.Proxy
	side    wirecut.Cut
	batches atomic.Int64
}

func (c *cutting) EnqueueBatch(ctx context.Context, tx pgx.Tx, batch driver.Batch) (driver.BatchMetadata, error) {
	answer, err := c.Executor.EnqueueBatch(ctx, tx, batch)
	if len(batch.Steps) > 1 && c.batches.Add(1) == 1 {
		c.proxy.Arm(c.side)
	}
	return answer, err
}

// The COMMIT of what a tick did about many runs is cut. What became of it is read back, and only what did not take effect is done again.
func TestTick_ReadsBackABatchWhoseCommitIsCut(t *testing.T) {
	t.Parallel()

	const runs = 20
	for name, c := range map[string]struct {
		side    wirecut.Cut
		batches int64
	}{
		"it took effect":             {wirecut.After, 1},
		"it takes effect afterwards": {wirecut.During, 1},
		"it took none":               {wirecut.Before, 3}, // that one, and its halves
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near := dbtest.Postgres(t, dbtest.River)
			config := func() *squidmesh.Config[pgx.Tx] {
				return &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{single()}}
			}
			starter := deskOn(t, near, config())
			for range runs {
				_, err := starter.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single"})
				require.NoError(t, err)
			}
			_, err := near.Exec(t.Context(), `delete from river_job;
				create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(0.7); return null; end $$;
				create constraint trigger dawdle after insert on river_job initially deferred for each row when (new.id % 20 = 0) execute function dawdle()`)
			require.NoError(t, err)

			proxy, pool := dbtest.Proxied(t, near)
			client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
			require.NoError(t, err)
			executor := &cutting{Executor: riveradapter.New(client), proxy: proxy, side: c.side}
			var told atomic.Int64
			ticking := config()
			ticking.Store = pgstore.New(pool, &pgstore.Options{Clock: func(at time.Time) time.Time { return at.Add(5 * time.Second) }})
			ticking.Executor, ticking.ManualTick = executor, true
			ticking.Observer = squidmesh.ObserverFunc(func(_ context.Context, o squidmesh.Observation) {
				if o.Entry.Kind == flow.AuditRedelivered {
					told.Add(1)
				}
			})
			rt, err := squidmesh.New(ticking)
			require.NoError(t, err)
			require.NoError(t, rt.Start(t.Context()))
			defer func() { require.NoError(t, rt.Stop(context.Background())) }()
			require.NoError(t, rt.Tick(t.Context()))

			require.EqualValues(t, 1, proxy.Cuts())
			require.Equal(t, c.batches, executor.batches.Load())
			require.EqualValues(t, runs, told.Load())
			var jobs, entries, resent int
			require.NoError(t, near.QueryRow(t.Context(), `select (select count(*) from river_job), count(*), count(distinct run_id)
				from squidmesh_event where kind = 'redelivered'`).Scan(&jobs, &entries, &resent))
			require.Equal(t, []int{runs, runs, runs}, []int{jobs, entries, resent})
		})
	}
}
