package pgstore_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// besides counts the goroutines that stores have going beside their transactions.
func besides() int {
	stacks := make([]byte, 8<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "pgstore.(*beside).do.func")
}

// What a store does about the connections of abandoned bodies is over once it has been drained, and soon. Not parallel: it looks at all
// goroutines of the process.
func TestStore_DrainLeavesNothingBehind(t *testing.T) {
	n := newNotes(t)
	abandoned := func() {
		t.Helper()
		err := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			return n.store.Nested(ctx, tx, func(context.Context, pgx.Tx) error { return driver.ErrAbandoned })
		})
		require.ErrorIs(t, err, flow.ErrTxUnusable)
	}
	require.NoError(t, pgstore.New(n.pool, nil).Drain(t.Context()), "of a store that has done nothing")
	for range 2 { // it can be used again
		abandoned()
		require.NotZero(t, besides())
		began := time.Now()
		require.NoError(t, n.store.Drain(t.Context()))
		require.Less(t, time.Since(began), 3*time.Second, "its last question would come after six")
		require.Eventually(t, func() bool { return besides() == 0 }, 10*time.Second, time.Millisecond)
	}

	abandoned()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, n.store.Drain(ctx), context.Canceled, "it waits for no longer than it may")
	require.NoError(t, n.store.Drain(t.Context()))
}
