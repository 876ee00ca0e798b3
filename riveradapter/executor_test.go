package riveradapter

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

var (
	_ driver.Executor[pgx.Tx]      = (*Executor[pgx.Tx])(nil)
	_ driver.BatchExecutor[pgx.Tx] = (*Executor[pgx.Tx])(nil)
	_ driver.Prober[pgx.Tx]        = (*Executor[pgx.Tx])(nil)
	_ driver.LineProber[pgx.Tx]    = (*Executor[pgx.Tx])(nil)
	_ driver.ScopeProber[pgx.Tx]   = (*Executor[pgx.Tx])(nil)
	_ driver.Validator             = (*Executor[pgx.Tx])(nil)
	_ driver.Waker                 = (*Executor[pgx.Tx])(nil)
)

// both runs a test on both databases.
func both(t *testing.T, onPostgres func(*testing.T, *database[pgx.Tx]), onSQLite func(t *testing.T)) {
	t.Helper()
	t.Run("Postgres", func(t *testing.T) { t.Parallel(); onPostgres(t, postgres(t)) })
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); onSQLite(t) })
}

func stepJob(now time.Time, dueIn time.Duration) driver.StepJob {
	job := driver.StepJob{
		Schedule: driver.Schedule{Now: now, Queue: queue, Priority: 2, Scope: "shop"},
		RunID:    uuid.Must(uuid.NewV7()), Workflow: "checkout", Step: "charge", Attempt: 4,
	}
	if dueIn != 0 {
		job.DueAt, job.Delay = now.Add(dueIn), dueIn
	}
	return job
}

// enqueue inserts one step's job and returns its row.
func enqueue[TTx any](t *testing.T, d *database[TTx], e *Executor[TTx], client *river.Client[TTx], job driver.StepJob) *rivertype.JobRow {
	t.Helper()
	var m driver.JobMetadata
	require.NoError(t, d.inTx(t.Context(), func(ctx context.Context, tx TTx) (err error) {
		m, err = e.EnqueueStep(ctx, tx, job)
		return err
	}))
	id, err := strconv.ParseInt(m.JobID, 10, 64)
	require.NoError(t, err)
	row, err := client.JobGet(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, row.Queue, m.Queue)
	require.Equal(t, row.Kind, m.Worker)
	require.WithinDuration(t, row.ScheduledAt, m.ScheduledAt, 0)
	return row
}

func TestExecutor_WithoutClientSaysSo(t *testing.T) {
	t.Parallel()
	e := New[pgx.Tx](nil)
	_, err := e.EnqueueStep(t.Context(), nil, stepJob(time.Now(), 0))
	require.ErrorIs(t, err, ErrNoClient)
	_, err = e.ProbeJobs(t.Context(), nil, time.Now(), []string{"1"})
	require.ErrorIs(t, err, ErrNoClient)
	require.ErrorIs(t, e.Wake(t.Context(), nil, []string{queue}), ErrNoClient)

	answer, err := e.EnqueueBatch(t.Context(), nil, driver.Batch{})
	require.NoError(t, err, "nothing to insert needs no client")
	require.Empty(t, answer)
}

func TestExecutor_JobIsTinyAndNeverRunsOut(t *testing.T) {
	t.Parallel()
	both(t, jobIsTiny, func(t *testing.T) { jobIsTiny(t, sqlite(t)) })
}

func jobIsTiny[TTx any](t *testing.T, d *database[TTx]) {
	client := d.client(t, river.Config{})
	job := stepJob(time.Now(), 0)
	row := enqueue(t, d, New(client), client, job)

	require.Equal(t, KindStep, row.Kind)
	require.Equal(t, queue, row.Queue)
	require.Equal(t, 2, row.Priority)
	require.Equal(t, 32767, row.MaxAttempts)
	require.Equal(t, []string{"workflow_checkout", "step_charge"}, row.Tags)
	require.Empty(t, row.UniqueKey)

	// What is stored is the delivery and nothing else.
	want, err := json.Marshal(job.Delivery())
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(row.EncodedArgs))
	var metadata map[string]any
	require.NoError(t, json.Unmarshal(row.Metadata, &metadata))
	for key := range metadata {
		require.Contains(t, key, "river:", "metadata of ours")
	}
}

func TestExecutor_SetsTimesByDatabaseClock(t *testing.T) {
	t.Parallel()
	both(t, setsTimes, func(t *testing.T) { setsTimes(t, sqlite(t)) })
}

func setsTimes[TTx any](t *testing.T, d *database[TTx]) {
	client := d.client(t, river.Config{})
	e := New(client)
	// A database that is 40 minutes behind this host.
	now := time.Now().Add(-40 * time.Minute).Truncate(time.Millisecond)
	for _, c := range []struct {
		name        string
		dueIn       time.Duration
		state       rivertype.JobState
		scheduledIn time.Duration
	}{
		{"Now", 0, rivertype.JobStateAvailable, 0},
		{"Past", -time.Hour, rivertype.JobStateAvailable, 0},
		{"Soon", 250 * time.Millisecond, rivertype.JobStateAvailable, 250 * time.Millisecond},
		{"RoundsUp", 250*time.Millisecond + time.Microsecond, rivertype.JobStateAvailable, 251 * time.Millisecond},
		{"AtLookAhead", lookAhead, rivertype.JobStateAvailable, lookAhead},
		{"BeyondLookAhead", lookAhead + time.Second, rivertype.JobStateScheduled, lookAhead + time.Second},
		{"NextYear", 365 * 24 * time.Hour, rivertype.JobStateScheduled, 365 * 24 * time.Hour},
	} {
		row := enqueue(t, d, e, client, stepJob(now, c.dueIn))
		require.Equal(t, c.state, row.State, c.name)
		require.WithinDuration(t, now, row.CreatedAt, 0, c.name)
		require.WithinDuration(t, now.Add(c.scheduledIn), row.ScheduledAt, 0, c.name)
	}
}

func TestExecutor_RefusedJobLeavesTransactionUsable(t *testing.T) {
	t.Parallel()
	both(t, refusedJob, func(t *testing.T) { refusedJob(t, sqlite(t)) })
}

// River refuses before it writes, so a caller that would rather note the refusal than roll back can do so.
func refusedJob[TTx any](t *testing.T, d *database[TTx]) {
	client := d.client(t, river.Config{})
	e := New(client)
	good, bad := stepJob(time.Now(), 0), stepJob(time.Now(), 0)
	bad.Priority = 5
	require.NoError(t, d.inTx(t.Context(), func(ctx context.Context, tx TTx) error {
		_, err := e.EnqueueSteps(ctx, tx, []driver.StepJob{good, bad})
		require.ErrorContains(t, err, "priority")
		_, err = e.EnqueueStep(ctx, tx, good)
		return err
	}))
	require.Len(t, d.jobs(t, client, queue), 1)
}

func TestExecutor_TakesClientOfWorkerWhenNoneIsSet(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	e := New[pgx.Tx](nil)
	next := stepJob(time.Now(), 0)
	next.Step, next.Queue = "next", "elsewhere"
	result := make(chan error, 1)
	workers := river.NewWorkers()
	AddWorkers(workers, performer(func(ctx context.Context, _ driver.Delivery) (flow.Outcome, error) {
		result <- d.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := e.EnqueueStep(ctx, tx, next)
			return err
		})
		return flow.Outcome{Kind: flow.OutcomeDone}, nil
	}))
	client := d.client(t, river.Config{Workers: workers, Queues: map[string]river.QueueConfig{queue: Queue(1)}})
	start(t, client)
	enqueue(t, d, New(client), client, stepJob(time.Now(), 0))
	require.NoError(t, receive(t, result))
	require.Len(t, d.jobs(t, client, "elsewhere"), 1)
}

func TestExecutor_ProgramsHooksAndMiddlewareRunToo(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	global := &globalPlugin{}
	client := d.client(t, river.Config{Plugins: []rivertype.Plugin{global}})
	row := enqueue(t, d, New(client), client, stepJob(time.Now(), 0))
	require.Equal(t, 3, row.Priority, "the hook's")
	require.Equal(t, []string{"workflow_checkout", "step_charge", "tenant_a"}, row.Tags, "the middleware's")

	global.err = errors.New("no tenant")
	err := d.inTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := New(client).EnqueueStep(ctx, tx, stepJob(time.Now(), 0))
		return err
	})
	require.ErrorIs(t, err, global.err)
}

// globalPlugin is what a program may have configured for all of its jobs.
type globalPlugin struct {
	river.HookDefaults
	err error
}

func (*globalPlugin) IsPlugin() bool { return true }

func (*globalPlugin) IsMiddleware() bool { return true }

func (p *globalPlugin) InsertBegin(_ context.Context, params *rivertype.JobInsertParams) error {
	params.Priority = 3
	return p.err
}

func (*globalPlugin) InsertMany(ctx context.Context, many []*rivertype.JobInsertParams,
	inner func(context.Context) ([]*rivertype.JobInsertResult, error),
) ([]*rivertype.JobInsertResult, error) {
	for _, params := range many {
		params.Tags = append(params.Tags, "tenant_a")
	}
	return inner(ctx)
}

// receive waits for what must come.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// A client with workers inserts only what they know, whether or not it has queues.
func TestExecutor_SaysWhatWorkersLack(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	workers := river.NewWorkers()
	river.AddWorker(workers, &invoiceJobs{})
	e := New(d.client(t, river.Config{Workers: workers}))
	err := d.inTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := e.EnqueueStep(ctx, tx, stepJob(time.Now(), 0))
		return err
	})
	var unknown *river.UnknownJobKindError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, KindStep, unknown.Kind)
	require.ErrorContains(t, err, "call riveradapter.AddWorkers on the client's Workers, or give the client no Workers")
}

// invoiceJobs works jobs of the program's own.
type invoiceJobs struct {
	river.WorkerDefaults[invoiceArgs]
}

type invoiceArgs struct{}

func (invoiceArgs) Kind() string { return "invoice" }

func (*invoiceJobs) Work(context.Context, *river.Job[invoiceArgs]) error { return nil }
