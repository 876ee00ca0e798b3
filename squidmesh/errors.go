package squidmesh

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors that callers branch on with errors.Is.
var (
	// ErrNotFound: there is no such run.
	ErrNotFound = errors.New("run not found")
	// ErrUnknownWorkflow: no workflow of that name is registered in this runtime.
	ErrUnknownWorkflow = errors.New("unknown workflow")
	// ErrUnknownTrigger: the workflow has no trigger of that name.
	ErrUnknownTrigger = errors.New("unknown trigger")
	// ErrUnknownShape: the run is pinned to a definition that the database does not hold.
	ErrUnknownShape = errors.New("unknown shape")
	// ErrKeyConflict: the idempotency key belongs to a run with a different payload or trigger.
	ErrKeyConflict = errors.New("idempotency key belongs to a run with another payload")
	// ErrFinished: the run has already ended.
	ErrFinished = errors.New("run has finished")
	// ErrNotFinished: replay takes only runs that have ended.
	ErrNotFinished = errors.New("run has not finished")
	// ErrNotWaiting: no decision of that sort is open.
	ErrNotWaiting = errors.New("no such decision is open")
	// ErrUnsafeReplay: the run has started steps that cannot be taken back. See [UnsafeReplayError].
	ErrUnsafeReplay = errors.New("replay would repeat irreversible steps")
	// ErrInsideTransaction: the context belongs to a FuncTx body; a call that opens a transaction of its own could wait
	// for that body for ever. Use the Tx twin.
	ErrInsideTransaction = errors.New("called inside a FuncTx body: use the Tx twin")
	// ErrTransactionEnded: a FuncTx body committed or rolled back the transaction that it was lent.
	ErrTransactionEnded = errors.New("transaction was ended by the step")
	// ErrTxUnusable: a transaction does not answer any more.
	ErrTxUnusable = errors.New("transaction is unusable")
	// ErrCommitUnknown: the connection broke during COMMIT; the transaction took effect or did not.
	ErrCommitUnknown = errors.New("outcome of commit unknown")
	// ErrDispatch: the executor refused a job. Nothing was written.
	ErrDispatch = errors.New("enqueue failed")
)

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
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("%s run %s (%s): %v", e.Command, e.Run, e.Status, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
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

// StepError is the recorded failure of an attempt.
type StepError struct {
	Step    string    `json:"step"`
	Phase   Phase     `json:"phase,omitempty"` // empty is do
	Attempt int       `json:"attempt"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Causes  []string  `json:"causes,omitempty"` // messages of wrapped errors, outermost first
	Stack   string    `json:"stack,omitempty"`  // of a panic
	At      time.Time `json:"at"`
}

// Error codes of recorded failures that are not the step's own choice.
const (
	CodeError            = "error"             // the function returned an error
	CodePanic            = "panic"             // it panicked
	CodeExited           = "goexit"            // it ended its goroutine
	CodeTimeout          = "timeout"           // its deadline passed
	CodeInvalidInput     = "invalid_input"     // its input did not decode
	CodeInvalidOutput    = "invalid_output"    // its result does not encode, or is too large
	CodeUnknownRoute     = "unknown_route"     // a choice answered with a name that is no route
	CodeWorkerLost       = "worker_lost"       // its workers died too often
	CodeTransactionEnded = "transaction_ended" // it ended the transaction that it was lent
	CodeRejected         = "rejected"          // an approval was rejected
	CodeInterrupted      = "interrupted"       // its run was cancelled or failed meanwhile
)

// Fail marks an error as final: no retry follows, whatever the policy. Fail(nil) is nil.
func Fail(err error) error {
	if err == nil {
		return nil
	}
	return &finalError{err}
}

// RetryAfter marks an error so that the next attempt, if the policy grants one, comes after d instead of the policy's delay.
// RetryAfter(d, nil) is nil; a negative d counts as zero.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{max(d, 0), err}
}

// WithCode gives an error the stable code under which it is recorded, instead of "error".
func WithCode(code string, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code, err}
}

type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

type retryAfterError struct {
	after time.Duration
	err   error
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

type codedError struct {
	code string
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }
