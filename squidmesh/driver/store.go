package driver

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ErrAbandoned says to [Store.Nested] that a function did not return in time and may go on using the transaction that it was lent.
var ErrAbandoned = errors.New("function was abandoned and may still use its transaction")

// Store keeps runs in a database. It is thin: it locks, loads, applies and finds; every rule is the core's. Stores are safe for
// concurrent use. Package drivertest has the suite that each must pass.
type Store[TTx any] interface {
	// InTx runs fn in a READ COMMITTED (or stricter) read-write transaction and commits it if fn returns nil; otherwise
	// it rolls back and returns fn's error as it is. An error of the commit itself is wrapped in [flow.ErrCommitUnknown],
	// unless the database said that it rolled back. It never runs fn twice.
	InTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

	// View runs fn in a read-only transaction with one consistent view, beside any writer.
	View(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

	// Nested runs fn in a savepoint of tx with a handle for user code, and rolls back to it if fn returns an error,
	// which it returns as it is. If tx does not answer afterwards, the error wraps [flow.ErrTxUnusable] besides. If fn ends the
	// handle and returns nil, the error is [flow.ErrTransactionEnded]; where the database allows, nothing was published then.
	// Settings of the session or transaction that fn changed are as before, as far as the store's statements depend on them.
	//
	// An error of fn that wraps [ErrAbandoned] says that something still uses the handle: then, and whenever the store finds it
	// in use after fn, it lets nothing more pass, gives tx up without a word over its connection, and says ErrTxUnusable.
	Nested(ctx context.Context, tx TTx, fn func(ctx context.Context, tx TTx) error) error

	// Lock locks the rows of runs in the order of their ids, without their payloads, and then reads the clock. Runs that do not
	// exist are missing from the answer; with SkipLocked so are those that somebody else holds.
	Lock(ctx context.Context, tx TTx, q LockQuery) (Locked, error)

	// Load reads what reads names of runs that the caller has locked, or of any runs within View, in one round trip.
	Load(ctx context.Context, tx TTx, reads map[flow.RunID]flow.Reads) (map[flow.RunID]Loaded, error)

	// InsertRun inserts the row of a new run. When its id is taken, or its workflow and key, it waits until that row is
	// committed or gone, inserts nothing, and returns the run that has them, with its payload left out.
	InsertRun(ctx context.Context, tx TTx, run flow.Run) (taken *flow.Run, err error)

	// FreeKey takes the key from a run that failed or was cancelled, for another run of its workflow to have. Find goes on to find the
	// run by it. It waits for who has locked the run, and does nothing to one that has no key any more.
	FreeKey(ctx context.Context, tx TTx, id flow.RunID) error

	// Apply writes transitions of different runs: each table in one statement. It inserts new runs that have no key and that
	// InsertRun has not inserted; those with a key must have been.
	Apply(ctx context.Context, tx TTx, ts []flow.Transition) error

	// Find answers listings and inspection within View, without locks.
	Find(ctx context.Context, tx TTx, q RunQuery) ([]flow.Run, error)

	// History reads attempts and audit entries of a run in their order.
	History(ctx context.Context, tx TTx, id flow.RunID) (History, error)

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
	SaveSpecs(ctx context.Context, tx TTx, specs []*flow.Spec, note bool) (known bool, err error)

	// Specs reads those of the shapes that exist.
	Specs(ctx context.Context, tx TTx, shapes []string) (map[string]*flow.Spec, error)

	// Workers does one tick of a worker's life; see [WorkerTick].
	Workers(ctx context.Context, tx TTx, tick WorkerTick) (WorkerReport, error)

	// Triggers reads rows of cron triggers, in the order of their keys or as the query says.
	Triggers(ctx context.Context, tx TTx, q TriggerQuery) ([]flow.TriggerState, error)

	// Fires reads fires of cron triggers.
	Fires(ctx context.Context, tx TTx, q FireQuery) ([]flow.Fire, error)

	// SaveCron writes about triggers and fires, and returns the new fires that were inserted, in their order; the others
	// existed.
	SaveCron(ctx context.Context, tx TTx, change CronChange) (inserted []flow.Fire, err error)

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

// Drainer is a [Store] that may have things to do beside its transactions. [squidmesh.Runtime.Stop] waits for them.
type Drainer interface {
	// Drain has what is being done end soon, and waits for it.
	Drain(ctx context.Context) error
}

// Warner is a [Store] that knows what is not well about its database. The runtime logs it when it starts.
type Warner interface {
	Warnings(ctx context.Context) []string
}

// ConnectionReserver is a [Store] that can keep a connection apart from those that users' code may use up. The tick has one, so that a worker
// whose steps hold every connection keeps its lease.
type ConnectionReserver[TTx any] interface {
	// ReserveConnection touches no database.
	ReserveConnection() ReservedConnection[TTx]
}

// ReservedConnection is a connection of its own, which finds the tables where the store's other connections find them. One goroutine uses it at a
// time, and closes it in the end.
type ReservedConnection[TTx any] interface {
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
	Runs       []flow.RunID
	SkipLocked bool
	// Worker, unless zero, is looked up under the same lock: see Locked.WorkerLost.
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

// RunQuery selects runs. Zero fields select everything; results are newest first by (CreatedAt, ID).
type RunQuery struct {
	IDs      []flow.RunID
	Workflow string
	Statuses []flow.RunStatus
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
	ID        flow.RunID
}

// EntryKey names an audit entry.
type EntryKey struct {
	Run flow.RunID
	Seq int
}

// History is the past of a run.
type History struct {
	Attempts []flow.AttemptRecord
	Audit    []flow.AuditEntry
}
