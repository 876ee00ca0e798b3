package pgstore_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// cutter is a connection that breaks at a COMMIT, before the server has seen it or before its answer comes back.
type cutter struct {
	net.Conn
	before bool
	cut    atomic.Bool
}

var errCut = errors.New("connection was cut")

func (c *cutter) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte("commit\x00")) { // the whole statement, unlike BEGIN ... COMMITTED
		return c.Conn.Write(p)
	}
	c.cut.Store(true)
	if c.before {
		_ = c.Conn.Close()
		return 0, errCut
	}
	return c.Conn.Write(p)
}

func (c *cutter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.cut.Load() {
		_ = c.Conn.Close()
		return 0, errCut
	}
	return n, err
}

// pgx calls the error of such a COMMIT safe to retry, on whichever side of the server it was cut. To run the transaction again
// could do everything twice.
func TestInTx_ACommitWhoseConnectionWasCutIsUnknown(t *testing.T) {
	t.Parallel()

	for _, before := range []bool{true, false} {
		n := newNotes(t)
		config := n.pool.Config()
		dial := config.ConnConfig.DialFunc
		config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return &cutter{Conn: conn, before: before}, err
		}
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		defer pool.Close()
		store := pgstore.New(pool, nil)
		err = store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			n.write(ctx, tx, "body")
			return nil
		})
		require.ErrorIs(t, err, flow.ErrCommitUnknown)
		require.False(t, store.Traits().Transient(err))
	}
}
