package squidmesh_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// choosyQueue refuses what belongs to the workflow "refused", and counts both.
type choosyQueue struct {
	driver.Executor[*sql.Tx]
	refused, accepted int
}

func (q *choosyQueue) EnqueueStep(_ context.Context, _ *sql.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	if job.Workflow == "refused" {
		q.refused++
		return driver.JobMetadata{}, errors.New("no such queue")
	}
	q.accepted++
	return driver.JobMetadata{JobID: "1", Queue: job.Queue}, nil
}

func (q *choosyQueue) EnqueueSteps(ctx context.Context, tx *sql.Tx, jobs []driver.StepJob) (answer []driver.JobMetadata, err error) {
	for _, job := range jobs {
		m, err := q.EnqueueStep(ctx, tx, job)
		if err != nil {
			q.refused-- // those that went with it are asked for again
			return nil, err
		}
		answer = append(answer, m)
	}
	return answer, nil
}

// More steps than a tick looks after, with jobs that the queue does not take, stand before one that is as it should be.
func TestSweep_RefusedStepsHideNoOthers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	queue := &choosyQueue{}
	wait := func(name string, d time.Duration) squidmesh.Workflow {
		return squidmesh.Workflow{
			Name: name, Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Contract{})},
			Steps: []squidmesh.Step{{Name: "nap", Do: squidmesh.Wait(d)}},
		}
	}
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store:    dbtest.SQLite(t, &sqlitestore.Options{Clock: func(time.Time) time.Time { return now }}),
		Executor: queue, ManualTick: true, Logger: slog.New(slog.DiscardHandler),
		Workflows: []squidmesh.Workflow{wait("refused", 48*time.Hour), wait("sound", 49*time.Hour)},
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
	const refused = 1100
	for range refused {
		_, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "refused"})
		require.NoError(t, err)
	}
	_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "sound"})
	require.NoError(t, err)
	tick := func(after time.Duration) error {
		now = now.Add(after)
		return rt.Tick(t.Context())
	}
	require.ErrorIs(t, tick(30*time.Hour), squidmesh.ErrDispatch)
	require.Zero(t, queue.accepted)
	require.ErrorIs(t, tick(time.Second), squidmesh.ErrDispatch)
	require.Equal(t, 1, queue.accepted, "its turn comes with the next tick")
	require.Equal(t, refused, queue.refused)

	// Those that were refused are tried ever more rarely, however many they are.
	for range 40 {
		_ = tick(time.Second)
	}
	require.Equal(t, 1, queue.accepted)
	require.LessOrEqual(t, queue.refused, 8*refused)
}
