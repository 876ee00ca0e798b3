package e2e

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/pgcluster"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// The server dies under three programs, and its synchronous standby is promoted. Nobody is charged for it, and nothing is lost or doubled.
func TestPromotion_IsChargedToNobody(t *testing.T) {
	t.Parallel()

	primary := dbtest.Cluster(t, pgcluster.Options{MaxConnections: 60})
	before := openPool(t, primary, "postgres", 2)
	require.NoError(t, migrations.UpAllPostgres(t.Context(), before, nil))
	_, err := before.Exec(t.Context(), "create table mark (step text)")
	require.NoError(t, err)
	standby := dbtest.Standby(t, primary)
	require.Eventually(t, func() bool {
		var follows bool
		err := before.QueryRow(t.Context(), "select exists (select from pg_stat_replication where sync_state = 'sync')").Scan(&follows)
		require.NoError(t, err)
		return follows
	}, time.Minute, 20*time.Millisecond)

	proxy, err := wirecut.New(primary.Address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = proxy.Close() })
	var begun atomic.Int64
	promoted := make(chan struct{})
	chain := squidmesh.Workflow{Name: "chain", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "body", MaxLosses: 1, Next: "long", Do: squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
			info, _ := squidmesh.Info(ctx)
			_, err := tx.Exec(ctx, "insert into mark values ($1)", info.RunID.String())
			return err
		})},
		{Name: "long", MaxLosses: 1, Next: "last", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
			if begun.Add(1)%4 > 0 {
				return nil
			}
			select { // one in four lasts until the promotion
			case <-promoted:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})},
		{Name: "last", MaxLosses: 1, Do: squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
			info, _ := squidmesh.Info(ctx)
			_, err := tx.Exec(ctx, "insert into mark values ($1)", info.RunID.String())
			return err
		})},
	}}
	var programs []program[pgx.Tx]
	for range 3 {
		config, err := pgxpool.ParseConfig(primary.URLBy(proxy.Address(), "postgres") + "&connect_timeout=5")
		require.NoError(t, err)
		config.MaxConns = 8
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		programs = append(programs, programOn(t, pool, &squidmesh.Config[pgx.Tx]{
			Store: pgstore.New(pool, nil), Workflows: []squidmesh.Workflow{chain},
		}))
	}

	// Whoever starts runs does not know of some whether they were started, and asks again.
	const each = 20
	var callers sync.WaitGroup
	for i, p := range programs {
		for j := range each {
			callers.Go(func() {
				start := squidmesh.StartParams{Workflow: "chain", Key: fmt.Sprintf("%d-%d", i, j)}
				for {
					_, err := p.StartRun(t.Context(), start)
					if err == nil || t.Context().Err() != nil {
						return
					}
				}
			})
		}
	}
	require.Eventually(t, func() bool { return begun.Load() > each/2 }, time.Minute, time.Millisecond) // in the middle of it
	require.NoError(t, primary.Stop(t.Context()))
	died := time.Now()
	require.NoError(t, standby.Promote(t.Context()))
	after := openPool(t, standby, "postgres", 2)
	_, err = after.Exec(t.Context(), "select pg_sleep($1)", (pgstore.DefaultLease * 3 / 2).Seconds()) // until the programs are told
	require.NoError(t, err)
	proxy.Point(standby.Address())
	close(promoted)
	back := time.Now()
	callers.Wait()

	require.Eventually(t, func() bool {
		var ended int
		err := after.QueryRow(t.Context(), "select count(*) from squidmesh_run where status in ('completed', 'failed', 'cancelled')").Scan(&ended)
		require.NoError(t, err)
		return ended >= 3*each
	}, time.Minute, 20*time.Millisecond)
	t.Logf("the database was away for %s, and all runs had ended %s later", back.Sub(died).Round(time.Millisecond), time.Since(back).Round(time.Millisecond))

	var runs, completed, charged, lost, marks, marked int
	require.NoError(t, after.QueryRow(t.Context(), `
		select (select count(*) from squidmesh_run), (select count(*) from squidmesh_run where status = 'completed'),
			(select sum(failures + losses) from squidmesh_step), (select count(lost_at) from squidmesh_worker),
			(select count(*) from mark), (select count(distinct step) from mark)`).Scan(&runs, &completed, &charged, &lost, &marks, &marked))
	require.Equal(t, []int{3 * each, 3 * each}, []int{runs, completed})
	require.Zero(t, charged, "failures and losses")
	require.Zero(t, lost, "processes that were declared lost")
	require.Equal(t, []int{2 * 3 * each, 3 * each}, []int{marks, marked}, "two marks of each run")
	violations, err := invariants.CheckPostgres(t.Context(), after, &invariants.Options{Grace: -1})
	require.NoError(t, err)
	require.Empty(t, violations)
}
