package squidmesh_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// distantQueue is a queue that loses, refuses or keeps jobs, and that takes its time for it.
type distantQueue struct {
	driver.Executor[*memstore.Tx]
	pause  time.Duration  // what a call takes, or each job of RetryJobs
	thinks time.Duration  // what a call of ProbeJobs takes
	state  *flow.JobState // of every job; nil if they are gone

	mu                    sync.Mutex
	refuses               squidmesh.RunID
	refused               int // calls for its job alone
	taken, retried, asked int // jobs, and the calls that asked about some
}

// did is what was taken and retried, and how often somebody asked.
func (q *distantQueue) did() (taken, retried, asked int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.taken, q.retried, q.asked
}

func (q *distantQueue) EnqueueStep(ctx context.Context, tx *memstore.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	all, err := q.EnqueueSteps(ctx, tx, []driver.StepJob{job})
	if err != nil {
		return driver.JobMetadata{}, err
	}
	return all[0], nil
}

func (q *distantQueue) EnqueueSteps(ctx context.Context, _ *memstore.Tx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	if err := q.takeTime(ctx, q.pause); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.ContainsFunc(jobs, func(job driver.StepJob) bool { return job.RunID == q.refuses }) {
		if len(jobs) == 1 {
			q.refused++
		}
		return nil, errors.New("no such queue")
	}
	q.taken += len(jobs)
	return slices.Repeat([]driver.JobMetadata{{JobID: "1", Queue: jobs[0].Queue}}, len(jobs)), nil
}

func (q *distantQueue) ProbeJobs(ctx context.Context, _ *memstore.Tx, now time.Time, ids []string) (map[string]flow.JobState, error) {
	if err := q.takeTime(ctx, q.thinks); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	states := map[string]flow.JobState{}
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

// backlog starts a process with this queue that has as many runs, which another one gave to another queue. It returns the last of them.
func (q *distantQueue) backlog(t *testing.T, runs int, logger slog.Handler) (*squidmesh.Runtime[*memstore.Tx], squidmesh.RunID) {
	t.Helper()
	store := memstore.New(nil)
	starter := newCrowdAt(t, store, doNothing, func(config *squidmesh.Config[*memstore.Tx]) { config.Executor = &distantQueue{} })
	for range runs {
		run, err := starter.rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
		require.NoError(t, err)
		q.refuses = run.ID
	}
	last := q.refuses
	if logger == nil {
		logger, q.refuses = slog.DiscardHandler, squidmesh.RunID{}
	}
	c := newCrowdAt(t, store, doNothing, func(config *squidmesh.Config[*memstore.Tx]) {
		config.Executor, config.ManualTick, config.Logger = q, false, slog.New(logger)
	})
	require.NoError(t, c.rt.Start(t.Context()))
	return c.rt, last
}

// twoShares is more than a tick looks after.
const twoShares = 1100

// A list that is longer than a tick's share does not wait for the next tick where something can be done about it.
func TestLane_GoesStraightOn(t *testing.T) {
	t.Parallel()

	for name, state := range map[string]*flow.JobState{"lost": nil, "refused": {Retryable: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := &distantQueue{state: state}
				rt, _ := q.backlog(t, twoShares, nil)
				time.Sleep(2500 * time.Millisecond) // they are late with the second tick
				synctest.Wait()
				taken, retried, _ := q.did()
				require.Equal(t, twoShares, taken+retried)
				require.NoError(t, rt.Stop(t.Context()))
			})
		})
	}
}

// So do windows that come at once, and fires whose jobs were lost, by more than a page.
func TestLane_GoesStraightOnWithWindows(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		const workflows, each = 10, 100
		q := &cronQueue[*memstore.Tx]{}
		c := newCrowdAt(t, memstore.New(nil), doNothing, func(config *squidmesh.Config[*memstore.Tx]) {
			config.Executor, config.ManualTick, config.Logger = q, false, slog.New(slog.DiscardHandler)
			for i := range workflows {
				var triggers []squidmesh.Trigger
				for j := range each {
					triggers = append(triggers, squidmesh.Cron(fmt.Sprintf("trigger_%d", j), "* * * * *", "", squidmesh.Contract{}))
				}
				w := digest(triggers...)
				w.Name = fmt.Sprintf("digest_%d", i)
				config.Workflows = append(config.Workflows, w)
			}
		})
		require.NoError(t, c.rt.Start(t.Context()))
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + 1500*time.Millisecond)))
		synctest.Wait()
		require.Len(t, q.take(), workflows*each, "a window of each")
		time.Sleep(5 * time.Second) // nobody delivers them
		synctest.Wait()
		require.Len(t, q.take(), workflows*each, "again")
		require.NoError(t, c.rt.Stop(t.Context()))
	})
}

// What nothing can be done about, as it is late in a busy queue, is looked through at the pace of the ticks.
func TestLane_DoesNotHurryPastWhatCannotBeHelped(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q := &distantQueue{state: &flow.JobState{Deliverable: true}}
		rt, _ := q.backlog(t, twoShares, nil)
		time.Sleep(10*time.Second + 500*time.Millisecond)
		synctest.Wait()
		taken, _, asked := q.did()
		require.Equal(t, 9, asked, "once a tick")
		require.Zero(t, taken)
		require.NoError(t, rt.Stop(t.Context()))
	})
}

// A backlog that goes straight on ends with the process, at the latest behind the transaction that it is at.
func TestLane_EndsWithStop(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q := &distantQueue{pause: 500 * time.Millisecond}
		rt, _ := q.backlog(t, twoShares, nil)
		time.Sleep(3200 * time.Millisecond)
		began := time.Now()
		require.NoError(t, rt.Stop(t.Context()))
		require.LessOrEqual(t, time.Since(began), time.Second)
		taken, _, _ := q.did()
		require.Positive(t, taken)
		require.Less(t, taken, twoShares)
		time.Sleep(time.Minute)
		later, _, _ := q.did()
		require.Equal(t, taken, later)
	})
}

// A lane that takes long, as its queue does not answer, keeps no other waiting.
func TestLane_HoldsUpNoOther(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		store, q := memstore.New(nil), &distantQueue{thinks: 20 * time.Second}
		review := squidmesh.Workflow{
			Name: "review", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Contract{})},
			Steps: []squidmesh.Step{{Name: "gate", Do: squidmesh.Pause(), Timeout: 5 * time.Second}},
		}
		process := func(q *distantQueue, manual bool) *squidmesh.Runtime[*memstore.Tx] {
			return newCrowdAt(t, store, doNothing, func(config *squidmesh.Config[*memstore.Tx]) {
				config.Executor, config.ManualTick, config.Logger = q, manual, slog.New(slog.DiscardHandler)
				config.Workflows = append(config.Workflows, review)
			}).rt
		}
		starter, rt := process(&distantQueue{}, true), process(q, false)
		_, err := starter.StartRun(t.Context(), squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}})
		require.NoError(t, err)
		run, err := starter.StartRun(t.Context(), squidmesh.StartParams{Workflow: "review"})
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context()))
		_, err = rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "gate", Attempt: 1}.Delivery())
		require.NoError(t, err)
		time.Sleep(7 * time.Second) // the queue has been asked about the lost job of the other run since the second one
		synctest.Wait()
		in, err := rt.InspectRun(t.Context(), run.ID, nil)
		require.NoError(t, err)
		require.Equal(t, squidmesh.RunFailed, in.Run.Status)
		taken, _, _ := q.did()
		require.Zero(t, taken)
		require.NoError(t, rt.Stop(t.Context()))
	})
}

// A queue that needs a round trip for each job is told about them in transactions that end before the process gives one up.
func TestLane_RetriesFarAwayJobByJob(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q := &distantQueue{pause: 40 * time.Millisecond, state: &flow.JobState{Retryable: true}}
		rt, _ := q.backlog(t, 1024, nil)
		time.Sleep(15 * time.Second)
		_, retried, _ := q.did()
		require.Greater(t, retried, 256)
		require.NoError(t, rt.Stop(t.Context()))
	})
}

// complaints are the runs that a log is about.
type complaints struct {
	slog.Handler
	mu   sync.Mutex
	runs map[string]int
}

func (c *complaints) Enabled(context.Context, slog.Level) bool { return true }

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "run" {
			c.runs[a.Value.String()]++
		}
		return true
	})
	return nil
}

// A job that the queue refuses keeps no other of its batch from the queue, is complained of, and is tried ever more rarely.
func TestTend_OneBadMemberFailsNoOther(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		q, log := &distantQueue{}, &complaints{runs: map[string]int{}}
		rt, bad := q.backlog(t, 300, log)
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		taken, _, _ := q.did()
		require.Equal(t, 299, taken)
		time.Sleep(time.Minute)
		require.NoError(t, rt.Stop(t.Context()))
		require.Greater(t, q.refused, 3)
		require.Less(t, q.refused, 10, "after 1, 2, 4, 8, 16 and 30 seconds")
		require.Equal(t, map[string]int{bad.String(): q.refused}, log.runs)
	})
}
