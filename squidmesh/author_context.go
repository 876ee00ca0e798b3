package squidmesh

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Causes with which the context of a running step ends early; see context.Cause.
var (
	// ErrInterrupted: the run was cancelled, or failed elsewhere. What the step returns now is recorded, but leads nowhere.
	ErrInterrupted = errors.New("run was cancelled or has failed")
	// ErrReleased: the process stops or the delivery was taken away. An error returned now counts as nothing; another
	// worker starts the step anew.
	ErrReleased = errors.New("step is released to another worker")
	// ErrLeaseLost: the process could not prove that it is alive. What the step returns now may be refused.
	ErrLeaseLost = errors.New("worker lost its lease")
)

// StepInfo is what a running step can know about itself.
type StepInfo struct {
	RunID    RunID
	Workflow string
	Trigger  string
	Step     string
	Phase    Phase
	Attempt  int
	Job      string    // the id of the job that it runs under, which may serve several steps; empty if the executor does not say
	Deadline time.Time // database time

	// IdempotencyKey is the same for all attempts of this step of this run, and of no other: 36 to 110 printable characters.
	IdempotencyKey string

	// WindowAt and WindowEnd are the period that the cron fire was for which started the run: from its due time to the next one.
	// A late run must go by them and not by the clock. They are zero for other runs; WindowEnd also if no window follows. A replay
	// keeps those of its source, and the next two.
	WindowAt, WindowEnd time.Time
	// ReceivedAt is the database's time when the cron delivery arrived that started the run.
	ReceivedAt time.Time
	// SignalID names what fired, the same for all deliveries of it. It is empty for other runs.
	SignalID string

	failure *StepError
	logger  func() *slog.Logger
}

type (
	stepInfoKey struct{}
	insideTxKey struct{}
)

// Info tells a running step about itself. Outside a step it returns the zero StepInfo and false.
func Info(ctx context.Context) (StepInfo, bool) {
	info, ok := ctx.Value(stepInfoKey{}).(StepInfo)
	return info, ok
}

// IdempotencyKey is [StepInfo.IdempotencyKey] of the running step; empty outside a step.
func IdempotencyKey(ctx context.Context) string {
	info, _ := Info(ctx)
	return info.IdempotencyKey
}

// Failure tells a step that was reached by an OnError route what failed. It returns false if a success led here.
func Failure(ctx context.Context) (StepError, bool) {
	info, _ := Info(ctx)
	if info.failure == nil {
		return StepError{}, false
	}
	return *info.failure, true
}

// Logger is the runtime's logger with run, workflow, step, phase, attempt and job on every line. Outside a step it is slog.Default.
func Logger(ctx context.Context) *slog.Logger {
	if info, ok := Info(ctx); ok {
		return info.logger()
	}
	return slog.Default()
}

// outsideTx refuses contexts of FuncTx bodies.
func outsideTx(ctx context.Context) error {
	if ctx.Value(insideTxKey{}) != nil {
		return ErrInsideTransaction
	}
	return nil
}
