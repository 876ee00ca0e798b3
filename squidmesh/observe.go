package squidmesh

import (
	"context"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Observer is told what happened, after the commit. Many goroutines call it on the path of the work, so it must be quick and must
// not call the runtime. If it panics, the panic is logged and goes no further. Observations of one run may overtake each other;
// Entry.Seq gives their order. The context has the values of the context that the runtime was called with, and does not end.
//
// A Tx method writes in the caller's transaction. Within about a second of the caller's commit, one of the started runtimes with an
// observer observes that, once; it need not be the one that wrote. See [Observation.Joined]. If there is no such runtime within a
// minute, nobody is told. A process that dies between a commit and the call observes nothing of it. Nobody is told either of the
// cron fires of a COMMIT that took effect without an answer; [Runtime.ListTriggers] and the audits of the runs show what they did.
//
// An observer may implement [DeliveryObserver] and [FireObserver] too.
type Observer interface {
	Observe(ctx context.Context, o Observation)
}

// Observation is one committed transition: one audit entry with everything that it caused. It carries no payload, no result and no
// metadata of a decision. Its texts went through [Config.Redact].
type Observation struct {
	// Run is the run's row after the commit, without the payload. Before is its status before the commit; it is empty for a new
	// run.
	Run    Run
	Before RunStatus

	// Entry is the audit entry. Data is what the entry tells besides its columns. Entry.Data and Entry.Output are empty here.
	Entry flow.AuditEntry
	Data  flow.AuditData

	// Joined says that a Tx method of this or another process wrote the transition in a caller's transaction. Then Jobs and Job are
	// empty, and Measures has only how long a decision was open. The context is not that of the call. Entry.At is when it happened.
	Joined bool

	// Jobs are the jobs that the commit enqueued, as the executor reported them, with what each is for.
	Jobs []Dispatched

	// Job is the job under which this process worked. Claims and ends of attempts have one. It is empty if the executor does not
	// say, and for everything else.
	Job string

	Measures Measures
}

// Measures are the durations of an [Observation]. A duration is zero if there is nothing to measure.
type Measures struct {
	// Queued is how long after its due time the delivery was claimed, by the database's clock.
	Queued time.Duration

	// Ran is how long the attempt that ended ran: from its claim to the commit. For a decision that was made or cancelled it is how
	// long it was open. Both go by the database's clock.
	Ran time.Duration

	// Function is how long the step's function took in this process, without any commit.
	Function time.Duration

	// Commit is how long it took to write the transition: from the request to the answer of COMMIT, with the wait for the commit
	// before. For a transactional step it is the whole transaction, with its function.
	Commit time.Duration

	// Delay is how long it is until the next attempt, if an attempt failed and is retried.
	Delay time.Duration
}

// Dispatched is a job that a commit enqueued.
type Dispatched struct {
	driver.JobMetadata
	flow.StepKey
	Attempt int

	// Delay is how long after the commit's decision the job is due. Zero is at once.
	Delay time.Duration
}

// ObserverFunc is an [Observer] made of a function.
type ObserverFunc func(ctx context.Context, o Observation)

// Observe calls the function.
func (f ObserverFunc) Observe(ctx context.Context, o Observation) { f(ctx, o) }

// DeliveryObserver is an [Observer] that also hears of every delivery once it is answered. That includes deliveries without a
// transition: those that came late, twice or early, and those that nobody can execute.
type DeliveryObserver interface {
	ObserveDelivery(ctx context.Context, o DeliveryObservation)
}

// DeliveryObservation is one answered delivery.
type DeliveryObservation struct {
	Delivery driver.Delivery

	// Outcome is the answer. Its Reason says why there was nothing to do, such as "stale" for a duplicate, or why the delivery
	// comes again or was dropped.
	Outcome flow.Outcome

	// Err is why there is no outcome: the infrastructure failed, and the delivery comes again.
	Err error

	// Took is how long the delivery took, with everything that was executed under it.
	Took time.Duration
}

// FireObserver is an [Observer] that also hears what becomes of cron windows, after the commit. It is told of each fire when it is
// written (pending, or skipped because it was missed), and when its delivery is decided (started, queued, skipped or refused). The
// fire's comment went through [Config.Redact].
type FireObserver interface {
	ObserveFire(ctx context.Context, f flow.Fire)
}
