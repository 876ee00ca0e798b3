package e2e

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// What a caller may do with a transaction after an error of a ...Tx call: go on after a refusal, and give up one that takes no writes, which
// is not the queue's fault.
func TestJoin_TransactionAfterAnError(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := dbtest.Postgres(t, dbtest.River)
	rt := deskOn(t, pool, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{measure()}})
	params := squidmesh.StartParams{Workflow: "measure", Payload: text{"hello"}, Key: "1"}
	first, err := rt.StartRun(ctx, params)
	require.NoError(t, err)

	var second squidmesh.StartResult
	require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		_, err = rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "measure", Payload: text{"bye"}, Key: "1"})
		require.ErrorIs(t, err, squidmesh.ErrKeyConflict)
		second, err = rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "measure", Payload: text{"bye"}, Key: "2"})
		return err
	}))
	_, err = rt.InspectRun(ctx, second.ID, nil)
	require.NoError(t, err)

	for name, call := range map[string]func(tx pgx.Tx) error{
		"start": func(tx pgx.Tx) error {
			_, err := rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "measure", Payload: text{"hello"}})
			return err
		},
		"cancel": func(tx pgx.Tx) error {
			_, err := rt.CancelRunTx(ctx, tx, first.ID, squidmesh.CancelParams{})
			return err
		},
	} {
		tx, err := pool.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
		require.NoError(t, err)
		err = call(tx)
		require.NoError(t, tx.Rollback(ctx))
		require.Equal(t, "tx_unusable", squidmesh.CodeOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, "read-only transaction")
	}
}
