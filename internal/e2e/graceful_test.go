package e2e

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

func TestStop_CostsNoAttempt(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		pool := dbtest.Postgres(t, dbtest.River)
		stopGracefully(t, func() (*squidmesh.Config[pgx.Tx], riverdriver.Driver[pgx.Tx]) {
			return &squidmesh.Config[pgx.Tx]{Store: pgstore.New(pool, &pgstore.Options{Lease: time.Minute})}, riverpgxv5.New(pool)
		})
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		store := dbtest.SQLite(t, nil, dbtest.River)
		stopGracefully(t, func() (*squidmesh.Config[*sql.Tx], riverdriver.Driver[*sql.Tx]) {
			return &squidmesh.Config[*sql.Tx]{Store: store}, riversqlite.New(store.DB())
		})
	})
}

// stopGracefully stops a program with a deadline of eight seconds while a step of a minute is at work: one that heeds its context, one that does
// not, and one within its transaction. The next process goes on before any lease has run out.
func stopGracefully[TTx any](t *testing.T, config func() (*squidmesh.Config[TTx], riverdriver.Driver[TTx])) {
	for _, ignores := range []bool{false, true} {
		begun, second := make(chan string, 1), make(chan bool, 1)
		over := make(chan struct{}) // a minute
		time.AfterFunc(time.Minute, func() { close(over) })
		body := func(ctx context.Context) error {
			select {
			case <-second:
				return nil
			default:
			}
			second <- true
			begun <- "here"
			end := ctx.Done()
			if ignores {
				end = nil
			}
			select {
			case <-over:
			case <-end:
			}
			return ctx.Err()
		}
		start := func() program[TTx] {
			c, driver := config()
			c.Workflows = []squidmesh.Workflow{{Name: "long", Triggers: byHand, Steps: []squidmesh.Step{
				{Name: "work", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error { return body(ctx) })},
			}}}
			return startProgram(t, c, driver)
		}
		p := start()
		run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "long"})
		require.NoError(t, err)
		<-begun

		const patience = 8 * time.Second // half of it must be enough for handing back on a busy machine
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		began := time.Now()
		err = riveradapter.Stop(ctx, p.client, p)
		cancel()
		require.Less(t, time.Since(began), patience+3*time.Second)
		if ignores {
			require.ErrorContains(t, err, "steps that ignore the end of their contexts are still running, and were handed back")
		} else {
			require.NoError(t, err)
		}

		began = time.Now()
		p = start()
		awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
		require.Less(t, time.Since(began), 30*time.Second)
		in, err := p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
		require.NoError(t, err)
		require.Zero(t, in.Steps[0].Do.Losses)
		require.Zero(t, in.Steps[0].Do.Failures)
		require.Equal(t, 2, in.Steps[0].Do.Attempt)
		p.stop(t)
	}
}
