package squidmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/internal/standin"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// errTimeout is the cause of a step's context at its deadline.
var errTimeout = fmt.Errorf("step timed out: %w", context.DeadlineExceeded)

// execution is an attempt at work in this process.
type execution struct {
	claim  *flow.Claim
	step   *flow.StepSpec
	fn     binding
	job    string // of the delivery that it runs under
	redact redactor
	input  json.RawMessage
	limit  int
	ctx    context.Context
	cancel context.CancelCauseFunc
	// timeout bounds the function, from its beginning: a FuncTx body may first have to wait for its transaction.
	timeout  time.Duration
	took     time.Duration // by the function
	runnable map[flow.StepKey]bool
	goOn     func() bool // whether the worker may go on with a successor that is runnable: asked when the function has ended
}

// attempt executes a claimed attempt and commits its end, which may claim the next one. The end of delivery only tells the step
// to stop; work is the context in which the end is recorded.
func (pf *performer[TTx]) attempt(delivery, work context.Context, svc *service, job string, c committed, goOn func() bool) (committed, error) {
	p, err := pf.definitions.pinnedOf(c.Claim.Shape)
	if err != nil {
		return committed{}, err
	}
	x := &execution{
		claim: c.Claim, step: p.spec.Find(c.Claim.Name), fn: pf.registry.functions[c.Claim.Workflow][c.Claim.StepKey],
		job: job, redact: pf.redact, input: c.input, limit: pf.config.MaxOutput, runnable: p.runnable, goOn: goOn,
	}
	defer pf.begin(delivery, svc, x, c.Run)()

	var next committed
	if x.fn.kind == flow.KindFuncTx {
		next, err = pf.attemptTx(work, x)
	} else {
		next, err = pf.committer.commitMember(work, x.member(x.event(pf.execute(x, nil))))
	}
	if err != nil {
		return committed{}, fmt.Errorf("record step %s of run %s: %w", x.claim.Name, x.claim.Run, err)
	}
	return next, nil
}

// begin gives the execution its context: the step's own deadline, the caller's values, and only the cause of the caller's end. It
// returns what to call when the attempt is over.
func (pf *performer[TTx]) begin(parent context.Context, svc *service, x *execution, run Run) (end func()) {
	info := StepInfo{
		RunID: x.claim.Run, Workflow: x.claim.Workflow, Trigger: run.Trigger, Step: x.claim.Name, Phase: x.claim.Phase,
		Attempt: x.claim.Attempt, Job: x.job, Deadline: x.claim.DeadlineAt, WindowAt: run.WindowAt, WindowEnd: run.WindowEnd,
		ReceivedAt: run.ReceivedAt, SignalID: run.SignalID, IdempotencyKey: x.claim.Run.String() + "-" + x.claim.Name,
		failure: x.claim.Cause, logger: sync.OnceValue(func() *slog.Logger { return pf.logger.With(x.about()...) }),
	}
	if x.claim.Phase == flow.PhaseUndo {
		info.IdempotencyKey += "-undo"
	}
	timeout := x.claim.DeadlineAt.Sub(x.claim.Now)
	if x.fn.kind == flow.KindFuncTx && pf.traits.TxTimeout > 0 && timeout == DefaultTimeout {
		timeout = pf.traits.TxTimeout
	}
	ctx := context.WithValue(context.WithoutCancel(parent), stepInfoKey{}, info)
	x.timeout = timeout
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	stopWatch := context.AfterFunc(parent, func() { x.cancel(ErrReleased) })
	pf.live.add(x)
	if cause := svc.left(x.claim.Worker); cause != nil { // while the claim was being committed: who told all that is live did not tell this one
		x.cancel(cause)
	}
	return func() {
		pf.live.remove(x)
		stopWatch()
		x.cancel(nil)
	}
}

// stepResult is how a step's function ended.
type stepResult struct {
	output    json.RawMessage
	route     string
	err       error
	abandoned bool
}

// execute runs the function in a goroutine of its own, so that whatever it does (panic, Goexit, ignore its context) becomes a
// recorded outcome. A function that goes on for AbandonAfter past its end is abandoned.
func (pf *performer[TTx]) execute(x *execution, tx any) stepResult {
	ctx, stop := context.WithTimeoutCause(x.ctx, x.timeout, errTimeout)
	x.ctx = ctx // the end of it says what became of the attempt, also after it
	defer stop()
	began := time.Now()
	defer func() { x.took = time.Since(began) }()
	done := make(chan stepResult, 1)
	running := pf.abandoned.invocation(functionKey{x.claim.Workflow, x.claim.StepKey})
	go func() {
		result := stepResult{err: Fail(WithCode(flow.CodeExited, errors.New("the step's goroutine ended without returning")))}
		defer func() {
			if r := recover(); r != nil {
				result = stepResult{err: &panicError{value: r, stack: debug.Stack()}}
			}
			running.returned()
			done <- result
		}()
		ctx := x.ctx
		if tx != nil {
			ctx = context.WithValue(ctx, insideTxKey{}, true)
		}
		fault.Hit("execute.begin")
		pf.intercepted(ctx, x, tx, &result)
		fault.Hit("execute.end")
	}()
	select {
	case result := <-done:
		return result
	case <-x.ctx.Done():
	}
	timer := time.NewTimer(flow.AbandonAfter)
	defer timer.Stop()
	select {
	case result := <-done:
		return result
	case <-timer.C:
		if !running.abandon() {
			return <-done
		}
		Logger(x.ctx).Error("squidmesh: step ignores the end of its context and was abandoned", "cause", context.Cause(x.ctx))
		return stepResult{err: context.Cause(x.ctx), abandoned: true}
	}
}

// intercepted calls the function, around it the interceptor, and says what became of it in result. What the function did is not the
// interceptor's to hide, nor to lose by a panic or a Goexit of its own afterwards; an error of its own fails the attempt.
func (pf *performer[TTx]) intercepted(ctx context.Context, x *execution, tx any, result *stepResult) {
	if pf.config.Intercept == nil {
		*result = x.call(ctx, tx)
		return
	}
	over := false
	defer func() {
		if !over {
			return // what panics before the function has ended is the attempt's failure
		}
		if r := recover(); r != nil {
			Logger(ctx).Error("squidmesh: Config.Intercept panicked after the step's function, whose result is kept",
				"panic", text.Print(r), "stack", string(debug.Stack()))
		}
	}()
	err := pf.config.Intercept(ctx, func(ctx context.Context) error {
		*result = x.call(ctx, tx)
		over = true
		return x.redact.err(result.err)
	})
	switch {
	case !over:
		*result = stepResult{err: Fail(errors.New("Config.Intercept returned without having called next"))}
	case result.err == nil:
		result.err = readable(err)
	}
}

// call calls the function. Its panic is an error for the interceptor too, which need not know of panics, nor tell what they say.
func (x *execution) call(ctx context.Context, tx any) (result stepResult) {
	defer func() {
		if r := recover(); r != nil {
			result = stepResult{err: &panicError{value: r, stack: debug.Stack()}}
		}
	}()
	if x.fn.kind == flow.KindLog {
		Logger(ctx).Log(ctx, x.step.Policy.Level, x.step.Policy.Message)
		return stepResult{}
	}
	output, route, err := standin.Invoke(ctx, func() ([]byte, string, error) { return x.fn.invoke(ctx, tx, x.input, x.limit) })
	return stepResult{output: output, route: route, err: readable(err)}
}

// member is the end of the attempt on its way into the database.
func (x *execution) member(end flow.Event) *member {
	return &member{id: x.claim.Run, event: x.redact.event(end), job: x.job, took: x.took}
}

// attempted names the attempt in its closing event.
func (x *execution) attempted() flow.Attempted {
	a := flow.Attempted{StepKey: x.claim.StepKey, Attempt: x.claim.Attempt, Worker: x.claim.Worker, Hold: x.claim.Hold}
	if x.goOn() {
		a.Runnable = x.runnable
	}
	return a
}

// event says what the function's end means. An error after the context ended is put down to what ended it, unless it says by itself
// what it is: one marked with Fail stays final, and a code of its own stays.
func (x *execution) event(result stepResult) flow.Event {
	if result.err == nil {
		return flow.Succeeded{Attempted: x.attempted(), Output: result.output, Route: result.route}
	}
	failed := failedWith(x.attempted(), result.err)
	cause := context.Cause(x.ctx)
	switch {
	case (errors.Is(cause, ErrReleased) || errors.Is(cause, ErrLeaseLost)) && !failed.Final:
		return x.released(cause.Error())
	case errors.Is(cause, ErrInterrupted):
		failed.Final = true
		unlessCoded(&failed.Error, flow.CodeInterrupted)
	case errors.Is(cause, errTimeout):
		unlessCoded(&failed.Error, flow.CodeTimeout)
	}
	return failed
}

// released gives the attempt back. Its worker does not go on with anything.
func (x *execution) released(reason string) flow.Released {
	a := x.attempted()
	a.Runnable = nil
	return flow.Released{Attempted: a, Reason: reason}
}
