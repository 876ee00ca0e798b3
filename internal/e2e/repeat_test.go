package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// A deadlock is not the step's fault, so a FuncTx body that returns one runs again within its attempt, even if the step is not
// to be retried: after nothing else, and not for ever.
func TestFuncTx_RunsAgainWhenTheDatabaseGivesItUp(t *testing.T) {
	t.Parallel()

	deadlock := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "do $$ begin raise exception 'made up' using errcode = '40P01'; end $$")
		return fmt.Errorf("book: %w", err)
	}
	cut := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "select pg_terminate_backend(pg_backend_pid())")
		return err
	}
	for name, tt := range map[string]struct {
		fail  func(ctx context.Context, tx pgx.Tx) error
		until int32 // the call from which on the body succeeds
		calls int32
		ends  squidmesh.RunStatus
	}{
		"deadlocks":          {deadlock, 3, 3, squidmesh.RunCompleted},
		"connection cut":     {cut, 2, 2, squidmesh.RunCompleted},
		"deadlocks for ever": {deadlock, 100, 6, squidmesh.RunFailed},
		"marked as final": {func(ctx context.Context, tx pgx.Tx) error {
			return squidmesh.Fail(deadlock(ctx, tx))
		}, 100, 1, squidmesh.RunFailed},
		"another's connection": {func(context.Context, pgx.Tx) error {
			return &net.OpError{Op: "dial", Err: errors.New("refused")}
		}, 100, 1, squidmesh.RunFailed},
		"its own error": {func(context.Context, pgx.Tx) error { return errors.New("out of stock") }, 100, 1, squidmesh.RunFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var calls atomic.Int32
			book := func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
				if _, err := tx.Exec(ctx, "insert into booking values (1)"); err != nil {
					return err
				}
				if calls.Add(1) < tt.until {
					return tt.fail(ctx, tx)
				}
				return nil
			}
			p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{
				{Name: "book", Triggers: byHand, Steps: []squidmesh.Step{{Name: "book", Do: squidmesh.EffectTx(book)}}},
			}})
			_, err := pool.Exec(t.Context(), "create table booking (id integer)")
			require.NoError(t, err)
			run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "book"})
			require.NoError(t, err)
			awaitStatus(t, p, run.ID, tt.ends)
			require.Equal(t, tt.calls, calls.Load())

			var rows int
			require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from booking").Scan(&rows))
			if tt.ends == squidmesh.RunCompleted {
				require.Equal(t, 1, rows, "what the earlier calls wrote is taken back")
			} else {
				require.Zero(t, rows)
			}
			in, err := p.InspectRun(t.Context(), run.ID, nil)
			require.NoError(t, err)
			require.Equal(t, 1, in.Steps[0].Do.Attempt)
		})
	}
}

// A body whose statements the server ends at a time limit of its own is not charged for that: it runs again, ever more slowly, for as long
// as the attempt has time, and only then has it failed.
func TestFuncTx_RunsAgainWhenTheServerHasNoTime(t *testing.T) {
	t.Parallel()

	for name, limit := range map[string]string{"lock_timeout": "55P03", "statement_timeout": "57014"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var calls atomic.Int32
			enough := make(chan struct{})
			book := func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
				if calls.Add(1) == 8 {
					close(enough)
				}
				if _, err := tx.Exec(ctx, "set local "+name+" to 10"); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, "insert into booking values (1)")
				return err
			}
			p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{
				{Name: "book", Triggers: byHand, Steps: []squidmesh.Step{{Name: "book", Do: squidmesh.EffectTx(book)}}},
				{Name: "hurry", Triggers: byHand, Steps: []squidmesh.Step{{
					Name: "hurry", Timeout: 300 * time.Millisecond,
					Do: squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
						if _, err := tx.Exec(ctx, "set local "+name+" to 10"); err != nil {
							return err
						}
						_, err := tx.Exec(ctx, "insert into booking values (1)")
						return err
					}),
				}}},
			}})
			_, err := pool.Exec(t.Context(), "create table booking (id integer)")
			require.NoError(t, err)
			locked, err := pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = locked.Rollback(context.WithoutCancel(t.Context())) }()
			_, err = locked.Exec(t.Context(), "lock table booking")
			require.NoError(t, err)

			hurry := startNamed(t, p, "hurry")
			awaitStatus(t, p, hurry, squidmesh.RunFailed)
			in, err := p.InspectRun(t.Context(), hurry, nil)
			require.NoError(t, err)
			require.Contains(t, []string{flow.CodeError, flow.CodeTimeout}, in.Run.Reason.Code, limit)

			run := startNamed(t, p, "book")
			<-enough
			require.NoError(t, locked.Rollback(t.Context()))
			awaitStatus(t, p, run, squidmesh.RunCompleted)
			in, err = p.InspectRun(t.Context(), run, nil)
			require.NoError(t, err)
			require.Equal(t, 1, in.Steps[0].Do.Attempt)
			require.Zero(t, in.Steps[0].Do.Failures)
		})
	}
}
