package squidmesh

import (
	"context"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Observer is told what happened, after the commit that made it so. It is called on the path of the work, from many
// goroutines: it must be quick and must not call the runtime. A panic of it is logged and goes no further. Observations of one
// run may overtake each other; Entry.Seq gives their order. The context has the values of the one that the runtime was called
// with, and no end.
//
// What a Tx method wrote is observed within about a second of the caller's commit, once, by one of the started runtimes with an observer,
// which need not be the one that wrote it: see [Observation.Joined]. If none is there within a minute, nobody is told. A process that dies
// between a commit and the call observes nothing of it.
//
// An observer may implement [DeliveryObserver] and [FireObserver] too.
type Observer interface {
	Observe(ctx context.Context, o Observation)
}

// Observation is one committed transition: one audit entry, with everything that it made happen. It carries no payload, no
// result and no metadata of a decision; texts in it went through [Config.Redact].
type Observation struct {
	// Run is its row as the commit left it, without the payload. Before is its status until then; empty for a new run.
	Run    Run
	Before RunStatus

	// Entry is the audit entry, Data what it tells besides its columns. Entry.Data and Entry.Output are empty here.
	Entry flow.AuditEntry
	Data  flow.AuditData

	// Joined says that the transition was written in a caller's transaction, by a Tx method of this or another process. Jobs, Job and
	// Measures, but for how long a decision was open, are not known then, and the context is not that of the call. Entry.At is when it happened.
	Joined bool

	// Jobs are what the commit enqueued, as the executor reported it, with what each is for.
	Jobs []Dispatched

	// Job is the job under which this process worked: of claims, and of ends of attempts. It is empty if the executor does not
	// say, and for everything else.
	Job string

	Measures Measures
}

// Measures are durations that belong to an [Observation]; zero where there is nothing to measure.
type Measures struct {
	// Queued is how long after its due time a delivery was claimed, by the database's clock.
	Queued time.Duration

	// Ran is how long the attempt ran that ended, or how long the decision was open that was made or cancelled, by the
	// database's clock: from its claim or opening to the commit.
	Ran time.Duration

	// Function is how long the step's function took in this process, without any commit.
	Function time.Duration

	// Commit is how long it took to write the transition, from the request to the answer of COMMIT, with the wait for the commit
	// before. Of a transactional step it is the whole transaction, with its function.
	Commit time.Duration

	// Delay is how long it is until the next attempt is due, of an attempt that failed and is retried.
	Delay time.Duration
}

// Dispatched is a job that a commit enqueued.
type Dispatched struct {
	driver.JobMetadata
	StepKey
	Attempt int

	// Delay is how long after the commit's decision it is due; zero is at once.
	Delay time.Duration
}

// ObserverFunc is an [Observer] made of a function.
type ObserverFunc func(ctx context.Context, o Observation)

// Observe calls the function.
func (f ObserverFunc) Observe(ctx context.Context, o Observation) { f(ctx, o) }

// DeliveryObserver is an [Observer] that also hears of every delivery once it is answered, be there a transition or not: of
// those that came late, twice or early, and of those that nobody can execute.
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

	// Took is how long it took, with everything that was executed under it.
	Took time.Duration
}

// FireObserver is an [Observer] that also hears what becomes of cron windows, after the commit: of each fire when it is
// written (pending, or skipped because it was missed), and when its delivery is decided (started, queued, skipped or refused). A comment
// on it went through [Config.Redact].
type FireObserver interface {
	ObserveFire(ctx context.Context, f flow.Fire)
}
