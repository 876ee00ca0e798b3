package squidmesh_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// distantQueue is a queue that loses, refuses or keeps jobs, and that takes its time for it.
type distantQueue struct {
	squidmesh.Executor[*memstore.Tx]
	pause time.Duration       // what a call takes, or each job of RetryJobs
	state *squidmesh.JobState // of every job; nil if they are gone

	mu                    sync.Mutex
	refuses               bool
	taken, retried, asked int // jobs, and the calls that asked about some
}

func (q *distantQueue) EnqueueStep(ctx context.Context, tx *memstore.Tx, job squidmesh.StepJob) (squidmesh.Metadata, error) {
	all, err := q.EnqueueSteps(ctx, tx, []squidmesh.StepJob{job})
	if err != nil {
		return squidmesh.Metadata{}, err
	}
	return all[0], nil
}

func (q *distantQueue) EnqueueSteps(ctx context.Context, _ *memstore.Tx, jobs []squidmesh.StepJob) ([]squidmesh.Metadata, error) {
	if err := q.takeTime(ctx, q.pause); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuses {
		return nil, errors.New("no such queue")
	}
	q.taken += len(jobs)
	return slices.Repeat([]squidmesh.Metadata{{JobID: "1"}}, len(jobs)), nil
}

func (q *distantQueue) ProbeJobs(_ context.Context, _ *memstore.Tx, now time.Time, ids []string) (map[string]squidmesh.JobState, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	states := map[string]squidmesh.JobState{}
	if q.state != nil {
		state := *q.state
		state.TriedAt = now.Add(-time.Hour)
		for _, id := range ids {
			states[id] = state
		}
	}
	return states, nil
}

func (q *distantQueue) RetryJobs(ctx context.Context, _ *memstore.Tx, ids []string) error {
	for range ids {
		if err := q.takeTime(ctx, q.pause); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.retried += len(ids)
	return nil
}

// takeTime takes it of the bubble's clock.
func (q *distantQueue) takeTime(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backlog starts a process that has as many runs whose jobs nobody has taken.
func (q *distantQueue) backlog(t *testing.T, runs int) *squidmesh.Runtime[*memstore.Tx] {
	t.Helper()
	pause := q.pause
	q.pause = 0
	c := newCrowdAt(t, memstore.New(nil), doNothing, func(config *squidmesh.Config[*memstore.Tx]) {
		config.Executor, config.ManualTick, config.Logger = q, false, slog.New(slog.DiscardHandler)
	})
	for range runs {
		_, err := c.rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
		require.NoError(t, err)
	}
	q.pause, q.taken = pause, 0
	require.NoError(t, c.rt.Start(t.Context()))
	return c.rt
}

// twoShares is more than a tick looks after.
const twoShares = 1100

// A list that is longer than a tick's share does not wait for the next tick where something can be done about it.
func TestLane_GoesStraightOn(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		state *squidmesh.JobState
		did   func(q *distantQueue) int
	}{
		"lost":    {nil, func(q *distantQueue) int { return q.taken }},
		"refused": {&squidmesh.JobState{Retryable: true}, func(q *distantQueue) int { return q.retried }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := &distantQueue{state: c.state}
				rt := q.backlog(t, twoShares)
				time.Sleep(2500 * time.Millisecond) // they are late with the second tick
				synctest.Wait()
				require.Equal(t, twoShares, c.did(q))
				require.NoError(t, rt.Stop(t.Context()))
			})
		})
	}
}

// What nothing can be done about is looked through at the pace of the ticks.
func TestLane_DoesNotHurryPastWhatCannotBeHelped(t *testing.T) {
	t.Parallel()

	for name, q := range map[string]*distantQueue{
		"late in a busy queue": {state: &squidmesh.JobState{Deliverable: true}},
		"refused again":        {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := q.backlog(t, twoShares)
				q.refuses = true
				time.Sleep(4500 * time.Millisecond)
				synctest.Wait()
				require.Equal(t, 3, q.asked, "once a tick")
				require.Zero(t, q.taken)
				require.NoError(t, rt.Stop(t.Context()))
			})
		})
	}
}

// A backlog that goes straight on ends with the process, at the latest behind the transaction that it is at.
func TestLane_EndsWithStop(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q := &distantQueue{pause: 500 * time.Millisecond}
		rt := q.backlog(t, 2*twoShares)
		time.Sleep(3200 * time.Millisecond)
		began := time.Now()
		require.NoError(t, rt.Stop(t.Context()))
		require.LessOrEqual(t, time.Since(began), time.Second)
		taken := q.taken
		require.Positive(t, taken)
		require.Less(t, taken, 2*twoShares)
		time.Sleep(time.Minute)
		require.Equal(t, taken, q.taken)
	})
}

// A queue that needs a round trip for each job is told about them in transactions that end before the process gives one up.
func TestLane_RetriesFarAwayJobByJob(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q := &distantQueue{pause: 40 * time.Millisecond, state: &squidmesh.JobState{Retryable: true}}
		rt := q.backlog(t, 1024)
		time.Sleep(15 * time.Second)
		q.mu.Lock()
		require.Greater(t, q.retried, 256)
		q.mu.Unlock()
		require.NoError(t, rt.Stop(t.Context()))
	})
}
