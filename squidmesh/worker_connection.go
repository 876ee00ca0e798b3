package squidmesh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// ownAgain is how long the tick uses a connection of the pool before it tries again to have one of its own.
const ownAgain = 30 * time.Second

// tickConnection is the tick's way to the database: a connection of its own where the store has such, else one of the pool. One
// goroutine uses it at a time.
type tickConnection[TTx any] struct {
	own      driver.ReservedConnection[TTx] // nil where the store has none
	pool     inTxFunc[TTx]
	patience time.Duration // with which the connection is opened
	logger   *slog.Logger

	shares bool // the tick's last transaction was on a connection of the pool
	again  time.Time
}

// inTxFunc is InTx of a [driver.Store].
type inTxFunc[TTx any] func(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

func (wk *worker[TTx]) newTickConnection() *tickConnection[TTx] {
	c := &tickConnection[TTx]{pool: wk.store.InTx, patience: wk.traits.Lease / 4, logger: wk.logger}
	if d, ok := wk.config.Store.(driver.ConnectionReserver[TTx]); ok && !wk.config.ManualTick {
		// Not the runtime's own store, which seals and has only the methods of a Store.
		c.own = d.ReserveConnection()
	}
	return c
}

// InTx is as that of [driver.Store]. When the connection cannot be had, as where the server's limit leaves none beside the pool's, the pool has
// to do: the lease then waits for steps that use all of it, which an operator is told.
func (c *tickConnection[TTx]) InTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error {
	if c.own == nil || time.Now().Before(c.again) {
		return c.pool(ctx, fn)
	}
	refused := c.open(ctx)
	switch {
	case refused == nil:
		if c.shares {
			c.logger.Info("squidmesh: the heartbeat has a connection of its own again")
		}
		c.shares = false
		return c.own.InTx(ctx, fn)
	case ctx.Err() != nil:
		return refused
	}
	if err := c.pool(ctx, fn); err != nil {
		return errors.Join(err, refused) // the database is away, more likely
	}
	if !c.shares {
		c.logger.Warn("squidmesh: the heartbeat has no connection of its own and shares the pool: let the server accept one more than the "+
			"pool's MaxConns, or a pool that steps use up costs the lease", "error", refused)
	}
	c.shares, c.again = true, time.Now().Add(ownAgain)
	return nil
}

func (c *tickConnection[TTx]) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	return c.own.Open(ctx)
}

func (c *tickConnection[TTx]) close() {
	if c.own != nil {
		c.own.Close()
	}
}
