package squidmesh

import (
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Package flow defines the words below, as rules and stores use them too. They stand here in the order in which one learns them;
// what programs type more rarely, such as the codes of failures and reasons, is written flow.CodeTimeout.

// Words of those who write workflows.
type (
	// Spec is a compiled workflow.
	Spec = flow.Spec
	// Retry is the policy after a failed attempt.
	Retry = flow.Retry
	// Recovery marks the purpose of an OnError route.
	Recovery = flow.Recovery
	// Defaults are values for payload keys that the caller leaves out.
	Defaults = flow.Defaults
	// ApprovalResult is the result of an approval step.
	ApprovalResult = flow.ApprovalResult
	// Missed is the policy for windows that passed while no process was there to fire them.
	Missed = flow.Missed
	// Overlap is the policy for a window whose trigger has an earlier run that has not ended.
	Overlap = flow.Overlap
)

// Exponential allows that many attempts, with pauses of base, 2*base, 4*base and so on, up to max. Each pause is spread by a tenth.
func Exponential(attempts int, base, max time.Duration) Retry {
	return flow.Exponential(attempts, base, max)
}

// Constant allows that many attempts, with a pause of delay between them.
func Constant(attempts int, delay time.Duration) Retry { return flow.Constant(attempts, delay) }

// Complete is the target of a route that ends the run.
const Complete = flow.Complete

// The purposes of an OnError route.
const (
	RecoveryUndo         = flow.RecoveryUndo
	RecoveryCompensation = flow.RecoveryCompensation
)

// The dynamic defaults: the time of the start, and the date in the trigger's time zone.
const (
	DefaultNow   = flow.DefaultNow
	DefaultToday = flow.DefaultToday
)

// The policies for missed windows.
const (
	MissedLatest  = flow.MissedLatest
	MissedSkip    = flow.MissedSkip
	MissedCatchUp = flow.MissedCatchUp
)

// The policies for overlapping windows.
const (
	OverlapAllow    = flow.OverlapAllow
	OverlapSkip     = flow.OverlapSkip
	OverlapQueueOne = flow.OverlapQueueOne
)

// Words of those who start, operate and read runs.
type (
	// Run is the row of a run.
	Run = flow.Run
	// RunID identifies a run.
	RunID = flow.RunID
	// RunStatus says how a run stands.
	RunStatus = flow.RunStatus
	// Decision is what an operator decides, and who does.
	Decision = flow.Decision
	// Explanation says why a run stands where it stands.
	Explanation = flow.Explanation
	// StepError is the recorded failure of an attempt.
	StepError = flow.StepError
	// InputError is a bad argument of a public call.
	InputError = flow.InputError
	// RefusedError is a command that the run's state does not allow.
	RefusedError = flow.RefusedError
)

// The statuses of a run.
const (
	RunPending      = flow.RunPending
	RunRunning      = flow.RunRunning
	RunRetrying     = flow.RunRetrying
	RunPaused       = flow.RunPaused
	RunCancelling   = flow.RunCancelling
	RunCompensating = flow.RunCompensating
	RunCompleted    = flow.RunCompleted
	RunFailed       = flow.RunFailed
	RunCancelled    = flow.RunCancelled
)

// Errors that callers branch on with errors.Is. Package flow says of each what it means; see [CodeOf], too.
var (
	ErrNotFound          = flow.ErrNotFound
	ErrUnknownWorkflow   = flow.ErrUnknownWorkflow
	ErrUnknownTrigger    = flow.ErrUnknownTrigger
	ErrUnknownStep       = flow.ErrUnknownStep
	ErrNoOutput          = flow.ErrNoOutput
	ErrUnknownShape      = flow.ErrUnknownShape
	ErrKeyConflict       = flow.ErrKeyConflict
	ErrFinished          = flow.ErrFinished
	ErrNotFinished       = flow.ErrNotFinished
	ErrNotWaiting        = flow.ErrNotWaiting
	ErrUnsafeReplay      = flow.ErrUnsafeReplay
	ErrInsideTransaction = flow.ErrInsideTransaction
	ErrTransactionEnded  = flow.ErrTransactionEnded
	ErrTxUnusable        = flow.ErrTxUnusable
	ErrCommitUnknown     = flow.ErrCommitUnknown
	ErrDispatch          = flow.ErrDispatch
	ErrNotMigrated       = flow.ErrNotMigrated
	ErrRunsWouldWait     = flow.ErrRunsWouldWait
	ErrStarted           = flow.ErrStarted
	ErrUnreadable        = flow.ErrUnreadable
	ErrSeal              = flow.ErrSeal
)
