package squidmesh

import "context"

// Observer is told what happened, after the commit that made it so. It is called on the path of the work, from many
// goroutines: it must be quick and must not call the runtime. Observations of one run may overtake each other; Entry.Seq gives
// their order. Transactions that the caller commits are not observed.
type Observer interface {
	Observe(ctx context.Context, o Observation)
}

// Observation is one committed transition.
type Observation struct {
	Run   Run // without its payload
	Entry AuditEntry

	// Jobs are what the commit enqueued, as the executor reported it.
	Jobs []Metadata
}

// ObserverFunc is an [Observer] made of a function.
type ObserverFunc func(ctx context.Context, o Observation)

// Observe calls the function.
func (f ObserverFunc) Observe(ctx context.Context, o Observation) { f(ctx, o) }
