package flow

import (
	"fmt"
	"strings"
)

// Errors that callers branch on with errors.Is. Each has a stable code; see [squidmesh.CodeOf].
var (
	// ErrNotFound: there is no such run.
	ErrNotFound = newSentinel("not_found", "run not found")
	// ErrUnknownWorkflow: no workflow of that name is registered in this runtime.
	ErrUnknownWorkflow = newSentinel("unknown_workflow", "unknown workflow")
	// ErrUnknownTrigger: the workflow has no trigger of that name.
	ErrUnknownTrigger = newSentinel("unknown_trigger", "unknown trigger")
	// ErrUnknownStep: the definition that the run is pinned to has no step of that name.
	ErrUnknownStep = newSentinel("unknown_step", "unknown step")
	// ErrNoOutput: the step has no result: it has not completed, or its function returns none.
	ErrNoOutput = newSentinel("no_output", "step has no output")
	// ErrUnknownShape: the run is pinned to a definition that the database does not hold.
	ErrUnknownShape = newSentinel("unknown_shape", "unknown shape")
	// ErrKeyConflict: the idempotency key belongs to a run with a different payload or trigger.
	ErrKeyConflict = newSentinel("key_conflict", "idempotency key belongs to a run with another payload")
	// ErrFinished: the run has already ended.
	ErrFinished = newSentinel("finished", "run has finished")
	// ErrNotFinished: replay takes only runs that have ended.
	ErrNotFinished = newSentinel("not_finished", "run has not finished")
	// ErrNotWaiting: no decision of that sort is open.
	ErrNotWaiting = newSentinel("not_waiting", "no such decision is open")
	// ErrUnsafeReplay: the run has started steps that cannot be taken back. See [UnsafeReplayError].
	ErrUnsafeReplay = newSentinel("unsafe_replay", "replay would repeat irreversible steps")
	// ErrInsideTransaction: the context belongs to a FuncTx body; a call that opens a transaction of its own could wait
	// for that body for ever. Use the Tx twin.
	ErrInsideTransaction = newSentinel("inside_transaction", "called inside a FuncTx body: use the Tx twin")
	// ErrTransactionEnded: a FuncTx body committed or rolled back the transaction that it was lent.
	ErrTransactionEnded = newSentinel("transaction_ended", "transaction was ended by the step")
	// ErrTxUnusable: a transaction does not answer any more.
	ErrTxUnusable = newSentinel("tx_unusable", "transaction is unusable")
	// ErrCommitUnknown: the connection broke during COMMIT; the transaction took effect or did not.
	ErrCommitUnknown = newSentinel("commit_unknown", "outcome of commit unknown")
	// ErrDispatch: the executor refused a job. Nothing was written.
	ErrDispatch = newSentinel("dispatch_failed", "enqueue failed")
	// ErrNotMigrated: the database does not have squidmesh's tables, or has those of an older version, or search_path does not lead to
	// them. Nothing was written. The database's own error is wrapped too.
	ErrNotMigrated = newSentinel("not_migrated", "run migrations.UpAllPostgres or UpAllSQLite before the program: "+
		"squidmesh's tables are missing, or older than it, or search_path does not lead to them")
	// ErrRunsWouldWait: unfinished runs need functions that this program does not have, or that do not fit. See [squidmesh.DeployReport].
	ErrRunsWouldWait = newSentinel("runs_would_wait", "runs would wait for functions")
	// ErrStarted: the runtime is started already.
	ErrStarted = newSentinel("started", "runtime is started already")
	// ErrUnreadable: what a run needs was sealed with a key that this process does not have, or was tampered with. A step that
	// needs it is not claimed; its delivery comes again every half minute, with the reason "payload_unreadable", which is that of
	// [squidmesh.Runtime.ExplainRun] too.
	ErrUnreadable = newSentinel("unreadable", "sealed data cannot be opened by this process")
	// ErrSeal: the [squidmesh.Codec] could not seal what was to be written; its own error is wrapped too. Nothing was written. The end of an attempt
	// is tried again until it can be sealed.
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

	// Earlier is the decision that this one comes too late for: the last one of its sort in the run, of its Step if it names one, or the
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

// UnsafeReplayError names the steps that a replay would repeat. It matches ErrUnsafeReplay.
type UnsafeReplayError struct {
	Run   RunID
	Steps []string
}

func (e *UnsafeReplayError) Error() string {
	return fmt.Sprintf("replay run %s: would repeat %s, which cannot be taken back: check by hand, then set AllowIrreversible",
		e.Run, strings.Join(e.Steps, ", "))
}

func (e *UnsafeReplayError) Unwrap() error { return ErrUnsafeReplay }
