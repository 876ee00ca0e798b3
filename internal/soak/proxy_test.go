package main

import (
	"context"
	"net"
	"net/url"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// proxied is a pool that reaches the pool's database through a proxy.
func proxied(t *testing.T, direct *pgxpool.Pool) (*proxy, *pgxpool.Pool) {
	t.Helper()
	config := direct.Config()
	p, err := newProxy(net.JoinHostPort(config.ConnConfig.Host, strconv.Itoa(int(config.ConnConfig.Port))))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.close()) })
	server, err := url.Parse(os.Getenv("TEST_DATABASE_URL"))
	require.NoError(t, err)
	server.Host = p.address()
	through, err := pgxpool.ParseConfig(server.String())
	require.NoError(t, err)
	through.ConnConfig.RuntimeParams = config.ConnConfig.RuntimeParams
	pool, err := pgxpool.NewWithConfig(t.Context(), through)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return p, pool
}

// A cut COMMIT must never look like one that is known to have failed: on one side of the cut it has taken effect.
func TestProxy_CutsBothSidesOfACommitAndTheStoreKnowsNeither(t *testing.T) {
	t.Parallel()

	direct := dbtest.Postgres(t)
	p, pool := proxied(t, direct)
	store := pgstore.New(pool, nil)
	_, err := direct.Exec(t.Context(), "create table mark (n integer)")
	require.NoError(t, err)
	insert := func(n int) error {
		return store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "insert into mark values ($1)", n)
			return err
		})
	}
	require.NoError(t, insert(0))

	for n := 1; n <= 40; n++ {
		side := cutBefore + cut(n%2)
		p.arm(side)
		err := insert(n)
		require.ErrorIs(t, err, squidmesh.ErrCommitUnknown)
		require.False(t, store.Traits().Transient(err))
		var rows int
		require.NoError(t, direct.QueryRow(t.Context(), "select count(*) from mark where n = $1", n).Scan(&rows))
		require.Equal(t, n%2, rows, "cut %d: %v", side, err)
	}
	require.EqualValues(t, 40, p.cuts.Load())
}

// A program may send the whole transaction in one breath.
func TestProxy_CutsCommitsThatArePipelined(t *testing.T) {
	t.Parallel()

	direct := dbtest.Postgres(t)
	p, pool := proxied(t, direct)
	_, err := direct.Exec(t.Context(), "create table mark (n integer)")
	require.NoError(t, err)
	insert := func(n int) error {
		batch := &pgx.Batch{}
		batch.Queue("begin")
		batch.Queue("insert into mark values ($1)", n)
		batch.Queue("commit")
		return pool.SendBatch(t.Context(), batch).Close()
	}
	for n := 1; n <= 20; n++ {
		require.NoError(t, insert(0)) // prepares anew, or finds prepared
		p.arm(cutBefore + cut(n%2))
		require.Error(t, insert(n))
		var rows int
		require.NoError(t, direct.QueryRow(t.Context(), "select count(*) from mark where n = $1", n).Scan(&rows))
		require.Equal(t, n%2, rows)
	}
	require.EqualValues(t, 20, p.cuts.Load())
}
