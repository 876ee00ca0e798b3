package flow

import (
	"fmt"
	"strings"
)

// Errors that callers branch on with errors.Is. Each has a stable code; see [squidmesh.CodeOf].
var (
	// ErrNotFound means that there is no such run.
	ErrNotFound = newSentinel("not_found", "run not found")
	// ErrUnknownWorkflow means that this runtime has no workflow of that name.
	ErrUnknownWorkflow = newSentinel("unknown_workflow", "unknown workflow")
	// ErrUnknownTrigger means that the workflow has no trigger of that name.
	ErrUnknownTrigger = newSentinel("unknown_trigger", "unknown trigger")
	// ErrUnknownStep means that the definition that the run is pinned to has no step of that name.
	ErrUnknownStep = newSentinel("unknown_step", "unknown step")
	// ErrNoOutput means that the step has no result. It has not completed, or its function returns none.
	ErrNoOutput = newSentinel("no_output", "step has no output")
	// ErrUnknownShape means that the run is pinned to a definition that the database does not hold.
	ErrUnknownShape = newSentinel("unknown_shape", "unknown shape")
	// ErrKeyConflict means that the idempotency key belongs to a run with another payload or trigger.
	ErrKeyConflict = newSentinel("key_conflict", "idempotency key belongs to a run with another payload")
	// ErrFinished means that the run has already ended.
	ErrFinished = newSentinel("finished", "run has finished")
	// ErrNotFinished means that the run to be replayed has not ended.
	ErrNotFinished = newSentinel("not_finished", "run has not finished")
	// ErrNotWaiting means that no decision of that sort is open.
	ErrNotWaiting = newSentinel("not_waiting", "no such decision is open")
	// ErrUnsafeReplay means that the run has started steps that nobody can take back. See [UnsafeReplayError].
	ErrUnsafeReplay = newSentinel("unsafe_replay", "replay would repeat irreversible steps")
	// ErrInsideTransaction means that the context belongs to a FuncTx body. A call that opens a transaction of its own could wait
	// for that body for ever. Use the Tx twin.
	ErrInsideTransaction = newSentinel("inside_transaction", "called inside a FuncTx body: use the Tx twin")
	// ErrTransactionEnded means that a FuncTx body committed or rolled back the transaction that it was lent.
	ErrTransactionEnded = newSentinel("transaction_ended", "transaction was ended by the step")
	// ErrTxUnusable means that the transaction does not answer any more.
	ErrTxUnusable = newSentinel("tx_unusable", "transaction is unusable")
	// ErrCommitUnknown means that the connection broke during COMMIT. The transaction took effect, or it did not.
	ErrCommitUnknown = newSentinel("commit_unknown", "outcome of commit unknown")
	// ErrDispatch means that the executor refused a job. Nothing was written.
	ErrDispatch = newSentinel("dispatch_failed", "enqueue failed")
	// ErrNotMigrated means that the database does not have squidmesh's tables, or has those of an older version, or that
	// search_path does not lead to them. Nothing was written. It wraps the database's own error too.
	ErrNotMigrated = newSentinel("not_migrated", "run migrations.UpAllPostgres or UpAllSQLite before the program: "+
		"squidmesh's tables are missing, or older than it, or search_path does not lead to them")
	// ErrRunsWouldWait means that unfinished runs need functions that this program does not have, or that do not fit. See
	// [squidmesh.DeployReport].
	ErrRunsWouldWait = newSentinel("runs_would_wait", "runs would wait for functions")
	// ErrStarted means that the runtime is started already.
	ErrStarted = newSentinel("started", "runtime is started already")
	// ErrUnreadable means that a value was sealed with a key that this process does not have, or was tampered with. No worker
	// without the key claims a step that needs the value. The delivery comes again every half minute, with the reason
	// "payload_unreadable". [squidmesh.Runtime.ExplainRun] gives that reason too.
	ErrUnreadable = newSentinel("unreadable", "sealed data cannot be opened by this process")
	// ErrSeal means that the [squidmesh.Codec] could not seal what was to be written. It wraps the codec's own error too. Nothing
	// was written. If an attempt has ended, its end is tried again until it can be sealed.
	ErrSeal = newSentinel("seal_failed", "sealing failed")
)

type sentinel struct{ code, text string }

func newSentinel(code, text string) error { return &sentinel{code, text} }

func (e *sentinel) Error() string { return e.text }

func (e *sentinel) ErrorCode() string { return e.code }

func (*InputError) ErrorCode() string { return "invalid_argument" }

// InputError is a bad argument of a public call. Nothing was written.
type InputError struct {
	Field  string // the argument
	Code   string // stable, such as "required" or "too_long"
	Detail string // what is wrong and what to do
}

func (e *InputError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Detail) }

// RefusedError is a command that the run's state does not allow. It wraps one of the sentinels.
type RefusedError struct {
	Command string
	Run     RunID
	Status  RunStatus
	Detail  string
	Err     error

	// Earlier is the decision that came before this one: the last one of its sort in the run (of its Step if it names one), or the
	// cancel that ended the run. It is nil if there was none, and if it could not be read.
	Earlier *EarlierDecision
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("%s run %s (%s): %v", e.Command, e.Run, e.Status, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Earlier != nil {
		s += "; " + e.Earlier.String()
	}
	return s
}

func (e *RefusedError) Unwrap() error { return e.Err }

// UnsafeReplayError names the irreversible steps that a replay would repeat. It matches ErrUnsafeReplay.
type UnsafeReplayError struct {
	Run   RunID
	Steps []string
}

func (e *UnsafeReplayError) Error() string {
	return fmt.Sprintf("replay run %s: would repeat %s, which cannot be taken back: check by hand, then set AllowIrreversible",
		e.Run, strings.Join(e.Steps, ", "))
}

func (e *UnsafeReplayError) Unwrap() error { return ErrUnsafeReplay }
