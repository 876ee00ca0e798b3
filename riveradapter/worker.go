package riveradapter

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (
	// jobTimeout is finite because River never rescues a job without a timeout, and long because the runtime has deadlines of its
	// own for every step, and does several steps within one job.
	jobTimeout = 24 * time.Hour

	// minSnooze keeps a delivery that comes back from spinning.
	minSnooze = 50 * time.Millisecond

	// River makes jobs that come back within five seconds available at once; later ones wait for its leader.
	firstRetry = time.Second
	retryStep  = 500 * time.Millisecond
	maxRetry   = 4 * time.Second

	// maxError bounds the text of an error that is stored on a job, once per attempt.
	maxError = 2048
)

// Performer does what deliveries ask for. [squidmesh.Runtime] is one.
type Performer interface {
	Perform(ctx context.Context, d driver.Delivery) (flow.Outcome, error)
}

// AddWorkers registers the workers that hand River's jobs of squidmesh's kinds to the runtime. It panics if [AddWorkersSafely]
// would return an error.
func AddWorkers(workers *river.Workers, rt Performer) {
	if err := AddWorkersSafely(workers, rt); err != nil {
		panic(err)
	}
}

// AddWorkersSafely registers the workers that hand River's jobs of squidmesh's kinds to the runtime. It returns an error if one of
// the kinds has a worker already, as after a second call: one bundle of workers serves one runtime.
func AddWorkersSafely(workers *river.Workers, rt Performer) error {
	err := river.AddWorkerSafely(workers, &worker[StepArgs]{rt: rt})
	if err == nil {
		err = river.AddWorkerSafely(workers, &worker[CompensationArgs]{rt: rt})
	}
	if err == nil {
		err = river.AddWorkerSafely(workers, &worker[CronArgs]{rt: rt})
	}
	if err != nil {
		return fmt.Errorf("add squidmesh's workers: %w", err)
	}
	return nil
}

type worker[A jobArgs] struct {
	river.WorkerDefaults[A]
	rt   Performer
	skew atomic.Int64 // of this host's clock, as it was seen last
}

// Work performs a delivery and gives River the runtime's answer. Failures of steps are outcomes, which the runtime has recorded, so
// an error means that the delivery has to come again.
func (w *worker[A]) Work(ctx context.Context, job *river.Job[A]) error {
	try := tryOf(job.JobRow)
	w.skew.Store(int64(try.skew()))
	args := job.Args.unwrap()
	if args.err == nil && args.Delivery.Kind != job.Args.delivers() {
		// Somebody made the job by hand, or changed its kind: what operators see, filter and pause by would not be what it does.
		args.err = &flow.InputError{Field: "delivery.kind", Code: "unknown_kind", Detail: fmt.Sprintf(
			"is %s, jobs of kind %s deliver a %s", args.Delivery.Kind, job.Args.Kind(), job.Args.delivers(),
		)}
	}
	if args.err != nil {
		try.dropped(ctx)
		return river.JobCancel(clean(fmt.Errorf("%s: %w", flow.DeliveryBad, args.err)))
	}
	args.Job, args.Queue, args.SentBack = strconv.FormatInt(job.ID, 10), job.Queue, try.times
	if args.Delivery.Kind == driver.DeliverCron {
		args.DueAt = dueAt(job.JobRow)
	}
	outcome, err := w.rt.Perform(ctx, args.Delivery)
	if err == nil && outcome.Kind != flow.OutcomeDone && outcome.Kind != flow.OutcomeAgain && outcome.Kind != flow.OutcomeDrop {
		err = fmt.Errorf("unknown outcome %q", outcome.Kind)
	}
	switch {
	case err != nil:
		try.comesBack(ctx, retryAfter(job.JobRow), "")
		return clean(err)
	case outcome.Kind == flow.OutcomeAgain:
		return river.JobSnooze(try.comesBack(ctx, max(outcome.After, minSnooze), outcome.Reason))
	case outcome.Kind == flow.OutcomeDrop:
		try.dropped(ctx)
		return river.JobCancel(clean(fmt.Errorf("%s: %s", outcome.Reason, outcome.Detail)))
	default:
		return nil
	}
}

// Timeout overrides the client's, whose default of one minute is meant for other jobs.
func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return jobTimeout }

// NextRetry overrides the client's policy, which backs off by hours after a few errors: the database is away, and will be back.
// River asks it about errors of middleware and hooks too, if they come after the arguments were read.
func (w *worker[A]) NextRetry(job *river.Job[A]) time.Time {
	return time.Now().Add(riverDelay(retryAfter(job.JobRow), time.Duration(w.skew.Load())))
}

// retryAfter is the pause after an error of the runtime. The job's id spreads those that failed together.
func retryAfter(job *rivertype.JobRow) time.Duration {
	return min(firstRetry+time.Duration(len(job.Errors))*retryStep, maxRetry) + time.Duration(job.ID%500)*time.Millisecond
}

// cleanError is an error whose text can be stored: PostgreSQL takes neither NUL nor invalid UTF-8.
type cleanError struct {
	text string
	err  error
}

func clean(err error) error {
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return &cleanError{text, err}
}

func (e *cleanError) Error() string { return e.text }

// Unwrap keeps what River and error handlers look for, such as a cancelled context.
func (e *cleanError) Unwrap() error { return e.err }
