package driver

import (
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// TickPart is a part of a tick.
type TickPart string

// The parts of a tick. The zero value is both.
const (
	// TickLease registers, renews and resigns. It waits for the worker's own row only, and reads nothing else.
	TickLease TickPart = "lease"

	// TickLook declares silent workers lost and reports what needs care. It writes nothing about the worker itself.
	TickLook TickPart = "look"
)

// WorkerTick is what a worker does once a second.
//
// A worker is silent if its lease has run out while another worker could have renewed it. That other worker must have renewed its
// own lease for one whole lease until now, never pausing for more than half of one. So no worker is lost for a time in which the
// database was there for none of them.
type WorkerTick struct {
	// Only restricts the tick to one of its parts. Zero is both.
	Only TickPart

	// Register inserts the worker, and the report has its id. Heartbeat, if not zero, renews that worker's lease, and the report is
	// for that worker. Resign marks a worker as ended, so that nobody waits for its lease.
	Register  *flow.Worker
	Heartbeat flow.WorkerID
	Resign    flow.WorkerID
	Lease     time.Duration

	// LoseOthers declares every other worker lost at once, as an exclusive store may.
	LoseOthers bool
	// DueWithin asks for steps that become due within that time and have no job.
	DueWithin time.Duration
	// Overdue asks for scheduled steps that have a job and are late by more than that. Zero asks for none.
	Overdue time.Duration
	// Late asks for running attempts that are past their deadline by more than that. Zero asks for none.
	Late time.Duration
	// Blocks are the blocks whose children the worker executes at the moment.
	Blocks []BlockKey
	// Triggers are the cron triggers that the worker fires.
	Triggers []flow.TriggerKey

	// ListWorkers asks for the workers that are not lost, and for lost ones that still hold something, in the order of their ids,
	// and for nothing else. Such a tick writes nothing and works within View.
	ListWorkers bool
	// From goes on with the lists of earlier reports. So neither a long list nor rows that nobody can do anything about hide the
	// rest.
	From ListPositions
	// Limit caps each list of the report except Verdicts and Failed. These are no longer than what the worker itself has at work.
	Limit int
}

// BlockKey identifies a block of a run.
type BlockKey struct {
	Run  flow.RunID
	Name string
}

// ListPositions say behind which row each list of a report goes on. A zero position begins at the first row.
type ListPositions struct {
	Orphans                         flow.Hold
	Jobless, Overdue, Expired, Late StepPosition
}

// StepPosition is a place in the order of steps by the time at which they are due, or at which they are past their deadline.
type StepPosition struct {
	At  time.Time
	Run flow.RunID
	flow.StepKey
}

// WorkerReport is what a tick found.
type WorkerReport struct {
	// Now is the database's clock. A tick without TickLook may leave it zero.
	Now time.Time
	// Registered is the id of the worker that was inserted.
	Registered flow.WorkerID
	// Alive says that the worker has not been declared lost.
	Alive bool
	// Orphans are the holds of lost workers, in the order of their runs.
	Orphans []flow.Hold
	// Verdicts are the runs that the worker holds and that have a verdict.
	Verdicts []flow.RunID
	// Failed are the blocks among the tick's Blocks that have failed, in the order of their runs.
	Failed []BlockKey
	// Jobless are due or soon due step rows without a job.
	Jobless []flow.StepState
	// Overdue are scheduled step rows with a job that should have been delivered by now.
	Overdue []flow.StepState
	// Expired are open decisions whose deadline has passed.
	Expired []flow.StepState
	// Late are the running attempts that the tick's Late asks for. Held is what their workers hold of their runs.
	Late []flow.StepState
	Held []flow.Hold
	// TriggersDue says that one of the triggers is due. FiresDue says that one of their fires needs care.
	TriggersDue, FiresDue bool
	// Untold says that TakeUntold would return something.
	Untold bool
	// Workers answers the tick's ListWorkers.
	Workers []flow.Worker
}
