package squidmesh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// A running step's context can end early with one of these causes; see context.Cause.
var (
	// ErrInterrupted means that the run was cancelled, or failed elsewhere. What the step returns now is recorded, but leads
	// nowhere.
	ErrInterrupted = errors.New("run was cancelled or has failed")
	// ErrReleased means that the process stops, or that the queue took the delivery away. If the step returns an error now, it
	// counts as nothing, and another worker starts the step anew.
	ErrReleased = errors.New("step is released to another worker")
	// ErrLeaseLost means that the process could not prove that it is alive. What the step returns now may be refused.
	ErrLeaseLost = errors.New("worker lost its lease")
)

// StepInfo is what a running step can know about itself. See [Info].
type StepInfo struct {
	RunID    RunID
	Workflow string
	Trigger  string
	Step     string
	Phase    flow.Phase
	Attempt  int
	Job      string    // the id of the job that it runs under, which may serve several steps; empty if the executor does not say
	Deadline time.Time // database time

	// IdempotencyKey is the same for all attempts of this step in this run. No other step and no other run has it. It has 36 to 110
	// printable characters.
	IdempotencyKey string

	// WindowAt and WindowEnd are the window of the cron fire that started the run: from its due time to the next due time. A run
	// that is late must go by them and not by the clock. Both are zero for other runs; WindowEnd is zero too if no window follows.
	// A replay keeps the values of its source, also of ReceivedAt and SignalID.
	WindowAt, WindowEnd time.Time
	// ReceivedAt is when the cron delivery that started the run arrived, by the database's clock.
	ReceivedAt time.Time
	// SignalID identifies the fire that started the run. All deliveries of the same fire have the same. It is empty for other runs.
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

// IdempotencyKey returns [StepInfo.IdempotencyKey] of the running step. Outside a step it is empty.
func IdempotencyKey(ctx context.Context) string {
	info, _ := Info(ctx)
	return info.IdempotencyKey
}

// Failure tells a step what failed if an OnError route led to it. It returns false if a success led here.
func Failure(ctx context.Context) (StepError, bool) {
	info, _ := Info(ctx)
	if info.failure == nil {
		return StepError{}, false
	}
	return *info.failure, true
}

// Logger returns the runtime's logger. Each line has the run, workflow, step, phase, attempt and job. Outside a step it is
// slog.Default.
func Logger(ctx context.Context) *slog.Logger {
	if info, ok := Info(ctx); ok {
		return info.logger()
	}
	return slog.Default()
}
