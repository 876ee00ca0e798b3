package e2e

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// A body works under settings of its own, in a schema of a tenant and as a role that may do nothing else; what the runtime writes after it
// does not: the step and its undo run once.
func TestFuncTx_ThatChangesSettings(t *testing.T) {
	t.Parallel()

	for _, set := range []string{
		"set local search_path to nowhere",
		"set search_path to nowhere",
		"select set_config('search_path', 'nowhere', true)",
		"set local role pg_monitor",
		"set role pg_monitor",
		"set local lock_timeout to 1; set local synchronous_commit to off",
		"set local row_security to off; set local client_encoding to latin1",
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()

			var bodies, undos atomic.Int32
			sets := func(calls *atomic.Int32) squidmesh.Action {
				return squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
					calls.Add(1)
					if _, err := tx.Exec(ctx, "insert into booking values (1)"); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, set)
					return err
				})
			}
			p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{
				{Name: "book", Triggers: byHand, Steps: []squidmesh.Step{
					{Name: "book", Do: sets(&bodies), Undo: sets(&undos), Next: "fail"},
					{Name: "fail", Do: squidmesh.Effect(func(context.Context, struct{}) error { return squidmesh.Fail(context.Canceled) })},
				}},
			}})
			_, err := pool.Exec(t.Context(), "create table booking (id integer)")
			require.NoError(t, err)
			awaitStatus(t, p, startNamed(t, p, "book"), squidmesh.RunFailed)
			require.EqualValues(t, 1, bodies.Load())
			require.EqualValues(t, 1, undos.Load())
			var rows int
			require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from booking").Scan(&rows))
			require.Equal(t, 2, rows)
		})
	}
}

// What the database refuses of the runtime's own, after a body has returned well, is a failed attempt of the step, or of its undo: the
// policy counts it, and an operator has the last word.
func TestFuncTx_WhoseEndTheDatabaseRefuses(t *testing.T) {
	t.Parallel()

	var bodies, undos atomic.Int32
	count := func(calls *atomic.Int32) squidmesh.Action {
		return squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
			calls.Add(1)
			_, err := tx.Exec(ctx, "insert into booking values (1)")
			return err
		})
	}
	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{
		{Name: "book", Triggers: byHand, Steps: []squidmesh.Step{{Name: "book", Do: count(&bodies), Retry: squidmesh.Constant(3, 0)}}},
		{Name: "saga", Triggers: byHand, Steps: []squidmesh.Step{
			{
				Name: "done", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil }), Next: "fail",
				Undo: count(&undos), UndoRetry: squidmesh.Constant(2, 0),
			},
			{Name: "fail", Do: squidmesh.Effect(func(context.Context, struct{}) error { return squidmesh.Fail(context.Canceled) })},
		}},
	}})
	_, err := pool.Exec(t.Context(), `
		create table booking (id integer);
		create function refuse() returns trigger language plpgsql as $$ begin
			if new.kind in ('succeeded', 'undone') and new.step in ('book', 'done') and exists (select from booking) then
				raise exception 'no such right' using errcode = '42501';
			end if;
			return new;
		end $$;
		create trigger refuse before insert on squidmesh_event for each row execute function refuse()`)
	require.NoError(t, err)

	run := startNamed(t, p, "book")
	awaitStatus(t, p, run, squidmesh.RunFailed)
	require.EqualValues(t, 3, bodies.Load())
	in, err := p.InspectRun(t.Context(), run, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Equal(t, flow.CodeNotRecorded, in.Run.Reason.Code)
	require.Contains(t, in.Run.Reason.Message, "no such right")
	require.Len(t, in.Attempts, 3)

	run = startNamed(t, p, "saga")
	require.Eventually(t, func() bool {
		ex, err := p.ExplainRun(t.Context(), run)
		return err == nil && ex.Code == flow.ReasonCompensationFailed
	}, time.Minute, 10*time.Millisecond)
	require.EqualValues(t, 2, undos.Load())
	_, err = p.AcceptUndo(t.Context(), run, squidmesh.Decision{Actor: "ann"})
	require.NoError(t, err)
	awaitStatus(t, p, run, squidmesh.RunFailed)
	var rows int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from booking").Scan(&rows))
	require.Zero(t, rows)
}

// A transaction of a caller under another search_path is told what it needs.
func TestStartRunTx_UnderAnotherSearchPath(t *testing.T) {
	t.Parallel()

	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{note()}})
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "set local search_path to nowhere"); err != nil {
			return err
		}
		_, err := p.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "note"})
		return err
	})
	require.ErrorIs(t, err, squidmesh.ErrNotMigrated)
	require.Contains(t, err.Error(), "search_path")
	require.Less(t, strings.Index(err.Error(), "search_path"), strings.Index(err.Error(), "does not exist"))
}
