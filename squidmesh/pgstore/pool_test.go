package pgstore_test

import (
	"context"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

func poolConfig(t *testing.T) *pgxpool.Config {
	t.Helper()
	config, err := pgxpool.ParseConfig("postgres://somebody@127.0.0.1:1/some")
	require.NoError(t, err)
	config.ConnConfig.ConnectTimeout = 0 // whatever the environment says
	return config
}

func TestTunePool_SetsWhatIsNotSet(t *testing.T) {
	t.Parallel()

	config := poolConfig(t)
	capacity := config.ConnConfig.StatementCacheCapacity
	pgstore.TunePool(config, nil)
	require.Equal(t, time.Second, config.PingTimeout)
	require.Equal(t, 5*time.Second, config.ConnConfig.ConnectTimeout)
	require.Equal(t, pgx.QueryExecModeCacheStatement, config.ConnConfig.DefaultQueryExecMode)
	require.Equal(t, capacity, config.ConnConfig.StatementCacheCapacity)

	config = poolConfig(t)
	pgstore.TunePool(config, &pgstore.PoolOptions{Pooler: true})
	require.Equal(t, pgx.QueryExecModeExec, config.ConnConfig.DefaultQueryExecMode)
	require.Zero(t, config.ConnConfig.StatementCacheCapacity)
	require.Zero(t, config.ConnConfig.DescriptionCacheCapacity)
}

func TestTunePool_KeepsWhatIsSet(t *testing.T) {
	t.Parallel()

	config := poolConfig(t)
	config.PingTimeout, config.ConnConfig.ConnectTimeout = time.Minute, time.Hour
	config.ConnConfig.DefaultQueryExecMode, config.ConnConfig.DescriptionCacheCapacity = pgx.QueryExecModeCacheDescribe, 7
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	config.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) { return client, nil }
	pgstore.TunePool(config, &pgstore.PoolOptions{Pooler: true})
	require.Equal(t, time.Minute, config.PingTimeout)
	require.Equal(t, time.Hour, config.ConnConfig.ConnectTimeout)
	require.Equal(t, pgx.QueryExecModeCacheDescribe, config.ConnConfig.DefaultQueryExecMode)
	require.Equal(t, 7, config.ConnConfig.DescriptionCacheCapacity)
	conn, err := config.ConnConfig.DialFunc(t.Context(), "tcp", "nowhere")
	require.NoError(t, err)
	require.Same(t, client, conn)

	broken := net.UnknownNetworkError("carrier pigeon")
	config.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) { return nil, broken }
	pgstore.TunePool(config, nil)
	_, err = config.ConnConfig.DialFunc(t.Context(), "tcp", "nowhere")
	require.ErrorIs(t, err, broken)
}

// Whoever dials, the socket is told how long the other side may say nothing, unless the program has told it.
func TestTunePool_LimitsTheSilenceOfSockets(t *testing.T) {
	t.Parallel()

	if runtime.GOOS != "linux" {
		return // there is no way to ask
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	option := func(conn net.Conn, level, name int) (value int) {
		raw, err := conn.(syscall.Conn).SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), level, name) }))
		require.NoError(t, err)
		return value
	}
	const userTimeout, keepIdle = 18, 4

	config := poolConfig(t)
	pgstore.TunePool(config, nil)
	conn, err := config.ConnConfig.DialFunc(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.Equal(t, 5000, option(conn, syscall.IPPROTO_TCP, userTimeout))
	require.Equal(t, 3, option(conn, syscall.IPPROTO_TCP, keepIdle))

	config = poolConfig(t)
	config.ConnConfig.DialFunc = (&net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute},
		Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, 60000) })
		},
	}).DialContext
	pgstore.TunePool(config, nil)
	own, err := config.ConnConfig.DialFunc(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { own.Close() })
	require.Equal(t, 60000, option(own, syscall.IPPROTO_TCP, userTimeout))
	require.Equal(t, 60, option(own, syscall.IPPROTO_TCP, keepIdle))
}

// A pool whose connections have died in the middle of statements can soon make new ones.
func TestTunePool_FreesThePlacesOfDeadConnections(t *testing.T) {
	t.Parallel()

	direct := dbtest.Postgres(t)
	proxy, plain := dbtest.Proxied(t, direct)
	config := plain.Config()
	pgstore.TunePool(config, nil)
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, pool.Ping(t.Context()))
	require.NotZero(t, proxy.Silence(wirecut.Silence{}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Error(t, pool.Ping(ctx))
	began := time.Now()
	require.NoError(t, pool.Ping(t.Context()))
	require.Less(t, time.Since(began), 10*time.Second, "pgx would take fifteen")
}
