package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// commits is a run whose every kind of COMMIT can be cut, on either side of the server.
type commits struct {
	*testing.T
	*squidmesh.Runtime[pgx.Tx]
	direct *pgxpool.Pool
	proxy  *wirecut.Proxy
	cutIn  string // the step whose end is cut
	side   wirecut.Cut
	calls  map[string]int
}

func newCommits(t *testing.T, side wirecut.Cut) *commits {
	c := &commits{T: t, direct: dbtest.Postgres(t), side: side, calls: map[string]int{}}
	_, err := c.direct.Exec(t.Context(), "create table mark (step text)")
	require.NoError(t, err)
	var pool *pgxpool.Pool
	c.proxy, pool = dbtest.Proxied(t, c.direct)
	c.Runtime, err = squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: noQueue[pgx.Tx]{}, TimeSlice: time.Minute, ManualTick: true, Workflows: []squidmesh.Workflow{
			{Name: "commits", Triggers: byHand, Steps: []squidmesh.Step{
				{Name: "func", Do: squidmesh.Effect(func(context.Context, struct{}) error { c.called("func"); return nil }), Next: "functx"},
				{Name: "functx", Do: squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
					_, err := tx.Exec(ctx, "insert into mark values ('functx')")
					c.called("functx")
					return err
				}), Next: "gate"},
				{Name: "gate", Do: squidmesh.Pause(), Next: "last"},
				{Name: "last", Do: squidmesh.Effect(func(context.Context, struct{}) error { c.called("last"); return nil })},
			}},
		},
	})
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	return c
}

// called notes a call, and cuts the COMMIT of its end if that is the one.
func (c *commits) called(step string) {
	c.calls[step]++
	if c.cutIn == step && c.calls[step] == 1 {
		c.proxy.Arm(c.side)
	}
}

func (c *commits) perform(run squidmesh.RunID, step string, attempt int) {
	c.Helper()
	outcome, err := c.Perform(c.Context(), driver.StepJob{RunID: run, Step: step, Attempt: attempt}.Delivery())
	require.NoError(c, err)
	require.Equal(c, flow.OutcomeDone, outcome.Kind)
}

// A connection breaks at a COMMIT, before the server has it or before its answer comes back. Nobody can tell which, so its fate is read
// back, and nothing is lost and nothing done twice. It is no failure of a step's.
func TestCommit_ThatIsCutIsReadBack(t *testing.T) {
	t.Parallel()

	for _, what := range []string{"start", "claim", "func", "functx", "decision", "last"} {
		for name, side := range map[string]wirecut.Cut{"before": wirecut.Before, "after": wirecut.After} {
			t.Run(what+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := newCommits(t, side)
				c.cutIn = what
				arm := func(now string) {
					if what == now {
						c.proxy.Arm(side)
					}
				}
				arm("start")
				run, err := c.StartRun(t.Context(), squidmesh.StartParams{Workflow: "commits"})
				require.NoError(t, err)
				require.False(t, run.Existing)
				arm("claim")
				c.perform(run.ID, "func", 1)
				bodies := 1
				if what == "functx" && side == wirecut.Before { // its writes are gone, so it has to begin anew
					bodies = 2
					c.perform(run.ID, "functx", 2)
				}
				arm("decision")
				_, err = c.UnblockRun(t.Context(), run.ID, squidmesh.Decision{Actor: "ann"})
				require.NoError(t, err)
				c.perform(run.ID, "last", 1)
				require.Equal(t, int64(1), c.proxy.Cuts())

				in, err := c.InspectRun(t.Context(), run.ID, nil)
				require.NoError(t, err)
				require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
				require.Equal(t, map[string]int{"func": 1, "functx": bodies, "last": 1}, c.calls)
				for _, step := range in.Steps {
					require.Zero(t, step.Do.Failures+step.Do.Losses, step.Name)
				}
				var runs, marks int
				require.NoError(t, c.direct.QueryRow(t.Context(), "select (select count(*) from squidmesh_run), (select count(*) from mark)").Scan(&runs, &marks))
				require.Equal(t, []int{1, 1}, []int{runs, marks})
			})
		}
	}
}

// A delivery whose claim the database refuses is not done: the queue must bring it again.
func TestPerform_ThatCannotBeRecordedIsNotDone(t *testing.T) {
	t.Parallel()

	c := newCommits(t, wirecut.None)
	run, err := c.StartRun(t.Context(), squidmesh.StartParams{Workflow: "commits"})
	require.NoError(t, err)
	_, err = c.direct.Exec(t.Context(), "alter table squidmesh_event rename to squidmesh_event_away")
	require.NoError(t, err)
	_, err = c.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "func", Attempt: 1}.Delivery())
	require.ErrorContains(t, err, "42P01")
	require.Empty(t, c.calls, "nothing was claimed")

	_, err = c.direct.Exec(t.Context(), "alter table squidmesh_event_away rename to squidmesh_event")
	require.NoError(t, err)
	c.perform(run.ID, "func", 1)
	require.Equal(t, 1, c.calls["func"])
}
