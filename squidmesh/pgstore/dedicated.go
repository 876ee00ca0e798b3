package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Dedicate implements squidmesh.Dedicator: the connection is made as the pool makes its own, and is one more than the pool's.
func (s *Store) Dedicate() squidmesh.Dedicated[pgx.Tx] { return &dedicated{store: s} }

// dedicated is a connection that nobody else uses.
type dedicated struct {
	store  *Store
	conn   *pgx.Conn
	opened time.Time
}

// InTx implements squidmesh.Dedicated. BEGIN travels with the first statements. When ctx ends in the middle of one, pgx closes the
// connection, and the next call makes a new one.
func (d *dedicated) InTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if err := d.connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return pipeline(ctx, &pipelined{conn: d.conn, settings: d.store.settings}, fn)
}

func (d *dedicated) connect(ctx context.Context) error {
	config := d.store.pool.Config()
	if d.conn != nil && !d.conn.IsClosed() {
		if config.MaxConnLifetime <= 0 || time.Since(d.opened) < config.MaxConnLifetime {
			return nil
		}
		_ = d.Close(ctx)
	}
	d.conn = nil
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	if config.AfterConnect != nil {
		if err := config.AfterConnect(ctx, conn); err != nil {
			_ = conn.Close(ctx)
			return err
		}
	}
	d.conn, d.opened = conn, time.Now()
	return nil
}

// Close implements squidmesh.Dedicated.
func (d *dedicated) Close(ctx context.Context) error {
	if d.conn == nil {
		return nil
	}
	return d.conn.Close(ctx)
}
