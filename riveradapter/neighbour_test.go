package riveradapter

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// plainArgs are of a job that a River program has had all along.
type plainArgs struct {
	Name string `json:"name"`
}

func (plainArgs) Kind() string { return "greet" }

func (plainArgs) Hooks() []rivertype.Hook { return []rivertype.Hook{&plainHook{}} }

var plainInserts atomic.Int64

type plainHook struct{ river.HookDefaults }

func (*plainHook) InsertBegin(_ context.Context, params *rivertype.JobInsertParams) error {
	if params.Kind != "greet" {
		return errors.New("the hook of one kind ran for another")
	}
	plainInserts.Add(1)
	return nil
}

type plainWorker struct {
	river.WorkerDefaults[plainArgs]
	greeted chan string
}

func (w *plainWorker) Work(_ context.Context, job *river.Job[plainArgs]) error {
	w.greeted <- job.Args.Name
	return nil
}

// The promise to a River program: squidmesh comes to live beside its jobs and nothing about them changes.
func TestPlainRiverProgramIsUntouched(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	inserts := plainInserts.Load()
	greeted, performed := make(chan string, 10), make(chan driver.Delivery, 10)
	workers := river.NewWorkers()
	river.AddWorker(workers, &plainWorker{greeted: greeted})
	AddWorkers(workers, performer(func(_ context.Context, d driver.Delivery) (flow.Outcome, error) {
		performed <- d
		return flow.Outcome{Kind: flow.OutcomeDone}, nil
	}))
	client := d.client(t, river.Config{Workers: workers, Queues: map[string]river.QueueConfig{
		river.QueueDefault: {MaxWorkers: 2},
		queue:              Queue(2),
	}})
	e := New(client)
	start(t, client)

	// Both kinds in one transaction of the program's.
	job := stepJob(time.Now(), 0)
	require.NoError(t, d.inTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := client.InsertTx(ctx, tx, plainArgs{Name: "ada"}, nil); err != nil {
			return err
		}
		_, err := e.EnqueueStep(ctx, tx, job)
		return err
	}))
	require.Equal(t, "ada", receive(t, greeted))
	require.Equal(t, job.Delivery(), receive(t, performed))

	// Its own job has River's defaults, a short delay among them, which River keeps as scheduled.
	result, err := client.Insert(t.Context(), plainArgs{Name: "eve"}, &river.InsertOpts{ScheduledAt: time.Now().Add(2 * time.Second)})
	require.NoError(t, err)
	require.Equal(t, rivertype.JobStateScheduled, result.Job.State)
	require.Equal(t, river.MaxAttemptsDefault, result.Job.MaxAttempts)
	require.Equal(t, river.QueueDefault, result.Job.Queue)
	require.Empty(t, result.Job.Tags)
	require.EqualValues(t, 2, plainInserts.Load()-inserts, "its own hook ran for its own jobs")
}
