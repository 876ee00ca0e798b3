package riveradapter

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func TestProbeJobs_TellsWhatOperatorsDid(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	workers := river.NewWorkers()
	AddWorkers(workers, performer(nil))
	client := d.client(t, river.Config{Workers: workers, Queues: map[string]river.QueueConfig{"paused": Queue(1)}})
	start(t, client) // a queue exists once a client works it
	require.NoError(t, client.QueuePause(t.Context(), "paused", nil))

	e := New(client)
	probe := func(row *rivertype.JobRow) (state flow.JobState, exists bool) {
		id := strconv.FormatInt(row.ID, 10)
		require.NoError(t, d.inTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			states, err := e.ProbeJobs(ctx, tx, time.Now(), []string{id})
			state, exists = states[id]
			return err
		}))
		return state, exists
	}

	row := enqueue(t, d, e, client, stepJob(time.Now(), 0))
	state, _ := probe(row)
	require.Equal(t, flow.JobState{State: "available", Queue: queue, Deliverable: true, Unattended: true}, state, "no client works its queue")

	_, err := client.JobCancel(t.Context(), row.ID)
	require.NoError(t, err)
	state, _ = probe(row)
	require.Equal(t, flow.JobState{State: "cancelled", Queue: queue, Unattended: true}, state)

	_, err = client.JobDelete(t.Context(), row.ID)
	require.NoError(t, err)
	_, exists := probe(row)
	require.False(t, exists)

	waiting := stepJob(time.Now(), time.Hour)
	waiting.Queue = "paused"
	row = enqueue(t, d, e, client, waiting)
	state, _ = probe(row)
	require.Equal(t, flow.JobState{State: "scheduled", Queue: "paused", Deliverable: true, At: row.ScheduledAt, Paused: true}, state)
}

func TestProbeLine_CountsWhatIsHandedOutFirst(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	client := d.client(t, river.Config{})
	e := New(client)
	now := time.Now()
	job := func(queue string, priority int, delay time.Duration) string {
		j := stepJob(now, delay)
		j.Queue, j.Priority = queue, priority
		return strconv.FormatInt(enqueue(t, d, e, client, j).ID, 10)
	}
	ahead := func(id string, limit int) (n int) {
		t.Helper()
		require.NoError(t, d.inTx(t.Context(), func(ctx context.Context, tx pgx.Tx) (err error) {
			n, err = e.ProbeLine(ctx, tx, id, limit)
			return err
		}))
		return n
	}
	first := job("line", 2, 0)
	urgent := job("line", 1, 0)
	job("other", 1, 0)
	last := job("line", 2, 0)
	later := job("line", 2, time.Hour)

	require.Equal(t, 0, ahead(urgent, 10))
	require.Equal(t, 1, ahead(first, 10), "the urgent one, though it came later")
	require.Equal(t, 2, ahead(last, 10))
	require.Equal(t, 1, ahead(last, 1))
	require.Equal(t, 0, ahead(later, 10), "it does not stand in line yet")
	require.Equal(t, 0, ahead("0", 10))
	require.Equal(t, 0, ahead("no id", 10))
}

func TestDeliverable_RunningOnlyWhenJustHandedOut(t *testing.T) {
	t.Parallel()
	now := time.Now()
	job := func(state rivertype.JobState, ago time.Duration) *rivertype.JobRow {
		at := now.Add(-ago)
		return &rivertype.JobRow{State: state, AttemptedAt: &at, ScheduledAt: at}
	}
	require.True(t, deliverable(job(rivertype.JobStateRunning, time.Second), now))
	require.False(t, deliverable(job(rivertype.JobStateRunning, time.Minute), now), "its process died between fetch and claim")
	require.True(t, deliverable(job(rivertype.JobStateScheduled, -time.Minute), now))
	require.True(t, deliverable(job(rivertype.JobStateRetryable, time.Millisecond), now))
	require.False(t, deliverable(job(rivertype.JobStateScheduled, 100*time.Millisecond), now), "no leader makes it available")
	require.True(t, deliverable(job(rivertype.JobStateAvailable, time.Minute), now), "its queue is behind")
	require.False(t, deliverable(job(rivertype.JobStateCompleted, 0), now))
	require.False(t, deliverable(job(rivertype.JobStateDiscarded, 0), now))
}
