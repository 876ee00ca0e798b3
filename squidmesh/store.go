package squidmesh

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// ErrAbandoned says to [Store.Nested] that a function did not return in time and may go on using the transaction that it was lent.
var ErrAbandoned = errors.New("function was abandoned and may still use its transaction")

// Store keeps runs in a database. It is thin: it locks, loads, applies and finds; every rule is the core's. Stores are safe for
// concurrent use. Package squidmeshtest has the suite that each must pass.
type Store[TTx any] interface {
	// InTx runs fn in a READ COMMITTED (or stricter) read-write transaction and commits it if fn returns nil; otherwise
	// it rolls back and returns fn's error as it is. An error of the commit itself is wrapped in [ErrCommitUnknown],
	// unless the database said that it rolled back. It never runs fn twice.
	InTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

	// View runs fn in a read-only transaction with one consistent view, beside any writer.
	View(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

	// Nested runs fn in a savepoint of tx with a handle for user code, and rolls back to it if fn returns an error,
	// which it returns as it is. If tx does not answer afterwards, the error wraps [ErrTxUnusable] besides. If fn ends the
	// handle and returns nil, the error is [ErrTransactionEnded]; where the database allows, nothing was published then.
	// Settings of the session or transaction that fn changed are as before, as far as the store's statements depend on them.
	//
	// An error of fn that wraps [ErrAbandoned] says that something still uses the handle: then, and whenever the store finds it
	// in use after fn, it lets nothing more pass, gives tx up without a word over its connection, and says ErrTxUnusable.
	Nested(ctx context.Context, tx TTx, fn func(ctx context.Context, tx TTx) error) error

	// Lock locks the rows of runs in the order of their ids, without their payloads, and then reads the clock. Runs that do not
	// exist are missing from the answer; with SkipLocked so are those that somebody else holds.
	Lock(ctx context.Context, tx TTx, q LockQuery) (Locked, error)

	// Load reads what reads names of runs that the caller has locked, or of any runs within View, in one round trip.
	Load(ctx context.Context, tx TTx, reads map[RunID]Reads) (map[RunID]Loaded, error)

	// InsertRun inserts the row of a new run. When its id is taken, or its workflow and key, it waits until that row is
	// committed or gone, inserts nothing, and returns the run that has them, with its payload left out.
	InsertRun(ctx context.Context, tx TTx, run Run) (taken *Run, err error)

	// FreeKey takes the key from a run that failed or was cancelled, for another run of its workflow to have. Find goes on to find the
	// run by it. It waits for who has locked the run, and does nothing to one that has no key any more.
	FreeKey(ctx context.Context, tx TTx, id RunID) error

	// Apply writes transitions of different runs: each table in one statement. It inserts new runs that have no key and that
	// InsertRun has not inserted; those with a key must have been.
	Apply(ctx context.Context, tx TTx, ts []Transition) error

	// Find answers listings and inspection within View, without locks.
	Find(ctx context.Context, tx TTx, q RunQuery) ([]Run, error)

	// History reads attempts and audit entries of a run in their order.
	History(ctx context.Context, tx TTx, id RunID) (History, error)

	// Unsealed finds runs that have values to be sealed within View. It opens and seals nothing.
	Unsealed(ctx context.Context, tx TTx, q UnsealedQuery) (UnsealedPage, error)

	// SaveSealed writes values in the place of those that stand there, of runs and triggers that the caller has locked, and nothing else
	// of their rows. What it does not find it leaves out.
	SaveSealed(ctx context.Context, tx TTx, values SealedValues) error

	// TakeUntold deletes the notes that Apply made of audit entries of Untold transitions, up to an entry's time, at most limit, the first
	// by run and number, and returns which entries those are, in any order. It leaves out what another transaction is taking.
	TakeUntold(ctx context.Context, tx TTx, before time.Time, limit int) ([]EntryKey, error)

	// SaveSpecs saves those of the specs whose shapes are new; the first body of a shape stays. It waits for who has saved the same
	// new shape and not committed yet, and for who is deleting it. Nobody waits for it on account of shapes that were there before, with
	// one exception: to note is for short transactions.
	//
	// With note it notes that all of them are in use. That may be left out within an hour of the note before. Without, it keeps
	// Prune from those whose note is older than that, until tx ends.
	//
	// Known says that all of them are saved with a note of the last hour whether or not tx commits. A store that cannot tell leaves
	// it false.
	SaveSpecs(ctx context.Context, tx TTx, specs []*Spec, note bool) (known bool, err error)

	// Specs reads those of the shapes that exist.
	Specs(ctx context.Context, tx TTx, shapes []string) (map[string]*Spec, error)

	// Workers does one tick of a worker's life; see [WorkerTick].
	Workers(ctx context.Context, tx TTx, tick WorkerTick) (WorkerReport, error)

	// Triggers reads rows of cron triggers, in the order of their keys or as the query says.
	Triggers(ctx context.Context, tx TTx, q TriggerQuery) ([]TriggerState, error)

	// Fires reads fires of cron triggers.
	Fires(ctx context.Context, tx TTx, q FireQuery) ([]Fire, error)

	// SaveCron writes about triggers and fires, and returns the new fires that were inserted, in their order; the others
	// existed.
	SaveCron(ctx context.Context, tx TTx, change CronChange) (inserted []Fire, err error)

	// Prune deletes what the query calls too old, oldest first, with all that belongs to it, and counts it. Runs that somebody else
	// holds are left out. Before a fire or a run of a window goes, it raises the PrunedTo of the trigger, whose row it
	// locks.
	Prune(ctx context.Context, tx TTx, q PruneQuery) (Pruned, error)

	// Scope names the store among those whose programs may share a queue, the same for all who use the same tables: their schema, where
	// a database has several. It is a printable line of at most 200 bytes.
	Scope(ctx context.Context, tx TTx) (string, error)

	// Notify sends a notification outside any transaction.
	Notify(ctx context.Context, channel, payload string) error

	// Traits says what is different about this store.
	Traits() StoreTraits
}

// Pipeliner is a [Store] with a cheaper InTx for transactions that no code of users sees. It may hold back what Apply writes until
// the commit, so an error of Apply may come from there, and then nothing was committed. A store that embeds one, and does something of its
// own in InTx, must do it here too.
type Pipeliner[TTx any] interface {
	Pipeline(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error
}

// Drainer is a [Store] that may have things to do beside its transactions. [Runtime.Stop] waits for them.
type Drainer interface {
	// Drain has what is being done end soon, and waits for it.
	Drain(ctx context.Context) error
}

// Dedicator is a [Store] that can keep a connection apart from those that users' code may use up. The tick has one, so that a worker
// whose steps hold every connection keeps its lease.
type Dedicator[TTx any] interface {
	// Dedicate touches no database.
	Dedicate() Dedicated[TTx]
}

// Dedicated is a connection of its own, which finds the tables where the store's other connections find them. One goroutine uses it at a
// time, and closes it in the end.
type Dedicated[TTx any] interface {
	// Open opens the connection, or anew if it is known to have broken; otherwise it does nothing. The caller who gets an error may
	// use InTx of the store instead.
	Open(ctx context.Context) error
	// InTx is as that of [Store]. It opens the connection if need be.
	InTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error
	// Close waits no longer than a moment.
	Close()
}

// StoreTraits are the facts about a store that the runtime must know.
type StoreTraits struct {
	// Dialect is "postgres", "sqlite" or "memory".
	Dialect string

	// Lease is how long a worker may be silent before it can be declared lost.
	Lease time.Duration

	// Exclusive says that one process at a time can have the store open, so any other worker is lost at once.
	Exclusive bool

	// SideBySide is how many of the runtime's commits may be in flight at once before it puts them together. It gains nothing where
	// transactions that write wait for each other, and takes that many connections. Zero means one.
	SideBySide int

	// TxTimeout bounds FuncTx bodies that set no Timeout, where a transaction blocks other writers. Zero means the
	// step's own.
	TxTimeout time.Duration

	// Transient reports whether an error means that the same transaction may succeed when it is run again: a deadlock,
	// a serialization failure, a busy database, a lost connection before commit.
	Transient func(error) bool

	// TxEnded reports whether an error means that the transaction which it came from takes no more statements: it was
	// committed, rolled back, or given up. Nil reports it of none.
	TxEnded func(error) bool

	// TimedOut reports whether a transient error means that the server ended a statement at a time limit of its own, as by
	// lock_timeout. A FuncTx body that returns one is repeated as long as its attempt has time. Nil reports it of none.
	TimedOut func(error) bool

	// Unstorable reports whether an error means that the database does not take what was to be stored, however often it is tried:
	// a character that it cannot represent, a number out of its range, a value over its limits, a constraint. Nil reports it of none.
	Unstorable func(error) bool

	// NotMigrated reports whether an error of the store means that a table or column is missing, so migrations are to be run. It is
	// asked about errors of the store's own statements only, not about those of users or of the executor. Nil reports it of none.
	NotMigrated func(error) bool
}

// LockQuery says what to lock.
type LockQuery struct {
	Runs       []RunID
	SkipLocked bool
	// Worker, unless zero, is looked up under the same lock: see Locked.WorkerLost.
	Worker WorkerID
}

// Locked is what Lock found.
type Locked struct {
	// Now is the database's clock, read after the last lock was granted.
	Now  time.Time
	Runs map[RunID]Run
	// WorkerLost says that the worker asked about was declared lost, or is unknown.
	WorkerLost bool
}

// Loaded is what Load read.
type Loaded struct {
	Steps   map[StepKey]StepState
	Outputs map[string]json.RawMessage
	Payload json.RawMessage
}

// RunQuery selects runs. Zero fields select everything; results are newest first by (CreatedAt, ID).
type RunQuery struct {
	IDs      []RunID
	Workflow string
	Statuses []RunStatus
	Key      string
	// CreatedFrom and CreatedBefore bound the start time: from inclusive, before exclusive.
	CreatedFrom, CreatedBefore time.Time
	// After continues behind a run of the page before.
	After *RunCursor
	// Limit caps the result. Zero means no cap, which only inspection of named ids uses.
	Limit int
	// Payload asks for the payloads too.
	Payload bool
}

// RunCursor is a place in the order of runs.
type RunCursor struct {
	CreatedAt time.Time
	ID        RunID
}

// EntryKey names an audit entry.
type EntryKey struct {
	Run RunID
	Seq int
}

// History is the past of a run.
type History struct {
	Attempts []AttemptRecord
	Audit    []AuditEntry
}

// PruneQuery says what is too old to be kept. A zero time keeps for ever.
type PruneQuery struct {
	// Completed, Failed and Cancelled select runs of that status which ended before.
	Completed, Failed, Cancelled time.Time
	// Fires selects those that started no run and were fired before.
	Fires time.Time
	// Shapes selects specs that were noted as in use before, and that no run has: see SaveSpecs.
	Shapes time.Time
	// Now bounds the PrunedTo of triggers: windows that begin later do not raise it, since that would close all before them.
	Now time.Time
	// Limit caps the runs, and the fires.
	Limit int
	// Count only counts, without the limit, within View.
	Count bool
}

// EndedRuns is one part of a [PruneQuery]: runs of a status that ended before a time, and where to count them.
type EndedRuns struct {
	Status RunStatus
	Before time.Time
	Count  *int
}

// Runs are the parts of the query that select runs, in the order in which they share its limit. They count into pruned.
func (q PruneQuery) Runs(pruned *Pruned) []EndedRuns {
	var parts []EndedRuns
	for _, part := range []EndedRuns{
		{RunCompleted, q.Completed, &pruned.Completed},
		{RunFailed, q.Failed, &pruned.Failed},
		{RunCancelled, q.Cancelled, &pruned.Cancelled},
	} {
		if !part.Before.IsZero() {
			parts = append(parts, part)
		}
	}
	return parts
}

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
	Register  *Worker
	Heartbeat WorkerID
	Resign    WorkerID
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
	Triggers []TriggerKey

	// Roster asks for the workers that are not lost, and for those that are but still hold something, in the order of their ids,
	// and for nothing else. Such a tick writes nothing and works within View.
	Roster bool
	// From goes on with lists of earlier reports, so that neither a long one nor rows that nothing can be done about hide the rest.
	From Places
	// Limit caps each list of the report but Verdicts and Failed, which are no longer than what the worker itself is at work on.
	Limit int
}

// BlockKey names a block of a run.
type BlockKey struct {
	Run  RunID
	Name string
}

// Places say behind which row each list of a report goes on. Zero ones say from its beginning.
type Places struct {
	Orphans                         Hold
	Jobless, Overdue, Expired, Late StepPlace
}

// StepPlace is a place in the order of steps by the time at which they are due, or past their deadline.
type StepPlace struct {
	At  time.Time
	Run RunID
	StepKey
}

// Worker is the row of a process that executes.
type Worker struct {
	ID   WorkerID `json:"id"`
	Name string   `json:"name"`
	// Queues are those that its definitions use. Which of them its process works, the queue's own client knows; that it works them all
	// is for the program to see to.
	Queues    []string `json:"queues,omitzero"`
	Functions []string `json:"functions,omitzero"` // workflow/step
	Shapes    []string `json:"shapes,omitzero"`    // of the definitions that its functions were written for; their specs are saved

	// Kept by the store: when the lease ends, and when the worker was declared lost, zero for never.
	LeaseUntil time.Time `json:"lease_until,omitzero"`
	LostAt     time.Time `json:"lost_at,omitzero"`
}

// WorkerReport is what a tick found.
type WorkerReport struct {
	// Now is the database's clock. A tick that does not look need not say it.
	Now time.Time
	// Registered is the id of the worker that was inserted.
	Registered WorkerID
	// Alive says that the worker has not been declared lost.
	Alive bool
	// Orphans are the holds of lost workers, in the order of their runs.
	Orphans []Hold
	// Verdicts are runs that the worker holds and that have a verdict.
	Verdicts []RunID
	// Failed are those of the tick's Blocks that have failed, in the order of their runs.
	Failed []BlockKey
	// Jobless are due or soon due step rows without a job.
	Jobless []StepState
	// Overdue are scheduled step rows with a job that should have been delivered by now.
	Overdue []StepState
	// Expired are open decisions whose deadline has passed.
	Expired []StepState
	// Late are the running attempts that the tick's Late asks for; Held is what their workers hold of their runs.
	Late []StepState
	Held []Hold
	// TriggersDue says that one of the triggers is due, FiresDue that a fire of theirs is to be looked after.
	TriggersDue, FiresDue bool
	// Untold says that there is something to take with TakeUntold.
	Untold bool
	// Roster answers the tick's Roster.
	Roster []Worker
}
