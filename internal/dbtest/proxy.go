package dbtest

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/internal/wirecut"
)

// Proxied returns a second pool on the schema of a pool that Postgres made, and the proxy through which it goes.
func Proxied(tb testing.TB, direct *pgxpool.Pool) (*wirecut.Proxy, *pgxpool.Pool) {
	tb.Helper()
	server := direct.Config().ConnConfig
	proxy, err := wirecut.New(net.JoinHostPort(server.Host, strconv.Itoa(int(server.Port))))
	if err != nil {
		tb.Fatalf("open proxy: %v", err)
	}
	tb.Cleanup(func() { _ = proxy.Close() })
	return proxy, through(tb, direct, proxy.Address())
}

// Distant returns a second pool on the schema of a pool that Postgres made, through a network in which each way takes that long.
func Distant(tb testing.TB, direct *pgxpool.Pool, way time.Duration) *pgxpool.Pool {
	tb.Helper()
	server := direct.Config().ConnConfig
	address, end, err := wirecut.Far(net.JoinHostPort(server.Host, strconv.Itoa(int(server.Port))), way)
	if err != nil {
		tb.Fatalf("open network: %v", err)
	}
	tb.Cleanup(func() { _ = end() })
	return through(tb, direct, address)
}

// through returns a second pool on the schema of a pool, which connects to another address.
func through(tb testing.TB, direct *pgxpool.Pool, host string) *pgxpool.Pool {
	tb.Helper()
	address, err := url.Parse(databaseURL(tb))
	if err != nil {
		tb.Fatalf("TEST_DATABASE_URL: %v", err)
	}
	address.Host = host
	query := address.Query()
	query.Set("sslmode", "disable") // the proxy reads what passes
	address.RawQuery = query.Encode()
	config, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		tb.Fatalf("TEST_DATABASE_URL: %v", err)
	}
	config.ConnConfig.RuntimeParams = direct.Config().ConnConfig.RuntimeParams
	config.MaxConns = direct.Config().MaxConns
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		tb.Fatalf("open pool: %v", err)
	}
	tb.Cleanup(pool.Close)
	return pool
}
