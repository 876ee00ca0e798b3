package pgstore

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The limits that [TunePool] sets: on connecting, on the ping of an idle connection, and on how long the server's host may acknowledge nothing.
const (
	connectTimeout = 5 * time.Second
	pingTimeout    = time.Second
	silenceTimeout = 5 * time.Second
)

// leaveTimeout is how long pgx may take leave of a connection that it gives up in the middle of a statement. By itself it waits for fifteen
// seconds for the server to hang up, and so long the connection's place in the pool is taken: a pool whose connections have died in silence
// could make no new one.
const leaveTimeout = 2 * time.Second

// A connection on which nothing passes is probed, so that one which waits for an answer, or for a notification, is found dead as well.
const (
	probeAfter = 3 * time.Second
	probeEvery = time.Second
)

// PoolOptions change what [TunePool] sets. The zero PoolOptions are the defaults.
type PoolOptions struct {
	// Pooler says that a proxy lends the server's connections by the transaction, as PgBouncer does. A statement may then meet
	// another session than the one that prepared it, so pgx prepares no statements and caches none.
	Pooler bool
}

// TunePool sets what a pool needs that squidmesh and River share, so that a connection that dies in silence holds nobody up for
// long. A firewall or a proxy may swallow what is sent and tell nobody, and pgx waits for an answer without a limit. Call TunePool
// between [pgxpool.ParseConfig] and [pgxpool.NewWithConfig]. Options may be nil.
//
// It sets PingTimeout to one second and ConnectTimeout to five. It ends a TCP connection when the server's host has acknowledged
// nothing for about five seconds; on Linux also while something that was sent is under way. A statement may take as long as it does
// while the host answers. If pgx gives a connection up in the middle of a statement, it leaves its place in the pool after two
// seconds: no deadline on a TCP connection lies further ahead.
//
// TunePool keeps what you have set: timeouts that are not zero, the DialFunc, which is called as before, a TCP_USER_TIMEOUT of its
// sockets and their keep-alive with it, and with Pooler a DefaultQueryExecMode that is not pgx's own default.
func TunePool(config *pgxpool.Config, options *PoolOptions) {
	if config.PingTimeout == 0 {
		config.PingTimeout = pingTimeout
	}
	connect := config.ConnConfig
	if connect.ConnectTimeout == 0 {
		connect.ConnectTimeout = connectTimeout
	}
	dial := connect.DialFunc
	connect.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			limitSilence(tcp)
			conn = hasty{tcp}
		}
		return conn, err
	}
	if options == nil || !options.Pooler {
		return
	}
	if connect.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		connect.DefaultQueryExecMode = pgx.QueryExecModeExec
		connect.StatementCacheCapacity, connect.DescriptionCacheCapacity = 0, 0
	}
}

// hasty is a connection of which nobody takes leave for long. pgx sets a deadline ahead for nothing else, unless it is told to.
type hasty struct{ *net.TCPConn }

func (c hasty) SetDeadline(t time.Time) error {
	if latest := time.Now().Add(leaveTimeout); t.After(latest) {
		t = latest
	}
	return c.TCPConn.SetDeadline(t)
}

// limitSilence has a connection end when the other host acknowledges nothing any more. A socket that refuses to be told works as before.
func limitSilence(conn *net.TCPConn) {
	if !limitUnacknowledged(conn) {
		return
	}
	_ = conn.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: probeAfter, Interval: probeEvery, Count: int((silenceTimeout - probeAfter) / probeEvery),
	})
}
