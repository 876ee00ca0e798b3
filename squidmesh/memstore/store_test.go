package memstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/drivertest"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

func TestStore(t *testing.T) {
	t.Parallel()

	drivertest.ExerciseStore(t, func(*testing.T) driver.Store[*memstore.Tx] { return memstore.New(nil) })
}

func TestTx_OwnRowsCommitAndRollBackWithTheTransaction(t *testing.T) {
	t.Parallel()

	ctx, s := t.Context(), memstore.New(nil)
	refused := errors.New("refused")
	require.NoError(t, s.InTx(ctx, func(ctx context.Context, tx *memstore.Tx) error {
		tx.Set("a", 1)
		require.ErrorIs(t, s.Nested(ctx, tx, func(_ context.Context, tx *memstore.Tx) error {
			tx.Set("a", 2)
			tx.Set("b", 2)
			return refused
		}), refused)
		require.Equal(t, 1, tx.Get("a"))
		require.Nil(t, s.Get("a"), "not committed yet")
		return nil
	}))
	require.Equal(t, map[string]any{"a": 1}, s.Rows())

	require.ErrorIs(t, s.InTx(ctx, func(_ context.Context, tx *memstore.Tx) error {
		tx.Set("a", nil)
		require.Nil(t, tx.Get("a"))
		return refused
	}), refused)
	require.Equal(t, 1, s.Get("a"))
}

func TestTx_WritesOnlyWhileItCan(t *testing.T) {
	t.Parallel()

	ctx, s := t.Context(), memstore.New(nil)
	var kept *memstore.Tx
	require.NoError(t, s.InTx(ctx, func(_ context.Context, tx *memstore.Tx) error {
		kept = tx
		return nil
	}))
	require.Panics(t, func() { kept.Set("a", 1) })
	require.NoError(t, s.View(ctx, func(_ context.Context, tx *memstore.Tx) error {
		require.Panics(t, func() { tx.Set("a", 1) })
		return nil
	}))
	require.Empty(t, s.Rows())
}
