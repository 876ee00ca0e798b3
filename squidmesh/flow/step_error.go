package flow

import (
	"encoding/json"
	"time"
)

// StepError is the recorded failure of an attempt. Its texts are valid UTF-8 without control characters; those in a function's
// error are written as escapes such as \x00. Texts are cut: message and stack at 8 KiB, ten causes at 819 bytes each.
type StepError struct {
	Step    string   `json:"step"`
	Phase   Phase    `json:"phase,omitempty"` // empty is do
	Attempt int      `json:"attempt"`
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Causes  []string `json:"causes,omitempty"` // messages of wrapped errors, outermost first

	// Details are what [squidmesh.WithDetails] added to the error.
	Details json.RawMessage `json:"details,omitempty"`
	Stack   string          `json:"stack,omitempty"` // of a panic
	At      time.Time       `json:"at"`

	stored *StepError `json:"-"` // as it stands in the database, if that was refused; it goes back as it was
}

// StandFor makes the error stand for a stored one that readers are not shown. Whoever writes this error later writes the stored
// one.
func (e *StepError) StandFor(stored *StepError) { e.stored = stored }

// Stored returns the error that this one stands for. It is nil if this one stands for itself.
func (e *StepError) Stored() *StepError { return e.stored }

// The codes of recorded failures that squidmesh gives. A step's function gives others by [squidmesh.WithCode].
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
	CodeNotRecorded      = "not_recorded"      // the database refused what its end was to write; what it wrote was taken back
	CodeGivenBack        = "given_back"        // its workers gave it back too often
	CodeRejected         = "rejected"          // an approval was rejected
	CodeDecisionExpired  = "decision_expired"  // nobody decided a pause or an approval before its Timeout
	CodeInterrupted      = "interrupted"       // its run was cancelled or failed meanwhile
)
