package squidmesh

import (
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// The words that every program uses. Package flow defines them, as rules and stores use them too; each is documented there.
type (
	// Spec is a compiled workflow.
	Spec = flow.Spec
	// Kind says what a step does.
	Kind = flow.Kind

	// Run is the row of a run.
	Run = flow.Run
	// RunID identifies a run.
	RunID = flow.RunID
	// RunStatus says how a run stands.
	RunStatus = flow.RunStatus

	// Phase says which function of a step is meant: its do or its undo.
	Phase = flow.Phase
	// StepKey identifies a step of a run in one phase.
	StepKey = flow.StepKey

	// Retry is the policy after a failed attempt.
	Retry = flow.Retry
	// StepError is the recorded failure of an attempt.
	StepError = flow.StepError
	// Recovery marks the purpose of an OnError route.
	Recovery = flow.Recovery

	// Missed is the policy for windows that passed while no process was there to fire them.
	Missed = flow.Missed
	// Overlap is the policy for a window whose trigger has an earlier run that has not ended.
	Overlap = flow.Overlap
	// Defaults are values for payload keys that the caller leaves out.
	Defaults = flow.Defaults
	// DynamicDefault is a default that is computed when a run starts.
	DynamicDefault = flow.DynamicDefault

	// Decision is what an operator decides, and who does.
	Decision = flow.Decision
	// ApprovalResult is the result of an approval step.
	ApprovalResult = flow.ApprovalResult
	// EarlierDecision is the decision because of which a later one was refused.
	EarlierDecision = flow.EarlierDecision
	// Command is something that an operator can do about a run.
	Command = flow.Command

	// Explanation says why a run stands where it stands.
	Explanation = flow.Explanation
	// Reason is one sentence of an explanation, with its code.
	Reason = flow.Reason
	// ReasonCode is the stable code of a reason. Its values stand in package flow.
	ReasonCode = flow.ReasonCode

	// Pruned counts what retention deleted.
	Pruned = driver.Pruned
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

// RunStatuses are all of them.
var RunStatuses = flow.RunStatuses

// The phases of a step.
const (
	PhaseDo   = flow.PhaseDo
	PhaseUndo = flow.PhaseUndo
)

// Complete is the target of a route that ends the run.
const Complete = flow.Complete

// The purposes of an OnError route.
const (
	RecoveryNone         = flow.RecoveryNone
	RecoveryUndo         = flow.RecoveryUndo
	RecoveryCompensation = flow.RecoveryCompensation
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

// The dynamic defaults: the time of the start, and the date in the trigger's time zone.
const (
	DefaultNow   = flow.DefaultNow
	DefaultToday = flow.DefaultToday
)

// MaxRetryDelay is the longest delay before another attempt.
const MaxRetryDelay = flow.MaxRetryDelay

// Exponential allows that many attempts, with pauses of base, 2*base, 4*base and so on, up to max. Each pause is spread by a tenth.
func Exponential(attempts int, base, max time.Duration) Retry {
	return flow.Exponential(attempts, base, max)
}

// Constant allows that many attempts, with a pause of delay between them.
func Constant(attempts int, delay time.Duration) Retry { return flow.Constant(attempts, delay) }

// The codes of recorded failures that squidmesh gives. A step's function gives others by [WithCode].
const (
	CodeError            = flow.CodeError
	CodePanic            = flow.CodePanic
	CodeExited           = flow.CodeExited
	CodeTimeout          = flow.CodeTimeout
	CodeInvalidInput     = flow.CodeInvalidInput
	CodeInvalidOutput    = flow.CodeInvalidOutput
	CodeUnknownRoute     = flow.CodeUnknownRoute
	CodeWorkerLost       = flow.CodeWorkerLost
	CodeTransactionEnded = flow.CodeTransactionEnded
	CodeNotRecorded      = flow.CodeNotRecorded
	CodeGivenBack        = flow.CodeGivenBack
	CodeRejected         = flow.CodeRejected
	CodeDecisionExpired  = flow.CodeDecisionExpired
	CodeInterrupted      = flow.CodeInterrupted
)

type (
	// InputError is a bad argument of a public call.
	InputError = flow.InputError
	// RefusedError is a command that the run's state does not allow.
	RefusedError = flow.RefusedError
	// UnsafeReplayError names the irreversible steps that a replay would repeat.
	UnsafeReplayError = flow.UnsafeReplayError
	// FieldProblem is one thing that is wrong with a payload: see [PayloadError].
	FieldProblem = jsontype.FieldProblem
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
