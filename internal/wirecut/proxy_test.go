package wirecut_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// A cut COMMIT must never look like one that is known to have failed: on one side of the cut it has taken effect.
func TestProxy_CutsBothSidesOfACommitAndTheStoreKnowsNeither(t *testing.T) {
	t.Parallel()

	direct := dbtest.Postgres(t)
	p, pool := dbtest.Proxied(t, direct)
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
		side := wirecut.Before + wirecut.Cut(n%2)
		p.Arm(side)
		err := insert(n)
		require.ErrorIs(t, err, squidmesh.ErrCommitUnknown)
		require.False(t, store.Traits().Transient(err))
		var rows int
		require.NoError(t, direct.QueryRow(t.Context(), "select count(*) from mark where n = $1", n).Scan(&rows))
		require.Equal(t, n%2, rows, "cut %d: %v", side, err)
	}
	require.EqualValues(t, 40, p.Cuts())
}

// A program may send the whole transaction in one breath.
func TestProxy_CutsCommitsThatArePipelined(t *testing.T) {
	t.Parallel()

	direct := dbtest.Postgres(t)
	p, pool := dbtest.Proxied(t, direct)
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
		p.Arm(wirecut.Before + wirecut.Cut(n%2))
		require.Error(t, insert(n))
		var rows int
		require.NoError(t, direct.QueryRow(t.Context(), "select count(*) from mark where n = $1", n).Scan(&rows))
		require.Equal(t, n%2, rows)
	}
	require.EqualValues(t, 20, p.Cuts())
}
