package flow

import (
	"time"
)

// Outcome is the answer of [squidmesh.Runtime.Perform] to the queue about a delivery.
type Outcome struct {
	Kind OutcomeKind

	// At is when the delivery should come again, by the database's clock. Only for OutcomeAgain.
	At time.Time

	// After is the same as a pause from the decision on, for queues that count so.
	After time.Duration

	// Reason is one of the codes below. Every OutcomeAgain and OutcomeDrop has one. For OutcomeDone it may say why there was
	// nothing to do.
	Reason string

	// Detail says what is wrong with a dropped delivery.
	Detail string
}

// The reasons of outcomes.
const (
	// Of Done. That of a cron window which was decided before is OutcomeFire followed by its [FireState].
	DeliveryStale      = "stale" // its attempt is over
	DeliveryHeld       = "held"  // another worker executes this attempt
	DeliveryFirePrefix = "fire_"

	DeliveryOtherQueue = "other_queue" // its step was sent through another queue, by another job

	// Of Again, besides [ReasonFunctionUnknown] and [ReasonFunctionIncompatible].
	DeliveryEarly             = "early"              // its due time has not come
	DeliveryNotStarted        = "not_started"        // this runtime is not started
	DeliveryWorkerLost        = "worker_lost"        // this process stops, or was declared lost and registers anew
	DeliveryDefinitionUnknown = "definition_unknown" // the definition is not there, as during a deploy
	DeliveryFunctionStuck     = "function_stuck"     // too many calls of it go on in this process after their ends: see [squidmesh.Config.MaxAbandoned]
	DeliveryPayloadUnreadable = "payload_unreadable" // what it needs is sealed, and this process lacks the key: see [ErrUnreadable]
	DeliveryForeign           = "foreign"            // it belongs to another store, whose program works the same queue: see [driver.Delivery.Scope]

	// Of Drop.
	DeliveryBad          = "bad_delivery"  // it is none
	DeliveryUnknownRun   = "unknown_run"   // there is no such run
	DeliveryRefused      = "refused"       // it would start a run, and that is refused
	DeliveryWindowAhead  = "window_ahead"  // its cron window begins more than a minute after the database's clock
	DeliveryWindowPruned = "window_pruned" // what was known of its cron window has been deleted
)

// OutcomeKind is one of three answers.
type OutcomeKind string

const (
	// OutcomeDone means that the delivery is used up: it is finished, stale, a duplicate, or held by a living worker.
	OutcomeDone OutcomeKind = "done"
	// OutcomeAgain means that nothing was claimed. Deliver it once more at the stated time.
	OutcomeAgain OutcomeKind = "again"
	// OutcomeDrop means that the delivery can never succeed. Discard it and record the reason.
	OutcomeDrop OutcomeKind = "drop"
)

// KeepApart is the advice to whoever has deliveries of several stores in one queue.
const KeepApart = "give each store a queue of its own (Config.Queue), or a River schema of its own"
