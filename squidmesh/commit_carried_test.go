package squidmesh_test

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// deafQueue takes jobs and never delivers them: the test does.
type deafQueue[TTx any] struct{ driver.Executor[TTx] }

func (deafQueue[TTx]) EnqueueStep(context.Context, TTx, driver.StepJob) (driver.JobMetadata, error) {
	return driver.JobMetadata{JobID: "1"}, nil
}

func (deafQueue[TTx]) EnqueueSteps(_ context.Context, _ TTx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	return make([]driver.JobMetadata, len(jobs)), nil
}

// loadCounter counts how often something is loaded.
type loadCounter[TTx any] struct {
	driver.Store[TTx]
	loads *atomic.Int64
}

func (s loadCounter[TTx]) Load(ctx context.Context, tx TTx, reads map[squidmesh.RunID]flow.Reads) (map[squidmesh.RunID]driver.Loaded, error) {
	s.loads.Add(1)
	return s.Store.Load(ctx, tx, reads)
}

// remembering starts a run whose rows the process remembers from then on.
func remembering[TTx any](t *testing.T, store driver.Store[TTx]) (loads *atomic.Int64, run squidmesh.RunID, perform func() flow.Outcome) {
	t.Helper()
	loads = &atomic.Int64{}
	rt, err := squidmesh.New(&squidmesh.Config[TTx]{
		Store: loadCounter[TTx]{store, loads}, Executor: deafQueue[TTx]{}, ManualTick: true,
		Workflows: []squidmesh.Workflow{relay(squidmesh.Effect(func(context.Context, nothing) error { return nil }))},
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
	started, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
	require.NoError(t, err)
	return loads, started.ID, func() flow.Outcome {
		outcome, err := rt.Perform(t.Context(), driver.StepJob{RunID: started.ID, Step: "first", Attempt: 1}.Delivery())
		require.NoError(t, err)
		return outcome
	}
}

// What a process has committed itself it does not load: neither rows nor outputs nor the payload.
func TestMemory_SparesLoads(t *testing.T) {
	t.Parallel()

	for name, exercise := range map[string]func(t *testing.T){
		"PostgreSQL": func(t *testing.T) { spares[pgx.Tx](t, pgstore.New(dbtest.Postgres(t), nil)) },
		"SQLite":     func(t *testing.T) { spares[*sql.Tx](t, dbtest.SQLite(t, nil)) },
		"memory":     func(t *testing.T) { spares[*memstore.Tx](t, memstore.New(nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exercise(t)
		})
	}
}

func spares[TTx any](t *testing.T, store driver.Store[TTx]) {
	t.Helper()
	loads, _, perform := remembering(t, store)
	require.Equal(t, flow.Outcome{Kind: flow.OutcomeDone}, perform())
	require.Zero(t, loads.Load())
}

// After a failover that lost its last commits another process may have committed a run's next version, which has the number of the one
// that is remembered here. The time of the commit tells them apart.
func TestMemory_OfACommitThatWasLostIsNotUsed(t *testing.T) {
	t.Parallel()

	const (
		step = "update squidmesh_step set attempt = 2, losses = 1 where name = 'first'"
		run  = "update squidmesh_run set last_at = "
	)
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		pool := dbtest.Postgres(t)
		_, _, perform := remembering[pgx.Tx](t, pgstore.New(pool, nil))
		for _, statement := range []string{step, run + "last_at + interval '1 microsecond'"} {
			_, err := pool.Exec(t.Context(), statement)
			require.NoError(t, err)
		}
		require.Equal(t, flow.Outcome{Kind: flow.OutcomeDone, Reason: "stale"}, perform())
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		store := dbtest.SQLite(t, nil)
		_, _, perform := remembering[*sql.Tx](t, store)
		for _, statement := range []string{step, run + "last_at + 1"} {
			_, err := store.DB().ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		require.Equal(t, flow.Outcome{Kind: flow.OutcomeDone, Reason: "stale"}, perform())
	})
}
