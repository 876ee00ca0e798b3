package e2e

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// lodger is a program that executes nothing, on a pool which is changed.
func lodger(t *testing.T, direct *pgxpool.Pool, logged *logbook, change func(*pgxpool.Config)) (*squidmesh.Runtime[pgx.Tx], *pgxpool.Pool) {
	t.Helper()
	pool := dbtest.Changed(t, direct, change)
	return deskOn(t, pool, &squidmesh.Config[pgx.Tx]{
		Workflows: []squidmesh.Workflow{nap()}, Logger: slog.New(slog.NewTextHandler(logged, nil)),
	}), pool
}

func requireHeartbeats(t *testing.T, direct *pgxpool.Pool, logged *logbook) {
	t.Helper()
	renewed := func(than time.Time) (until time.Time) {
		require.Eventually(t, func() bool {
			err := direct.QueryRow(t.Context(), "select lease_until from squidmesh_worker where lost_at is null").Scan(&until)
			return err == nil && until.After(than)
		}, time.Minute, 20*time.Millisecond, "the lease is not renewed: %s", logged)
		return until
	}
	renewed(renewed(renewed(time.Time{})))
}

// The hooks of the program's pool lead the heartbeat to the tables too.
func TestHeartbeat_ComesAsThePoolsHooksHaveIt(t *testing.T) {
	t.Parallel()

	hooks := map[string]func(config *pgxpool.Config, settle func(context.Context, *pgx.Conn) error){
		"BeforeConnect": func(config *pgxpool.Config, _ func(context.Context, *pgx.Conn) error) {
			path := config.ConnConfig.RuntimeParams["search_path"]
			config.BeforeConnect = func(_ context.Context, conn *pgx.ConnConfig) error {
				conn.RuntimeParams["search_path"] = path
				return nil
			}
		},
		"AfterConnect": func(config *pgxpool.Config, settle func(context.Context, *pgx.Conn) error) {
			config.AfterConnect = settle
		},
		"PrepareConn": func(config *pgxpool.Config, settle func(context.Context, *pgx.Conn) error) {
			config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) { return true, settle(ctx, conn) }
		},
		"BeforeAcquire": func(config *pgxpool.Config, settle func(context.Context, *pgx.Conn) error) {
			//lint:ignore SA1019 programs have it still
			config.BeforeAcquire = func(ctx context.Context, conn *pgx.Conn) bool { return settle(ctx, conn) == nil }
		},
		"PrepareConn, and AfterRelease takes it back": func(config *pgxpool.Config, settle func(context.Context, *pgx.Conn) error) {
			config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) { return true, settle(ctx, conn) }
			config.AfterRelease = func(conn *pgx.Conn) bool {
				_, err := conn.Exec(context.Background(), "reset all")
				return err == nil
			}
		},
	}
	for name, hook := range hooks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct, logged := dbtest.Postgres(t, dbtest.River), &logbook{}
			rt, _ := lodger(t, direct, logged, func(config *pgxpool.Config) {
				hook(config, func(ctx context.Context, conn *pgx.Conn) error {
					_, err := conn.Exec(ctx, "set search_path to "+dbtest.Schema(direct))
					return err
				})
				delete(config.ConnConfig.RuntimeParams, "search_path")
			})
			require.NoError(t, rt.Start(t.Context()))
			requireHeartbeats(t, direct, logged)
			require.NoError(t, rt.Stop(t.Context()))
			require.Empty(t, logged.String())
		})
	}
}

// Connections that the program has set up by hand say nothing of the next one: Start finds out, and not the heartbeats after it.
func TestStart_FailsIfTheHeartbeatWouldNotFindTheTables(t *testing.T) {
	t.Parallel()

	direct := dbtest.Postgres(t, dbtest.River)
	rt, pool := lodger(t, direct, &logbook{}, func(config *pgxpool.Config) {
		delete(config.ConnConfig.RuntimeParams, "search_path")
		config.MaxConns = 2
	})
	var conns []*pgxpool.Conn
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "set search_path to "+dbtest.Schema(direct))
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		conn.Release()
	}
	err := rt.Start(t.Context())
	require.ErrorIs(t, err, squidmesh.ErrNotMigrated)
	require.ErrorContains(t, err, "heartbeat's connection")
}

// A server that lets the program have no more connections than its pool has lends the heartbeat one of those.
func TestHeartbeat_SharesThePoolOfARoleThatMayHaveNoMore(t *testing.T) {
	t.Parallel()

	direct, logged := dbtest.Postgres(t, dbtest.River), &logbook{}
	role, asRole := newRole(t, direct)
	_, err := direct.Exec(t.Context(), "alter role "+role+" connection limit 3")
	require.NoError(t, err)
	rt, pool := lodger(t, direct, logged, func(config *pgxpool.Config) {
		asRole(config)
		config.MaxConns, config.MinConns = 3, 3
	})
	require.Eventually(t, func() bool { return pool.Stat().IdleConns() == 3 }, time.Minute, time.Millisecond)
	for _, conn := range pool.AcquireAllIdle(t.Context()) {
		conn.Release()
	}
	require.NoError(t, rt.Start(t.Context()))
	require.Contains(t, logged.String(), "shares the pool")
	require.Contains(t, logged.String(), "53300")
	requireHeartbeats(t, direct, logged)
	require.NoError(t, rt.Stop(t.Context()))
	require.Equal(t, 1, strings.Count(logged.String(), "\n"), "it is said once: %s", logged)
}
