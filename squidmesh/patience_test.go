package squidmesh_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// mute is a store with connections that die in silence: so many transactions, and so many prunes, get no answer. Listings may be slow.
type mute struct {
	driver.Store[*memstore.Tx]
	silent, prunes, slow atomic.Int64
}

func (m *mute) Find(ctx context.Context, tx *memstore.Tx, q driver.RunQuery) ([]squidmesh.Run, error) {
	select {
	case <-time.After(time.Duration(m.slow.Load())):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return m.Store.Find(ctx, tx, q)
}

func (m *mute) InTx(ctx context.Context, fn func(ctx context.Context, tx *memstore.Tx) error) error {
	if m.silent.Add(-1) >= 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return m.Store.InTx(ctx, fn)
}

func (m *mute) Prune(ctx context.Context, tx *memstore.Tx, q driver.PruneQuery) (driver.Pruned, error) {
	if m.prunes.Add(-1) >= 0 {
		<-ctx.Done()
		return driver.Pruned{}, ctx.Err()
	}
	return m.Store.Prune(ctx, tx, q)
}

func muted(t *testing.T, changes ...func(*squidmesh.Config[*memstore.Tx])) (*mute, *crowd[*memstore.Tx]) {
	m := &mute{Store: memstore.New(nil)}
	return m, newCrowdAt(t, m, doNothing, append(changes, func(config *squidmesh.Config[*memstore.Tx]) { config.Executor = &drowsyQueue{} })...)
}

func ticking(config *squidmesh.Config[*memstore.Tx]) { config.ManualTick = false }

// What a start saves first is tried on another connection, whoever starts without a limit of time.
func TestSilence_BeforeAStart(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		m, c := muted(t)
		m.silent.Store(2)
		began := time.Now()
		_, err := c.rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
		require.NoError(t, err)
		require.Less(t, time.Since(began), 3*m.Traits().Lease)

		m, c = muted(t)
		m.silent.Store(2)
		require.NoError(t, c.rt.Start(t.Context()))
		require.NoError(t, c.rt.Stop(t.Context()))
	})
}

// A process that stops says so on another connection, and does not insist.
func TestSilence_AtTheEnd(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		m, c := muted(t)
		require.NoError(t, c.rt.Start(t.Context()))
		m.silent.Store(1)
		require.NoError(t, c.rt.Stop(t.Context()))

		require.NoError(t, c.rt.Start(t.Context()))
		m.silent.Store(1 << 40)
		began := time.Now()
		require.ErrorContains(t, c.rt.Stop(t.Context()), "stop runtime: resign: the database did not answer in time")
		require.Less(t, time.Since(began), 4*m.Traits().Lease)
	})
}

// A tick, and what it looks after, ends with Stop's context, whatever it waits for.
func TestSilence_StopEndsInItsTime(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		for wait := range 20 {
			m, c := muted(t, ticking, func(config *squidmesh.Config[*memstore.Tx]) { config.Retention.Completed = time.Hour })
			require.NoError(t, c.rt.Start(t.Context()))
			time.Sleep(time.Duration(wait) * 100 * time.Millisecond) // of the bubble's clock
			m.silent.Store(1 << 40)
			time.Sleep(1500 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			began := time.Now()
			require.Error(t, c.rt.Stop(ctx))
			cancel()
			require.LessOrEqual(t, time.Since(began), 2*time.Second)
		}
	})
}

// The loop that prunes goes on after a connection that has died.
func TestSilence_OfAPrune(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		m, c := muted(t, ticking, func(config *squidmesh.Config[*memstore.Tx]) {
			config.Retention.Completed = time.Hour
		})
		m.prunes.Store(1)
		require.NoError(t, c.rt.Start(t.Context()))
		run, err := c.rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
		require.NoError(t, err)
		_, err = c.rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "only", Attempt: 1}.Delivery())
		require.NoError(t, err)
		time.Sleep(2 * time.Hour) // of the bubble's clock
		page, err := c.rt.ListRuns(t.Context(), squidmesh.ListParams{})
		require.NoError(t, err)
		require.Empty(t, page.Runs)
		require.NoError(t, c.rt.Stop(t.Context()))
	})
}

// A read that is slow, and not silent, comes to its end, and so does a prune.
func TestSilence_IsNotSlowness(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		m, c := muted(t)
		_, err := c.rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
		require.NoError(t, err)
		slow := 10 * m.Traits().Lease
		m.slow.Store(int64(slow))
		enough, cancel := context.WithTimeout(t.Context(), 4*slow) // for tries that get twice the time of the one before
		defer cancel()
		page, err := c.rt.ListRuns(enough, squidmesh.ListParams{})
		require.NoError(t, err)
		require.Len(t, page.Runs, 1)

		ctx, cancel := context.WithTimeout(t.Context(), slow/2)
		defer cancel()
		_, err = c.rt.ListRuns(ctx, squidmesh.ListParams{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotContains(t, err.Error(), "the database did not answer in time")
	})
}
