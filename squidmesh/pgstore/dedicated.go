package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// ReserveConnection implements driver.ConnectionReserver: the connection is one more than the store's pool has, and comes from
// a pool of its own with the same configuration, so that the program's hooks do to it what they do to the others.
func (s *Store) ReserveConnection() driver.ReservedConnection[pgx.Tx] {
	config := s.pool.Config()
	config.MaxConns, config.MinConns, config.MinIdleConns = 1, 0, 0
	// A ping before each use would double what a heartbeat costs, which finds out by itself.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	if connect := &config.ConnConfig.ConnectTimeout; *connect <= 0 || *connect > s.lease {
		*connect = s.lease
	}
	return &dedicated{config: config, settings: s.settings, beside: &s.beside}
}

// dedicated is a connection that nobody else uses.
type dedicated struct {
	config   *pgxpool.Config
	settings string
	beside   *beside       // of the store
	pool     *pgxpool.Pool // of one; nil until it is needed
}

// Open implements driver.ReservedConnection.
func (d *dedicated) Open(ctx context.Context) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	conn.Release()
	return nil
}

// InTx implements driver.ReservedConnection. BEGIN travels with the first statements. When ctx ends in the middle of one, pgx closes the
// connection, and the next call makes a new one.
func (d *dedicated) InTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		broken := conn.Conn().IsClosed()
		conn.Release()
		if broken {
			d.abandon()
		}
	}()
	return pipeline(ctx, &pipelined{conn: conn.Conn(), settings: d.settings}, fn)
}

func (d *dedicated) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if d.pool == nil {
		pool, err := pgxpool.NewWithConfig(ctx, d.config)
		if err != nil {
			return nil, err
		}
		d.pool = pool
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		d.abandon()
	}
	return conn, err
}

// abandon has the next use begin with a new pool. In this one the place of a connection that broke in silence is taken for as long as
// pgx tries to take leave of it, or to make it.
func (d *dedicated) abandon() {
	pool := d.pool
	d.pool = nil
	d.beside.do(func(<-chan struct{}) { pool.Close() })
}

// Close implements driver.ReservedConnection.
func (d *dedicated) Close() {
	if d.pool == nil {
		return
	}
	pool := d.pool
	d.pool = nil
	closed := make(chan struct{})
	d.beside.do(func(<-chan struct{}) {
		defer close(closed)
		pool.Close()
	})
	select {
	case <-closed:
	case <-time.After(time.Second): // of a silent network: pgx ends it by itself
	}
}
