package e2e

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

var byHand = []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Contract{})}

// tables are where a start leaves rows.
var tables = []string{"squidmesh_run", "squidmesh_step", "squidmesh_event", "squidmesh_attempt", "squidmesh_hold", "river_job"}

// note is a workflow of one step that does nothing.
func note() squidmesh.Workflow {
	return squidmesh.Workflow{Name: "note", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "note", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })},
	}}
}

func TestStartRunTx_RolledBackLeavesNothing_Postgres(t *testing.T) {
	t.Parallel()

	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{note()}})
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = p.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "note"})
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))
	for _, table := range tables {
		var rows int
		require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&rows))
		require.Zero(t, rows, table)
	}

	tx, err = pool.Begin(t.Context())
	require.NoError(t, err)
	run, err := p.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "note"})
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
}

func TestStartRunTx_RolledBackLeavesNothing_SQLite(t *testing.T) {
	t.Parallel()

	p, store := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{note()}})
	tx, err := store.DB().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = p.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "note"})
	require.NoError(t, err)
	require.NoError(t, tx.Rollback())
	for _, table := range tables {
		var rows int
		require.NoError(t, store.DB().QueryRowContext(t.Context(), "select count(*) from "+table).Scan(&rows))
		require.Zero(t, rows, table)
	}

	tx, err = store.DB().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	run, err := p.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "note"})
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
}

func awaitStatus[TTx any](t testing.TB, p program[TTx], id squidmesh.RunID, want squidmesh.RunStatus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run, err := p.AwaitRun(ctx, id, want)
	require.NoError(t, err)
	require.Equal(t, want, run.Status)
}

// Locks are taken in one order everywhere: rows of the application first, then the run. So a transaction of the application that
// writes a row which a step of the run is about to write too, and then decides about that run, waits for the step or is waited
// for, but never both.
func TestApproveRunTx_DoesNotDeadlockWithStepThatWritesTheSameRow(t *testing.T) {
	t.Parallel()

	const runs = 40
	add := squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
		_, err := tx.Exec(ctx, "update balance set amount = amount + 1")
		return err
	})
	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{{
		Name: "balance", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "before", Do: add, Next: "review"},
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Next: "after", OnError: "after"},
			{Name: "after", Do: add},
		},
	}}})
	_, err := pool.Exec(t.Context(), "create table balance (amount integer); insert into balance values (0)")
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	approve := func(id squidmesh.RunID) error {
		tx, err := pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		if _, err := tx.Exec(ctx, "update balance set amount = amount + 1"); err != nil {
			return err
		}
		if _, err := p.ApproveRunTx(ctx, tx, id, squidmesh.Decision{Actor: "ann"}); err != nil {
			return err
		}
		return tx.Commit(ctx)
	}
	var group errgroup.Group
	group.SetLimit(4)
	for range runs {
		group.Go(func() error {
			run, err := p.StartRun(ctx, squidmesh.StartParams{Workflow: "balance"})
			if err != nil {
				return err
			}
			for err = approve(run.ID); errors.Is(err, squidmesh.ErrNotWaiting); {
				err = approve(run.ID) // the step before is not through yet, or waits for the row
			}
			return err
		})
	}
	require.NoError(t, group.Wait())

	page, err := p.ListRuns(ctx, squidmesh.ListParams{Limit: runs})
	require.NoError(t, err)
	require.Len(t, page.Runs, runs)
	for _, run := range page.Runs {
		awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
		in, err := p.InspectRun(ctx, run.ID, &squidmesh.InspectOptions{History: true})
		require.NoError(t, err)
		require.Empty(t, in.Attempts, "a step was repeated, as after a deadlock")
	}
	var amount int
	require.NoError(t, pool.QueryRow(ctx, "select amount from balance").Scan(&amount))
	require.Equal(t, 3*runs, amount)
}

// unkept is a workflow whose step writes what the database refuses at the commit.
func unkept[TTx any](insert func(ctx context.Context, tx TTx) error) squidmesh.Workflow {
	return squidmesh.Workflow{Name: "unkept", Triggers: byHand, Steps: []squidmesh.Step{{
		Name: "book", Retry: squidmesh.Constant(2, 0),
		Do: squidmesh.EffectTx(func(ctx context.Context, tx TTx, _ struct{}) error { return insert(ctx, tx) }),
	}}}
}

const (
	createParent = "create table parent (id integer primary key)"
	createChild  = "create table child (id integer references parent (id) deferrable initially deferred)"
	insertChild  = "insert into child values (7)"
)

// What a FuncTx body wrote and the database refuses at the commit is a failure of the step like any other, which its policy retries.
func TestCommitRefused_IsAFailure_Postgres(t *testing.T) {
	t.Parallel()
	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{unkept(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, insertChild)
		return err
	})}})
	for _, sql := range []string{createParent, createChild} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	requireRefusedTwice(t, p)
}

func TestCommitRefused_IsAFailure_SQLite(t *testing.T) {
	t.Parallel()
	p, store := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{unkept(func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insertChild)
		return err
	})}})
	for _, sql := range []string{createParent, createChild} {
		_, err := store.DB().ExecContext(t.Context(), sql)
		require.NoError(t, err)
	}
	requireRefusedTwice(t, p)
}

func requireRefusedTwice[TTx any](t *testing.T, p program[TTx]) {
	t.Helper()
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "unkept"})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunFailed)
	in, err := p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Equal(t, 2, in.Steps[0].Do.Failures)
	require.Len(t, in.Attempts, 2)
	require.Contains(t, strings.ToLower(in.Run.Reason.Message), "foreign key constraint")
}

// leaking is a workflow whose step lets its transaction out.
func leaking[TTx any](leaked chan<- TTx) squidmesh.Workflow {
	return squidmesh.Workflow{Name: "leaking", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "leak", Do: squidmesh.EffectTx(func(_ context.Context, tx TTx, _ struct{}) error {
			leaked <- tx
			return nil
		})},
	}}
}

// A transaction that a body lets out can do nothing once the body has returned.
func TestLeakedTransaction_Postgres(t *testing.T) {
	t.Parallel()
	leaked := make(chan pgx.Tx, 1)
	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{leaking(leaked)}})
	_, err := pool.Exec(t.Context(), createParent)
	require.NoError(t, err)
	awaitStatus(t, p, startNamed(t, p, "leaking"), squidmesh.RunCompleted)
	_, err = (<-leaked).Exec(t.Context(), "insert into parent values (1)")
	require.ErrorIs(t, err, pgx.ErrTxClosed)
}

func TestLeakedTransaction_SQLite(t *testing.T) {
	t.Parallel()
	leaked := make(chan *sql.Tx, 1)
	p, store := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{leaking(leaked)}})
	_, err := store.DB().ExecContext(t.Context(), createParent)
	require.NoError(t, err)
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "leaking"})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
	_, err = (<-leaked).ExecContext(t.Context(), "insert into parent values (1)")
	require.ErrorIs(t, err, sql.ErrTxDone)
}
