package e2e

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// The client loses the connection while the server is at work on the COMMIT of a start. What is read back then does not show the run
// yet, and a second insert meets it.
func TestStartRun_WhoseCommitIsStillInFlight(t *testing.T) {
	t.Parallel()

	for name, key := range map[string]string{"without a key": "", "with a key": "order-7"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			plain := dbtest.Postgres(t, dbtest.River)
			_, err := plain.Exec(t.Context(), `
				create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(0.7); return null; end $$;
				create constraint trigger dawdle after insert on squidmesh_run initially deferred for each row execute function dawdle()`)
			require.NoError(t, err)
			proxy, pool := dbtest.Proxied(t, plain)
			var observed atomic.Int32
			rt := deskOn(t, pool, &squidmesh.Config[pgx.Tx]{
				Workflows: []squidmesh.Workflow{single()},
				Observer:  squidmesh.ObserverFunc(func(context.Context, squidmesh.Observation) { observed.Add(1) }),
			})

			_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single"}) // which prepares the statements
			require.NoError(t, err)
			proxy.Arm(wirecut.During)
			run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Key: key})
			require.NoError(t, err)
			require.Equal(t, int64(1), proxy.Cuts())
			require.False(t, run.Existing, "it is the run that this call started")
			require.Equal(t, int32(2), observed.Load())

			var runs, jobs int
			require.NoError(t, plain.QueryRow(t.Context(), "select (select count(*) from squidmesh_run), (select count(*) from river_job)").Scan(&runs, &jobs))
			require.Equal(t, []int{2, 2}, []int{runs, jobs})
			in, err := rt.InspectRun(t.Context(), run.ID, nil)
			require.NoError(t, err)
			require.Equal(t, run.Version, in.Run.Version)
		})
	}
}

// single is a workflow of one step that does nothing.
func single() squidmesh.Workflow {
	return squidmesh.Workflow{Name: "single", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "only", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })},
	}}
}
