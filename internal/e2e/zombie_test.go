package e2e

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// zombie is a process that falls silent while it is at work on a step, and a second one, which lives. Time is the store's, so that the
// first one's lease ends when the test wants it, and it cannot know.
type zombie struct {
	*testing.T
	pool        *pgxpool.Pool
	ahead       atomic.Int64 // of the database's clock
	dead, alive *squidmesh.Runtime[pgx.Tx]
	worker      int64 // the first one
	run         squidmesh.RunID
	let         chan struct{} // closed to let the first attempt return
	told        chan error    // why the first attempt was told to stop
	ended       chan error    // the first one's delivery
}

// newZombie has the first process at work. The step's second attempt does not wait.
func newZombie(t *testing.T, step func(z *zombie, begun chan<- struct{}) squidmesh.Action) *zombie {
	z := &zombie{
		T: t, pool: dbtest.Postgres(t), let: make(chan struct{}), told: make(chan error, 1), ended: make(chan error, 1),
	}
	_, err := z.pool.Exec(t.Context(), "create table mark (attempt integer)")
	require.NoError(t, err)
	begun := make(chan struct{}, 1)
	workflow := squidmesh.Workflow{Name: "work", Triggers: byHand, Steps: []squidmesh.Step{{Name: "act", Do: step(z, begun), Timeout: time.Hour}}}
	store := pgstore.New(z.pool, &pgstore.Options{Clock: func(now time.Time) time.Time { return now.Add(time.Duration(z.ahead.Load())) }})
	start := func() *squidmesh.Runtime[pgx.Tx] {
		rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
			Store: store, Executor: noQueue[pgx.Tx]{}, Workflows: []squidmesh.Workflow{workflow}, ManualTick: true,
		})
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
		return rt
	}
	z.dead = start()
	require.NoError(t, z.pool.QueryRow(t.Context(), "select id from squidmesh_worker").Scan(&z.worker))
	z.alive = start()
	run, err := z.alive.StartRun(t.Context(), squidmesh.StartParams{Workflow: "work"})
	require.NoError(t, err)
	z.run = run.ID
	go func() { z.ended <- z.perform(z.dead, 1) }()
	<-begun
	return z
}

func (z *zombie) perform(rt *squidmesh.Runtime[pgx.Tx], attempt int) error {
	_, err := rt.Perform(context.WithoutCancel(z.Context()), driver.StepJob{RunID: z.run, Step: "act", Attempt: attempt}.Delivery())
	return err
}

// wait is what the first attempt does.
func (z *zombie) wait(ctx context.Context, begun chan<- struct{}) int {
	info, _ := squidmesh.Info(ctx)
	if info.Attempt == 1 {
		begun <- struct{}{}
		select {
		case <-z.let:
		case <-ctx.Done():
			z.told <- context.Cause(ctx)
		}
	}
	return info.Attempt
}

// marks are the attempts whose writes have been committed.
func (z *zombie) marks() []int {
	z.Helper()
	rows, err := z.pool.Query(z.Context(), "select attempt from mark order by attempt")
	require.NoError(z, err)
	marks, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(z, err)
	return marks
}

// outlive lets the living process tick while time goes on, until the lease of the other one has run out.
func (z *zombie) outlive() {
	z.Helper()
	for range 4 {
		z.ahead.Add(int64(3 * pgstore.DefaultLease / 8))
		require.NoError(z, z.alive.Tick(z.Context()))
	}
}

func (z *zombie) inspect() *squidmesh.Inspection {
	z.Helper()
	in, err := z.alive.InspectRun(z.Context(), z.run, &squidmesh.InspectOptions{History: true})
	require.NoError(z, err)
	return in
}

// zombieSteps write that they ran: beside the runtime, or with it.
func zombieSteps() map[string]func(z *zombie, begun chan<- struct{}) squidmesh.Action {
	return map[string]func(z *zombie, begun chan<- struct{}) squidmesh.Action{
		"Func": func(z *zombie, begun chan<- struct{}) squidmesh.Action {
			return squidmesh.Effect(func(ctx context.Context, _ struct{}) error { z.wait(ctx, begun); return nil })
		},
		"FuncTx": func(z *zombie, begun chan<- struct{}) squidmesh.Action {
			return squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
				_, err := tx.Exec(ctx, "insert into mark values ($1)", z.wait(ctx, begun))
				return err
			})
		},
	}
}

// A process that is silent for longer than its lease is declared lost and taken over. What it brings then changes nothing, whether
// the next attempt is under way or over, and its body's writes are taken back.
func TestZombie_ThatWasTakenOverWritesNothing(t *testing.T) {
	t.Parallel()

	for name, step := range zombieSteps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := newZombie(t, step)
			z.outlive()
			require.NoError(t, z.perform(z.alive, 2))
			close(z.let)
			require.NoError(t, <-z.ended)

			in := z.inspect()
			require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
			require.Len(t, in.Attempts, 2)
			require.Equal(t, flow.AttemptLost, in.Attempts[0].Outcome)
			require.Equal(t, flow.AttemptSucceeded, in.Attempts[1].Outcome)
			if name == "FuncTx" {
				require.Equal(t, []int{2}, z.marks())
			}
		})
	}
}

// From the moment in which a worker is declared lost it can write nothing, also where nobody has yet come to take its steps over.
func TestZombie_ThatIsDeclaredLostWritesNothing(t *testing.T) {
	t.Parallel()

	for name, step := range zombieSteps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := newZombie(t, step)
			_, err := z.pool.Exec(t.Context(), "update squidmesh_worker set lost_at = clock_timestamp() where id = $1", z.worker)
			require.NoError(t, err)
			before := z.inspect()
			close(z.let)
			require.NoError(t, <-z.ended)
			require.Equal(t, before, z.inspect())
			require.Empty(t, z.marks())

			require.NoError(t, z.alive.Tick(t.Context()))
			require.NoError(t, z.perform(z.alive, 2))
			require.Equal(t, squidmesh.RunCompleted, z.inspect().Run.Status)
		})
	}
}

// A process that comes back learns by its first tick that it was declared lost: its steps are told so, and it works on under a new id.
func TestZombie_ThatComesBackTellsItsSteps(t *testing.T) {
	t.Parallel()

	z := newZombie(t, zombieSteps()["Func"])
	z.outlive()
	require.NoError(t, z.dead.Tick(t.Context()))
	require.ErrorIs(t, <-z.told, squidmesh.ErrLeaseLost)
	require.NoError(t, <-z.ended)
	require.NoError(t, z.dead.Tick(t.Context()))
	require.NoError(t, z.perform(z.dead, 2))
	in := z.inspect()
	require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
	require.NotEqual(t, z.worker, int64(in.Attempts[1].Worker))
}
