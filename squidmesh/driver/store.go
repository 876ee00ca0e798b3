package driver

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ErrAbandoned tells [Store.Nested] that a function did not return in time and may go on using the transaction that it was lent.
var ErrAbandoned = errors.New("function was abandoned and may still use its transaction")

// Store keeps runs in a database. It is thin: it locks, loads, applies and finds. All rules are in package flow. Stores are safe
// for concurrent use. Package drivertest has the suite that each store must pass.
type Store[TTx any] interface {
	// InTx runs fn in a read-write transaction of READ COMMITTED or stricter. It commits if fn returns nil. Otherwise it rolls back
	// and returns fn's error as it is. An error of the commit itself is wrapped in [flow.ErrCommitUnknown], unless the database
	// said that it rolled back. InTx never runs fn twice.
	InTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

	// View runs fn in a read-only transaction with one consistent view. Writers do not wait for it, nor it for them.
	View(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

	// Nested runs fn in a savepoint of tx, with a handle for user code. If fn returns an error, Nested rolls back to the savepoint
	// and returns the error as it is. If tx does not answer afterwards, the error also wraps [flow.ErrTxUnusable]. If fn ends the
	// handle and returns nil, the error is [flow.ErrTransactionEnded]; where the database allows, nothing was published then.
	// Settings of the session or transaction that fn changed are as before, as far as the store's statements depend on them.
	//
	// If fn's error wraps [ErrAbandoned], something still uses the handle. The store may also find that after fn. In both cases it
	// lets nothing more pass, gives tx up without a word over its connection, and returns ErrTxUnusable.
	Nested(ctx context.Context, tx TTx, fn func(ctx context.Context, tx TTx) error) error

	// Lock locks the rows of runs in the order of their ids, without their payloads, and then reads the clock. The answer lacks
	// runs that do not exist. With SkipLocked it also lacks runs that somebody else holds.
	Lock(ctx context.Context, tx TTx, q LockQuery) (Locked, error)

	// Load reads what reads asks for, in one round trip. The caller has locked the runs, or is within View.
	Load(ctx context.Context, tx TTx, reads map[flow.RunID]flow.Reads) (map[flow.RunID]Loaded, error)

	// InsertRun inserts the row of a new run. If its id is taken, or its workflow and key, InsertRun waits until that row is
	// committed or gone. If the row is committed, InsertRun inserts nothing and returns that run without its payload.
	InsertRun(ctx context.Context, tx TTx, run flow.Run) (taken *flow.Run, err error)

	// FreeKey takes the key from a run that failed or was cancelled, so that another run of its workflow can have it. Find still
	// finds the first run by the key. FreeKey waits for whoever has locked the run. It does nothing to a run that has no key any
	// more.
	FreeKey(ctx context.Context, tx TTx, id flow.RunID) error

	// Apply writes transitions of different runs, each table in one statement. It inserts new runs that have no key and that
	// InsertRun has not inserted. A new run with a key must have been inserted before.
	Apply(ctx context.Context, tx TTx, ts []flow.Transition) error

	// Find answers listings and inspection within View, without locks.
	Find(ctx context.Context, tx TTx, q RunQuery) ([]flow.Run, error)

	// History reads attempts and audit entries of a run in their order.
	History(ctx context.Context, tx TTx, id flow.RunID) (History, error)

	// Unsealed finds runs that have values to be sealed, within View. It opens and seals nothing.
	Unsealed(ctx context.Context, tx TTx, q UnsealedQuery) (UnsealedPage, error)

	// SaveSealed replaces stored values of runs and triggers that the caller has locked, and changes nothing else of their rows. It
	// leaves out what it does not find.
	SaveSealed(ctx context.Context, tx TTx, values SealedValues) error

	// TakeUntold deletes the notes that Apply made of audit entries of Untold transitions, and returns which entries those are, in
	// any order. It takes notes of entries up to a time, at most limit, the first by run and number. It leaves out notes that
	// another transaction is taking.
	TakeUntold(ctx context.Context, tx TTx, before time.Time, limit int) ([]EntryKey, error)

	// SaveSpecs saves the specs whose shapes are new. If a shape is there, its first body stays. SaveSpecs waits for a transaction
	// that has saved the same new shape and not committed, and for one that is deleting it. Nobody waits for it because of shapes
	// that were there before, with one exception: note makes others wait, so it is for short transactions.
	//
	// With note it records that all of the shapes are in use. That may be left out within an hour of the last such note. Without
	// note it keeps Prune from shapes whose note is older than that, until tx ends.
	//
	// Known says that all of the shapes are saved with a note of the last hour, whether or not tx commits. A store that cannot tell
	// returns false.
	SaveSpecs(ctx context.Context, tx TTx, specs []*flow.Spec, note bool) (known bool, err error)

	// Specs reads the specs of those shapes that exist.
	Specs(ctx context.Context, tx TTx, shapes []string) (map[string]*flow.Spec, error)

	// Workers does one tick of a worker's life; see [WorkerTick].
	Workers(ctx context.Context, tx TTx, tick WorkerTick) (WorkerReport, error)

	// Triggers reads rows of cron triggers, in the order of their keys or as the query says.
	Triggers(ctx context.Context, tx TTx, q TriggerQuery) ([]flow.TriggerState, error)

	// Fires reads fires of cron triggers.
	Fires(ctx context.Context, tx TTx, q FireQuery) ([]flow.Fire, error)

	// SaveCron writes triggers and fires. It returns the new fires that were inserted, in their order; the others existed.
	SaveCron(ctx context.Context, tx TTx, change CronChange) (inserted []flow.Fire, err error)

	// Prune deletes what is too old for the query, oldest first, with all that belongs to it, and counts it. It leaves out runs
	// that somebody else holds. Before it deletes a fire or a run of a window, it locks the trigger's row and raises its PrunedTo.
	Prune(ctx context.Context, tx TTx, q PruneQuery) (Pruned, error)

	// Scope identifies the store among those whose programs may share a queue. It is the same for all who use the same tables:
	// their schema, if the database has several. It is a printable line of at most 200 bytes.
	Scope(ctx context.Context, tx TTx) (string, error)

	// Notify sends a notification outside any transaction.
	Notify(ctx context.Context, channel, payload string) error

	// Traits says what is different about this store.
	Traits() StoreTraits
}

// Pipeliner is a [Store] with a cheaper InTx for transactions that no user's code sees. It may hold back what Apply writes until
// the commit. Then an error of Apply may come from the commit, and nothing was committed. If a store embeds another one and does
// something of its own in InTx, it must do the same here.
type Pipeliner[TTx any] interface {
	Pipeline(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error
}

// Drainer is a [Store] that may work beside its transactions. [squidmesh.Runtime.Stop] waits for that work.
type Drainer interface {
	// Drain makes that work end soon, and waits for it.
	Drain(ctx context.Context) error
}

// Warner is a [Store] that knows what is wrong with its database. The runtime logs it when it starts.
type Warner interface {
	Warnings(ctx context.Context) []string
}

// ConnectionReserver is a [Store] that can reserve a connection which users' code cannot use up. The tick has one. So a worker
// keeps its lease even if its steps hold every connection of the pool.
type ConnectionReserver[TTx any] interface {
	// ReserveConnection touches no database.
	ReserveConnection() ReservedConnection[TTx]
}

// ReservedConnection is a connection of its own. It finds the tables where the store's other connections find them. One goroutine
// uses it at a time, and closes it in the end.
type ReservedConnection[TTx any] interface {
	// Open opens the connection. If the connection is known to have broken, Open opens another one; otherwise it does nothing.
	// After an error the caller may use InTx of the store instead.
	Open(ctx context.Context) error
	// InTx is like that of [Store]. It opens the connection if need be.
	InTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error
	// Close waits for a moment at most.
	Close()
}

// StoreTraits are the facts about a store that the runtime must know.
type StoreTraits struct {
	// Dialect is "postgres", "sqlite" or "memory".
	Dialect string

	// Lease is how long a worker may be silent before it can be declared lost.
	Lease time.Duration

	// Exclusive says that only one process at a time can have the store open. So any other worker is lost at once.
	Exclusive bool

	// SideBySide is how many of the runtime's commits may be in flight at once before it puts them together. More of them need as
	// many connections, and gain nothing where writing transactions wait for each other. Zero means one.
	SideBySide int

	// TxTimeout bounds FuncTx bodies that set no Timeout, for stores where a transaction blocks other writers. Zero means the
	// step's own.
	TxTimeout time.Duration

	// Transient reports whether the same transaction may succeed if it is run again: after a deadlock, a serialization failure, a
	// busy database, a connection lost before the commit.
	Transient func(error) bool

	// TxEnded reports whether the transaction that an error came from takes no more statements: it was committed, rolled back, or
	// given up. A nil TxEnded reports it of no error.
	TxEnded func(error) bool

	// TimedOut reports whether a transient error means that the server ended a statement at a time limit of its own, such as
	// lock_timeout. A FuncTx body that returns such an error is repeated as long as its attempt has time. A nil TimedOut reports it
	// of no error.
	TimedOut func(error) bool

	// Unstorable reports whether the database will never take what was to be stored: a character that it cannot represent, a number
	// out of its range, a value over its limits, a broken constraint. A nil Unstorable reports it of no error.
	Unstorable func(error) bool

	// NotMigrated reports whether a table or column is missing, so that migrations must be run. It is asked about errors of the
	// store's own statements only, not about those of users or of the executor. A nil NotMigrated reports it of no error.
	NotMigrated func(error) bool
}

// LockQuery says what to lock.
type LockQuery struct {
	Runs       []flow.RunID
	SkipLocked bool
	// Worker, if not zero, is looked up under the same lock. See Locked.WorkerLost.
	Worker flow.WorkerID
}

// Locked is what Lock found.
type Locked struct {
	// Now is the database's clock, read after the last lock was granted.
	Now  time.Time
	Runs map[flow.RunID]flow.Run
	// WorkerLost says that the worker asked about was declared lost, or is unknown.
	WorkerLost bool
}

// Loaded is what Load read.
type Loaded struct {
	Steps   map[flow.StepKey]flow.StepState
	Outputs map[string]json.RawMessage
	Payload json.RawMessage
}

// RunQuery selects runs. A zero field selects all. Results are newest first, by (CreatedAt, ID).
type RunQuery struct {
	IDs      []flow.RunID
	Workflow string
	Statuses []flow.RunStatus
	Key      string
	// CreatedFrom and CreatedBefore bound the start time. From is inclusive, before is exclusive.
	CreatedFrom, CreatedBefore time.Time
	// After is the last run of the page before. The result begins behind it.
	After *RunCursor
	// Limit caps the result. Zero means no cap; only inspection of named ids uses that.
	Limit int
	// Payload asks for the payloads too.
	Payload bool
}

// RunCursor is a place in the order of runs.
type RunCursor struct {
	CreatedAt time.Time
	ID        flow.RunID
}

// EntryKey identifies an audit entry.
type EntryKey struct {
	Run flow.RunID
	Seq int
}

// History is the past of a run.
type History struct {
	Attempts []flow.AttemptRecord
	Audit    []flow.AuditEntry
}
