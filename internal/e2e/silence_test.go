package e2e

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// tuned gives a pool the settings that the documents advise.
func tuned(config *pgxpool.Config) { pgstore.TunePool(config, nil) }

// few gives a pool few connections, so that they are all in use.
func few(config *pgxpool.Config) { config.MaxConns = maxFew }

const maxFew = 6

// Connections that die without a word, while new ones work, hold a process up for seconds and cost no step an attempt.
func TestSilence_HoldsNobodyUp(t *testing.T) {
	t.Parallel()

	// Where something between the hosts goes on to acknowledge what it swallows, TCP notices nothing. pgxpool pings no connection that was
	// used within the last second, River gives up a fetch on such a one after ten, and pgxpool may then give each of the others a second. What is
	// left is for a busy machine.
	fetch := (10 + maxFew + 9) * time.Second
	for name, c := range map[string]struct {
		silence wirecut.Silence
		within  time.Duration
	}{
		"packets":   {wirecut.Silence{Way: wirecut.Packets}, 10 * time.Second},
		"idle":      {wirecut.Silence{Idle: true}, fetch},
		"questions": {wirecut.Silence{Way: wirecut.Questions}, fetch},
		"answers":   {wirecut.Silence{Way: wirecut.Answers}, fetch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			silenceHoldsNobodyUp(t, c.silence, c.within)
		})
	}
}

func silenceHoldsNobodyUp(t *testing.T, silence wirecut.Silence, within time.Duration) {
	direct := dbtest.Postgres(t, dbtest.River)
	proxy, pool := dbtest.Proxied(t, direct, tuned, few)
	_, err := direct.Exec(t.Context(), "create table mark (step text)")
	require.NoError(t, err)

	var ended atomic.Int64
	chain := squidmesh.Workflow{Name: "chain", Triggers: byHand}
	for i := range 6 {
		step := squidmesh.Step{Name: fmt.Sprintf("s%d", i), Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })}
		if i == 3 {
			step.Do = squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
				_, err := tx.Exec(ctx, "insert into mark values ('s3')")
				return err
			})
			step.Timeout = 8 * time.Second // the body's own statements have the step's time
			step.Retry = squidmesh.Constant(5, 0)
		}
		if i < 5 {
			step.Next = fmt.Sprintf("s%d", i+1)
		} else {
			step.Do = squidmesh.Effect(func(context.Context, struct{}) error { ended.Add(1); return nil })
		}
		chain.Steps = append(chain.Steps, step)
	}
	programOn(t, pool, &squidmesh.Config[pgx.Tx]{DisableContinuation: true, Workflows: []squidmesh.Workflow{chain}})
	rt := deskOn(t, direct, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{chain}})
	begin := func(n int) {
		for range n {
			_, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "chain"})
			require.NoError(t, err)
		}
	}

	const runs = 40
	begin(runs)
	require.Eventually(t, func() bool { return ended.Load() > 0 }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return proxy.Silence(silence) > 0 }, time.Minute, time.Millisecond)
	silenced, before := time.Now(), ended.Load()
	require.Eventually(t, func() bool { return ended.Load() > before+2 || ended.Load() == runs }, time.Minute, time.Millisecond)
	t.Logf("work goes on %s after the silence", time.Since(silenced).Round(time.Millisecond))
	require.Less(t, time.Since(silenced), within)
	require.Eventually(t, func() bool { return ended.Load() >= runs }, 2*time.Minute, 10*time.Millisecond)
	t.Logf("all has ended %s after the silence", time.Since(silenced).Round(time.Millisecond))
	var lost, marks int
	require.NoError(t, direct.QueryRow(t.Context(), "select (select count(lost_at) from squidmesh_worker), (select count(*) from mark)").Scan(&lost, &marks))
	require.Zero(t, lost)
	require.EqualValues(t, runs, marks)
	violations, err := invariants.CheckPostgres(t.Context(), direct, &invariants.Options{Grace: -1})
	require.NoError(t, err)
	require.Empty(t, violations)
}

// TCP ends the statement of a body whose connection has died, and the body is repeated: nobody is charged for the network.
func TestSilence_EndsTheStatementOfABody(t *testing.T) {
	t.Parallel()

	direct := dbtest.Postgres(t, dbtest.River)
	proxy, pool := dbtest.Proxied(t, direct, tuned)

	var calls atomic.Int64
	body := squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
		if calls.Add(1) == 1 {
			proxy.Silence(wirecut.Silence{Way: wirecut.Packets})
		}
		_, err := tx.Exec(ctx, "select 1")
		return err
	})
	p := programOn(t, pool, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{
		{Name: "line", Triggers: byHand, Steps: []squidmesh.Step{{Name: "one", Do: body, Timeout: time.Minute}}},
	}})
	run := startNamed(t, p, "line")
	began := time.Now()
	require.Eventually(t, func() bool {
		var status squidmesh.RunStatus
		require.NoError(t, direct.QueryRow(t.Context(), "select status from squidmesh_run where id = $1", run).Scan(&status))
		return status == squidmesh.RunCompleted
	}, 2*time.Minute, 10*time.Millisecond)
	require.Less(t, time.Since(began), 30*time.Second)
	var charged int
	require.NoError(t, direct.QueryRow(t.Context(), "select count(*) from squidmesh_attempt where outcome not in ('succeeded', 'released')").Scan(&charged))
	require.Zero(t, charged)
	require.EqualValues(t, 2, calls.Load())
}

// Stop ends in its time, and a grace of some seconds for what is being committed, while no connection that there is answers.
func TestSilence_StopEndsInItsTime(t *testing.T) {
	t.Parallel()

	for name, way := range map[string]wirecut.Way{"both": wirecut.Both, "questions": wirecut.Questions, "answers": wirecut.Answers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, pool := dbtest.Proxied(t, dbtest.Postgres(t, dbtest.River), tuned, few)
			p := programOn(t, pool, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{
				{Name: "line", Triggers: byHand, Steps: []squidmesh.Step{{Name: "one", Do: nothing()}}},
			}})
			for range 20 {
				startNamed(t, p, "line")
			}
			require.NotZero(t, proxy.Silence(wirecut.Silence{Way: way}))
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			began := time.Now()
			err := p.Stop(ctx)
			t.Logf("stopped after %s: %v", time.Since(began).Round(time.Millisecond), err)
			require.Less(t, time.Since(began), 18*time.Second)
		})
	}
}
