package dbtest

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"testing"

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
	address, err := url.Parse(databaseURL(tb))
	if err != nil {
		tb.Fatalf("TEST_DATABASE_URL: %v", err)
	}
	address.Host = proxy.Address()
	query := address.Query()
	query.Set("sslmode", "disable") // the proxy reads what passes
	address.RawQuery = query.Encode()
	config, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		tb.Fatalf("TEST_DATABASE_URL: %v", err)
	}
	config.ConnConfig.RuntimeParams = server.RuntimeParams
	config.MaxConns = direct.Config().MaxConns
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		tb.Fatalf("open pool: %v", err)
	}
	tb.Cleanup(pool.Close)
	return proxy, pool
}
