package driver

import (
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// TickPart is a part of a tick.
type TickPart string

// The parts of a tick. The zero value is both.
const (
	// TickLease registers, renews and resigns. It waits for nothing but the worker's own row, and reads nothing else.
	TickLease TickPart = "lease"

	// TickLook declares silent workers lost and reports what needs care. It writes nothing of the worker itself.
	TickLook TickPart = "look"
)

// WorkerTick is what one worker does once a second.
//
// A worker is silent when its lease has run out while another one could have renewed it: one that has renewed its own for a whole lease
// until now, never pausing for more than half of one. So nobody is lost for a time in which the database was there for none of them.
type WorkerTick struct {
	// Only restricts the tick to one of its parts.
	Only TickPart

	// Register inserts the worker and returns its id; Heartbeat, if not zero, renews that worker's lease, and is the worker for which
	// the report looks; Resign marks it as ended, so that nobody waits for its lease.
	Register  *flow.Worker
	Heartbeat flow.WorkerID
	Resign    flow.WorkerID
	Lease     time.Duration

	// LoseOthers declares every other worker lost at once, as an exclusive store may.
	LoseOthers bool
	// DueWithin asks for the steps that become due within that time and have no job.
	DueWithin time.Duration
	// Overdue asks for the scheduled steps that have a job and are later than that. Zero asks for none.
	Overdue time.Duration
	// Late asks for the running attempts that are later than that past their deadline. Zero asks for none.
	Late time.Duration
	// Blocks are those whose children the worker executes at the moment.
	Blocks []BlockKey
	// Triggers are the cron triggers that the worker fires.
	Triggers []flow.TriggerKey

	// ListWorkers asks for the workers that are not lost, and for those that are but still hold something, in the order of their ids,
	// and for nothing else. Such a tick writes nothing and works within View.
	ListWorkers bool
	// From goes on with lists of earlier reports, so that neither a long one nor rows that nothing can be done about hide the rest.
	From ListPositions
	// Limit caps each list of the report but Verdicts and Failed, which are no longer than what the worker itself is at work on.
	Limit int
}

// BlockKey names a block of a run.
type BlockKey struct {
	Run  flow.RunID
	Name string
}

// ListPositions say behind which row each list of a report goes on. Zero ones say from its beginning.
type ListPositions struct {
	Orphans                         flow.Hold
	Jobless, Overdue, Expired, Late StepPosition
}

// StepPosition is a place in the order of steps by the time at which they are due, or past their deadline.
type StepPosition struct {
	At  time.Time
	Run flow.RunID
	flow.StepKey
}

// WorkerReport is what a tick found.
type WorkerReport struct {
	// Now is the database's clock. A tick that does not look need not say it.
	Now time.Time
	// Registered is the id of the worker that was inserted.
	Registered flow.WorkerID
	// Alive says that the worker has not been declared lost.
	Alive bool
	// Orphans are the holds of lost workers, in the order of their runs.
	Orphans []flow.Hold
	// Verdicts are runs that the worker holds and that have a verdict.
	Verdicts []flow.RunID
	// Failed are those of the tick's Blocks that have failed, in the order of their runs.
	Failed []BlockKey
	// Jobless are due or soon due step rows without a job.
	Jobless []flow.StepState
	// Overdue are scheduled step rows with a job that should have been delivered by now.
	Overdue []flow.StepState
	// Expired are open decisions whose deadline has passed.
	Expired []flow.StepState
	// Late are the running attempts that the tick's Late asks for; Held is what their workers hold of their runs.
	Late []flow.StepState
	Held []flow.Hold
	// TriggersDue says that one of the triggers is due, FiresDue that a fire of theirs is to be looked after.
	TriggersDue, FiresDue bool
	// Untold says that there is something to take with TakeUntold.
	Untold bool
	// Workers answers the tick's Roster.
	Workers []flow.Worker
}
