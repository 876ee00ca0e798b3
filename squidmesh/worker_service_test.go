package squidmesh_test

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// slow is a store whose transactions do not begin before they may.
type slow struct {
	driver.Store[*sql.Tx]
	asked, may chan struct{}
}

func (s slow) InTx(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	<-s.may
	return s.Store.InTx(ctx, fn)
}

// While Start waits for its database, calls end with their contexts, and deliveries come back later.
func TestStart_HoldsUpNobodyElse(t *testing.T) {
	t.Parallel()

	store := slow{dbtest.SQLite(t, nil), make(chan struct{}, 1), make(chan struct{})}
	c := newCrowdAt(t, store, doNothing)
	started := make(chan error)
	go func() { started <- c.rt.Start(t.Context()) }()
	<-store.asked

	outcome, err := c.rt.Perform(t.Context(), driver.StepJob{RunID: squidmesh.RunID{1}, Step: "only", Attempt: 1}.Delivery())
	require.NoError(t, err)
	require.Equal(t, flow.OutcomeAgain, outcome.Kind)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.rt.Start(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, c.rt.Stop(ctx), context.DeadlineExceeded)

	close(store.may)
	require.NoError(t, <-started)
	require.ErrorIs(t, c.rt.Start(t.Context()), squidmesh.ErrStarted)
	require.NoError(t, c.rt.Stop(t.Context()))
}

// The end of Start's context stops nothing once Start has returned: an hour later the lease is still renewed.
func TestStart_OutlivesItsContext(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		c := newCrowdAt(t, memstore.New(nil), doNothing, func(config *squidmesh.Config[*memstore.Tx]) {
			config.Executor, config.ManualTick = &drowsyQueue{}, false
		})
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, c.rt.Start(ctx))
		cancel()
		time.Sleep(time.Hour) // of the bubble's clock
		run, err := c.rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
		require.NoError(t, err)
		outcome, err := c.rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "only", Attempt: 1}.Delivery())
		require.NoError(t, err)
		require.Equal(t, flow.OutcomeDone, outcome.Kind)
		require.NoError(t, c.rt.Stop(t.Context()))
	})
}

// A Stop that may not wait stops nevertheless.
func TestStop_WithAContextThatHasEnded(t *testing.T) {
	t.Parallel()

	c := newCrowd(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		require.NoError(t, c.rt.Start(t.Context()))
		_ = c.rt.Stop(ctx) // it has no time to resign
		require.False(t, c.rt.Started())
	}
}

// drowsyQueue is a queue that takes a second to be woken.
type drowsyQueue struct {
	driver.Executor[*memstore.Tx]
	asked, woken atomic.Int32
}

func (q *drowsyQueue) EnqueueStep(_ context.Context, _ *memstore.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	return driver.JobMetadata{JobID: "1", Queue: job.Queue}, nil
}

func (q *drowsyQueue) Wake(context.Context, driver.NotifyFunc, []string) error {
	q.asked.Add(1)
	time.Sleep(time.Second) // of the bubble's clock
	q.woken.Add(1)
	return nil
}

// What a process gave back is told to the others before it ends. After that nothing is told: whatever it takes may be closed.
func TestStop_WaitsForWakeUpsAndDropsThoseToCome(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q, store := &drowsyQueue{}, memstore.New(nil)
		c := newCrowdAt(t, store, doNothing, func(config *squidmesh.Config[*memstore.Tx]) { config.Executor = q })
		require.NoError(t, c.rt.Start(t.Context()))
		c.rt.Wake()
		require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx *memstore.Tx) error {
			_, err := c.rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
			return err
		}))
		require.NoError(t, c.rt.Stop(t.Context()))
		told := q.woken.Load()
		require.Positive(t, told)
		require.Equal(t, told, q.asked.Load())
		time.Sleep(time.Hour) // of the bubble's clock
		require.Equal(t, told, q.asked.Load())
	})
}

// Who has no time to wait for it is told that queues are still being woken.
func TestStop_WithoutTimeForWakeUps(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q := &drowsyQueue{}
		c := newCrowdAt(t, memstore.New(nil), doNothing, func(config *squidmesh.Config[*memstore.Tx]) { config.Executor = q })
		require.NoError(t, c.rt.Start(t.Context()))
		c.rt.Wake()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, c.rt.Stop(ctx), context.DeadlineExceeded)
		require.Zero(t, q.woken.Load())
		time.Sleep(time.Minute) // of the bubble's clock
		require.EqualValues(t, 1, q.woken.Load())
	})
}

// A runtime may be started again while an earlier Stop waits for its last step. That Stop takes nothing from it.
func TestStop_TakesNothingFromTheNextStart(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q, store, release := &drowsyQueue{}, memstore.New(nil), make(chan struct{})
		hold := func(context.Context, nothing) error { <-release; return nil }
		c := newCrowdAt(t, store, hold, func(config *squidmesh.Config[*memstore.Tx]) { config.Executor = q })
		require.NoError(t, c.rt.Start(t.Context()))
		run, err := c.rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
		require.NoError(t, err)
		go func() {
			_, _ = c.rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "only", Attempt: 1}.Delivery())
		}()
		time.Sleep(2 * time.Second) // of the bubble's clock, and within the lease
		stopped := make(chan error)
		go func() { stopped <- c.rt.Stop(t.Context()) }()
		synctest.Wait()

		require.NoError(t, c.rt.Start(t.Context()))
		before := q.asked.Load()
		require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx *memstore.Tx) error {
			_, err := c.rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
			return err
		}))
		close(release)
		require.NoError(t, <-stopped)
		time.Sleep(time.Minute)
		require.Greater(t, q.asked.Load(), before)
		require.NoError(t, c.rt.Stop(t.Context()))
	})
}

// slowObserver takes a second for what it is told of a delivery.
type slowObserver struct{ told atomic.Int32 }

func (o *slowObserver) Observe(context.Context, squidmesh.Observation) {}

func (o *slowObserver) ObserveDelivery(context.Context, squidmesh.DeliveryObservation) {
	time.Sleep(time.Second) // of the bubble's clock
	o.told.Add(1)
}

// Of every kind, to the last that is told of them.
func TestStop_WaitsForDeliveries(t *testing.T) {
	t.Parallel()

	for name, d := range map[string]driver.Delivery{
		"step": driver.StepJob{RunID: squidmesh.RunID{1}, Step: "only", Attempt: 1}.Delivery(),
		"cron": driver.CronJob{Workflow: "single", Trigger: "nightly", SignalID: "ours"}.Delivery(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := &slowObserver{}
				c := newCrowdAt(t, memstore.New(nil), doNothing, func(config *squidmesh.Config[*memstore.Tx]) { config.Observer = o })
				require.NoError(t, c.rt.Start(t.Context()))
				go func() { _, _ = c.rt.Perform(t.Context(), d) }()
				synctest.Wait()
				require.Zero(t, o.told.Load())
				require.NoError(t, c.rt.Stop(t.Context()))
				require.EqualValues(t, 1, o.told.Load())
			})
		})
	}
}
