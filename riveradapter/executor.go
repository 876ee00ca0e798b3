package riveradapter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/riverqueue/river"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// maxAttempts is the most that River can store: a delivery is repeated until the runtime has no more use for it, and only the
// runtime knows.
const maxAttempts = 32767

// ErrNoClient means that an [Executor] was used before it had a client.
var ErrNoClient = errors.New("riveradapter: no River client: call Executor.SetClient after river.NewClient")

// Executor inserts River jobs through the caller's transaction. It is a [driver.Executor], and also a [driver.BatchExecutor],
// [driver.Prober], [driver.Waker] and [driver.Validator]. It is safe for concurrent use. TTx is the transaction type of the
// client's driver.
//
// After an error the caller rolls back, as River sets no savepoints.
type Executor[TTx any] struct {
	client atomic.Pointer[river.Client[TTx]]
	near   near
}

// The runtime asks for all but the first by type assertions, which no compiler checks.
var (
	_ driver.Executor[any]      = (*Executor[any])(nil)
	_ driver.BatchExecutor[any] = (*Executor[any])(nil)
	_ driver.Prober[any]        = (*Executor[any])(nil)
	_ driver.LineProber[any]    = (*Executor[any])(nil)
	_ driver.ScopeProber[any]   = (*Executor[any])(nil)
	_ driver.Retrier[any]       = (*Executor[any])(nil)
	_ driver.Waker              = (*Executor[any])(nil)
	_ driver.Validator          = (*Executor[any])(nil)
)

// New returns an executor that inserts with client. Client may be nil until [Executor.SetClient].
func New[TTx any](client *river.Client[TTx]) *Executor[TTx] {
	e := &Executor[TTx]{}
	e.client.Store(client)
	return e
}

// SetClient sets the client to insert with. Call it once, before anything is enqueued.
func (e *Executor[TTx]) SetClient(client *river.Client[TTx]) { e.client.Store(client) }

// use returns the client to use. The client that works the current job comes second, since it may be one for another
// database, from whose job a run is started.
func (e *Executor[TTx]) use(ctx context.Context) (*river.Client[TTx], error) {
	if client := e.client.Load(); client != nil {
		return client, nil
	}
	if client, err := river.ClientFromContextSafely[TTx](ctx); err == nil {
		return client, nil
	}
	return nil, ErrNoClient
}

// EnqueueStep implements [driver.Executor].
func (e *Executor[TTx]) EnqueueStep(ctx context.Context, tx TTx, job driver.StepJob) (driver.JobMetadata, error) {
	return only(e.insert(ctx, tx, []river.InsertManyParams{e.step(job)}))
}

// EnqueueSteps implements [driver.Executor], in one statement.
func (e *Executor[TTx]) EnqueueSteps(ctx context.Context, tx TTx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	answer, err := e.EnqueueBatch(ctx, tx, driver.Batch{Steps: jobs})
	return answer.Steps, err
}

// EnqueueCompensation implements [driver.Executor].
func (e *Executor[TTx]) EnqueueCompensation(ctx context.Context, tx TTx, job driver.CompensationJob) (driver.JobMetadata, error) {
	return only(e.insert(ctx, tx, []river.InsertManyParams{e.compensation(job)}))
}

// EnqueueCron implements [driver.Executor].
func (e *Executor[TTx]) EnqueueCron(ctx context.Context, tx TTx, job driver.CronJob) (driver.JobMetadata, error) {
	return only(e.insert(ctx, tx, []river.InsertManyParams{e.cron(job)}))
}

// EnqueueBatch implements [driver.BatchExecutor], in one statement.
func (e *Executor[TTx]) EnqueueBatch(ctx context.Context, tx TTx, batch driver.Batch) (driver.BatchMetadata, error) {
	params := make([]river.InsertManyParams, 0, len(batch.Steps)+len(batch.Compensations)+len(batch.Crons))
	for _, job := range batch.Steps {
		params = append(params, e.step(job))
	}
	for _, job := range batch.Compensations {
		params = append(params, e.compensation(job))
	}
	for _, job := range batch.Crons {
		params = append(params, e.cron(job))
	}
	all, err := e.insert(ctx, tx, params)
	if err != nil {
		return driver.BatchMetadata{}, err
	}
	steps, undos := len(batch.Steps), len(batch.Compensations)
	return driver.BatchMetadata{Steps: all[:steps:steps], Compensations: all[steps : steps+undos : steps+undos], Crons: all[steps+undos:]}, nil
}

func (e *Executor[TTx]) step(job driver.StepJob) river.InsertManyParams {
	return river.InsertManyParams{
		Args:       StepArgs{e.args(job.Delivery(), job.Schedule)},
		InsertOpts: e.opts(job.Schedule, tag("workflow", job.Workflow), tag("step", job.Step)),
	}
}

func (e *Executor[TTx]) compensation(job driver.CompensationJob) river.InsertManyParams {
	return river.InsertManyParams{
		Args:       CompensationArgs{e.args(job.Delivery(), job.Schedule)},
		InsertOpts: e.opts(job.Schedule, tag("workflow", job.Workflow), tag("step", job.Step)),
	}
}

func (e *Executor[TTx]) cron(job driver.CronJob) river.InsertManyParams {
	opts := e.opts(job.Schedule, tag("workflow", job.Workflow), tag("trigger", job.Trigger))
	opts.Metadata = firstDue{opts.ScheduledAt}.metadata()
	return river.InsertManyParams{Args: CronArgs{e.args(job.Delivery(), job.Schedule)}, InsertOpts: opts}
}

func (e *Executor[TTx]) args(delivery driver.Delivery, schedule driver.Schedule) deliveryArgs {
	return deliveryArgs{Delivery: delivery, timing: timing{now: schedule.Now, dueAt: schedule.DueAt, near: &e.near}}
}

func (e *Executor[TTx]) opts(schedule driver.Schedule, tags ...string) *river.InsertOpts {
	opts := &river.InsertOpts{
		MaxAttempts: maxAttempts,
		Priority:    schedule.Priority,
		Queue:       schedule.Queue,
		ScheduledAt: timing{dueAt: schedule.DueAt}.scheduledAt(),
	}
	for _, t := range tags {
		if t != "" {
			opts.Tags = append(opts.Tags, t)
		}
	}
	return opts
}

// tag makes a River tag of a name, which may be unknown.
func tag(prefix, name string) string {
	if name == "" {
		return ""
	}
	return prefix + "_" + name
}

func (e *Executor[TTx]) insert(ctx context.Context, tx TTx, params []river.InsertManyParams) ([]driver.JobMetadata, error) {
	if len(params) == 0 {
		return nil, nil
	}
	client, err := e.use(ctx)
	if err != nil {
		return nil, err
	}
	results, err := client.InsertManyTx(ctx, tx, params)
	if err != nil {
		if strings.Contains(err.Error(), "river_") { // else hooks of the program may miss tables of its own
			err = namesTables(client, err)
		}
		return nil, insertError(len(params), err)
	}
	// Insert middleware of the program stands between.
	if len(results) != len(params) {
		return nil, fmt.Errorf("insert %d River jobs: %d came back", len(params), len(results))
	}
	all := make([]driver.JobMetadata, len(results))
	for i, result := range results {
		all[i] = driver.JobMetadata{
			JobID:       strconv.FormatInt(result.Job.ID, 10),
			Queue:       result.Job.Queue,
			Worker:      result.Job.Kind,
			ScheduledAt: result.Job.ScheduledAt,
		}
	}
	return all, nil
}

func only(all []driver.JobMetadata, err error) (driver.JobMetadata, error) {
	if err != nil {
		return driver.JobMetadata{}, err
	}
	return all[0], nil
}

// insertError says what to do where River's own words do not: it refuses kinds that are missing from the workers of its client, although
// that client may not be one that works them.
func insertError(n int, err error) error {
	var unknown *river.UnknownJobKindError
	if errors.As(err, &unknown) {
		return fmt.Errorf("insert %d River jobs: %w: call riveradapter.AddWorkers on the client's Workers, or give the client no Workers", n, err)
	}
	return fmt.Errorf("insert %d River jobs: %w", n, err)
}
