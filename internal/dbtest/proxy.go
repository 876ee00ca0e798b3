package dbtest

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/internal/wirecut"
)

// Proxied is [Changed] for a pool that goes through a proxy, which it returns.
func Proxied(tb testing.TB, direct *pgxpool.Pool, changes ...func(*pgxpool.Config)) (*wirecut.Proxy, *pgxpool.Pool) {
	tb.Helper()
	proxy, err := wirecut.New(address(direct))
	if err != nil {
		tb.Fatalf("open proxy: %v", err)
	}
	tb.Cleanup(func() { _ = proxy.Close() })
	return proxy, Changed(tb, direct, append(changes, through(tb, proxy.Address()))...)
}

// Distant is [Changed] for a pool that goes through a network in which each way takes that long.
func Distant(tb testing.TB, direct *pgxpool.Pool, way time.Duration, changes ...func(*pgxpool.Config)) *pgxpool.Pool {
	tb.Helper()
	far, end, err := wirecut.Far(address(direct), way)
	if err != nil {
		tb.Fatalf("open network: %v", err)
	}
	tb.Cleanup(func() { _ = end() })
	return Changed(tb, direct, append(changes, through(tb, far))...)
}

// address is where the server of a pool listens.
func address(pool *pgxpool.Pool) string {
	server := pool.Config().ConnConfig
	return net.JoinHostPort(server.Host, strconv.Itoa(int(server.Port)))
}

// through leads connections to an address, unencrypted: who listens there reads what passes.
func through(tb testing.TB, address string) func(*pgxpool.Config) {
	tb.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatalf("address %s: %v", address, err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		tb.Fatalf("address %s: %v", address, err)
	}
	return func(config *pgxpool.Config) {
		conn := config.ConnConfig
		conn.Host, conn.Port, conn.Fallbacks, conn.TLSConfig = host, uint16(number), nil, nil
	}
}
