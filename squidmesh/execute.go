package squidmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/internal/standin"
)

// abandonAfter is how long past its end a step's function may go on before the runtime records the end without it.
const abandonAfter = 5 * time.Second

// errTimeout is the cause of a step's context at its deadline.
var errTimeout = fmt.Errorf("step timed out: %w", context.DeadlineExceeded)

// errStale says that an attempt is not the current one any more, so that what its FuncTx body wrote must not commit.
var errStale = errors.New("attempt is not the current one any more")

// bodyRepeats bounds how often a FuncTx body is run again within its attempt, unless the server's time limits ended it.
const bodyRepeats = 5

// errRepeat rolls back a FuncTx body that is to run again.
var errRepeat = errors.New("the database gave up the step's transaction")

// execution is an attempt at work in this process.
type execution struct {
	claim  *Claim
	step   *StepSpec
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
	runnable map[StepKey]bool
	// undispatched says that an enqueue broke the transaction, so that the tick is to send what follows.
	undispatched bool
	goOn         func() bool // whether the worker may go on with a successor that is runnable: asked when the function has ended
}

// attempt executes a claimed attempt and commits its end, which may claim the next one. The end of delivery only tells the step
// to stop; work is the context in which the end is recorded.
func (rt *Runtime[TTx]) attempt(delivery, work context.Context, svc *service, job string, c committed, goOn func() bool) (committed, error) {
	p, err := rt.pinnedOf(c.Claim.Shape)
	if err != nil {
		return committed{}, err
	}
	x := &execution{
		claim: c.Claim, step: p.spec.step(c.Claim.Name), fn: rt.registry.functions[c.Claim.Workflow][c.Claim.StepKey],
		job: job, redact: rt.redact, input: c.input, limit: rt.config.MaxOutput, runnable: p.runnable, goOn: goOn,
	}
	defer rt.begin(delivery, svc, x, c.Run)()

	var next committed
	if x.fn.kind == KindFuncTx {
		next, err = rt.attemptTx(work, x)
	} else {
		next, err = rt.commitMember(work, x.member(x.event(rt.execute(x, nil))))
	}
	if err != nil {
		return committed{}, fmt.Errorf("record step %s of run %s: %w", x.claim.Name, x.claim.Run, err)
	}
	return next, nil
}

// pinnedOf finds a shape that a claim has just used.
func (rt *Runtime[TTx]) pinnedOf(shape string) (*pinned, error) {
	if p := rt.specs.get(shape); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w %s", ErrUnknownShape, shape)
}

// begin gives the execution its context: the step's own deadline, the caller's values, and only the cause of the caller's end. It
// returns what to call when the attempt is over.
func (rt *Runtime[TTx]) begin(parent context.Context, svc *service, x *execution, run Run) (end func()) {
	info := StepInfo{
		RunID: x.claim.Run, Workflow: x.claim.Workflow, Trigger: run.Trigger, Step: x.claim.Name, Phase: x.claim.Phase,
		Attempt: x.claim.Attempt, Job: x.job, Deadline: x.claim.DeadlineAt, WindowAt: run.WindowAt, WindowEnd: run.WindowEnd,
		ReceivedAt: run.ReceivedAt, SignalID: run.SignalID, IdempotencyKey: x.claim.Run.String() + "-" + x.claim.Name,
		failure: x.claim.Cause, logger: sync.OnceValue(func() *slog.Logger { return rt.logger.With(x.about()...) }),
	}
	if x.claim.Phase == PhaseUndo {
		info.IdempotencyKey += "-undo"
	}
	timeout := x.claim.DeadlineAt.Sub(x.claim.Now)
	if x.fn.kind == KindFuncTx && rt.traits.TxTimeout > 0 && timeout == DefaultTimeout {
		timeout = rt.traits.TxTimeout
	}
	ctx := context.WithValue(context.WithoutCancel(parent), stepInfoKey{}, info)
	x.timeout = timeout
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	stopWatch := context.AfterFunc(parent, func() { x.cancel(ErrReleased) })
	rt.live.add(x)
	if cause := svc.left(x.claim.Worker); cause != nil { // while the claim was being committed: who told all that is live did not tell this one
		x.cancel(cause)
	}
	return func() {
		rt.live.remove(x)
		stopWatch()
		x.cancel(nil)
	}
}

// returned is how a step's function ended.
type returned struct {
	output    json.RawMessage
	route     string
	err       error
	abandoned bool
}

// execute runs the function in a goroutine of its own, so that whatever it does (panic, Goexit, ignore its context) becomes a
// recorded outcome. A function that goes on for abandonAfter past its end is abandoned.
func (rt *Runtime[TTx]) execute(x *execution, tx any) returned {
	ctx, stop := context.WithTimeoutCause(x.ctx, x.timeout, errTimeout)
	x.ctx = ctx // the end of it says what became of the attempt, also after it
	defer stop()
	began := time.Now()
	defer func() { x.took = time.Since(began) }()
	done := make(chan returned, 1)
	running := rt.abandoned.invocation(functionKey{x.claim.Workflow, x.claim.StepKey})
	go func() {
		result := returned{err: Fail(WithCode(CodeExited, errors.New("the step's goroutine ended without returning")))}
		defer func() {
			if r := recover(); r != nil {
				result = returned{err: &panicError{value: r, stack: debug.Stack()}}
			}
			running.returned()
			done <- result
		}()
		ctx := x.ctx
		if tx != nil {
			ctx = context.WithValue(ctx, insideTxKey{}, true)
		}
		fault.Hit("execute.begin")
		rt.intercepted(ctx, x, tx, &result)
		fault.Hit("execute.end")
	}()
	select {
	case result := <-done:
		return result
	case <-x.ctx.Done():
	}
	timer := time.NewTimer(abandonAfter)
	defer timer.Stop()
	select {
	case result := <-done:
		return result
	case <-timer.C:
		if !running.abandon() {
			return <-done
		}
		Logger(x.ctx).Error("squidmesh: step ignores the end of its context and was abandoned", "cause", context.Cause(x.ctx))
		return returned{err: context.Cause(x.ctx), abandoned: true}
	}
}

// intercepted calls the function, around it the interceptor, and says what became of it in result. What the function did is not the
// interceptor's to hide, nor to lose by a panic or a Goexit of its own afterwards; an error of its own fails the attempt.
func (rt *Runtime[TTx]) intercepted(ctx context.Context, x *execution, tx any, result *returned) {
	if rt.config.Intercept == nil {
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
				"panic", printed(r), "stack", string(debug.Stack()))
		}
	}()
	err := rt.config.Intercept(ctx, func(ctx context.Context) error {
		*result = x.call(ctx, tx)
		over = true
		return x.redact.err(result.err)
	})
	switch {
	case !over:
		*result = returned{err: Fail(errors.New("Config.Intercept returned without having called next"))}
	case result.err == nil:
		result.err = readable(err)
	}
}

// call calls the function. Its panic is an error for the interceptor too, which need not know of panics, nor tell what they say.
func (x *execution) call(ctx context.Context, tx any) (result returned) {
	defer func() {
		if r := recover(); r != nil {
			result = returned{err: &panicError{value: r, stack: debug.Stack()}}
		}
	}()
	if x.fn.kind == KindLog {
		Logger(ctx).Log(ctx, x.step.Policy.Level, x.step.Policy.Message)
		return returned{}
	}
	output, route, err := standin.Invoke(ctx, func() ([]byte, string, error) { return x.fn.invoke(ctx, tx, x.input, x.limit) })
	return returned{output: output, route: route, err: readable(err)}
}

// member is the end of the attempt on its way into the database.
func (x *execution) member(end Event) *member {
	return &member{id: x.claim.Run, event: x.redact.event(end), job: x.job, took: x.took}
}

// attempted names the attempt in its closing event.
func (x *execution) attempted() Attempted {
	a := Attempted{StepKey: x.claim.StepKey, Attempt: x.claim.Attempt, Worker: x.claim.Worker, Hold: x.claim.Hold}
	if x.goOn() {
		a.Runnable = x.runnable
	}
	return a
}

// event says what the function's end means. An error after the context ended is put down to what ended it, unless it says by itself
// what it is: one marked with Fail stays final, and a code of its own stays.
func (x *execution) event(result returned) Event {
	if result.err == nil {
		return Succeeded{Attempted: x.attempted(), Output: result.output, Route: result.route}
	}
	failed := failedWith(x.attempted(), result.err)
	cause := context.Cause(x.ctx)
	switch {
	case (errors.Is(cause, ErrReleased) || errors.Is(cause, ErrLeaseLost)) && !failed.Final:
		return x.released(cause.Error())
	case errors.Is(cause, ErrInterrupted):
		failed.Final = true
		unlessCoded(&failed.Error, CodeInterrupted)
	case errors.Is(cause, errTimeout):
		unlessCoded(&failed.Error, CodeTimeout)
	}
	return failed
}

// released gives the attempt back. Its worker does not go on with anything.
func (x *execution) released(reason string) Released {
	a := x.attempted()
	a.Runnable = nil
	return Released{Attempted: a, Reason: reason}
}

// attemptTx executes a FuncTx step: its writes, its checkpoint and its successors' jobs commit together. The body runs under no lock
// of ours; the run is locked after it, so that locks are taken in the order application rows, then runs.
//
// Whatever takes the writes of a body back that returned well has it run again, so each such way has a bound: an executor that broke the
// transaction is not asked again within the attempt; what may pass gives the attempt back, which Decide has wait ever longer and in the end
// counts as a failure; and what does not pass is a failed attempt, counted by the step's Retry.
func (rt *Runtime[TTx]) attemptTx(ctx context.Context, x *execution) (committed, error) {
	started, repeats, dispatch := x.ctx, 0, rt.enqueueOrLater
	for try := 1; ; try++ {
		var (
			c      committed
			w      *writing
			result returned
			called bool
			ran    bool // the body did
			failed bool // of itself
			wrote  bool
			event  Event
			asked  = time.Now()
		)
		tried, watch := rt.watch(ctx)
		err := rt.store.InTx(tried, func(ctx context.Context, tx TTx) error {
			called = true
			x.ctx = started
			began := time.Now()
			bodyErr := rt.store.Nested(ctx, tx, func(_ context.Context, tx TTx) error {
				watch.pause() // the body has the step's time
				result = rt.execute(x, tx)
				watch.resume()
				ran, failed = true, result.err != nil
				if result.abandoned {
					return fmt.Errorf("%w: %w", ErrAbandoned, result.err)
				}
				return result.err
			})
			if result.err == nil && bodyErr != nil {
				result.err = bodyErr // the body returned well, its transaction did not
			}
			x.timeout -= time.Since(began)
			if started.Err() == nil && rt.mayRepeat(bodyErr, repeats, x.timeout) {
				return fmt.Errorf("%w: %w", errRepeat, bodyErr)
			}
			event = x.event(result)
			fault.Hit("functx.after_body")
			if bodyErr != nil && (result.abandoned || errors.Is(bodyErr, ErrTxUnusable) || errors.Is(bodyErr, ErrTransactionEnded)) {
				return bodyErr
			}
			m := x.member(event)
			m.ctx, m.asked = ctx, asked
			var err error
			w, err = rt.write(ctx, tx, []*member{m}, true, dispatch)
			c = m.c
			switch {
			case err != nil:
				return err
			case m.err != nil:
				return m.err
			case c.Empty():
				return errStale
			}
			fault.Hit("functx.before_commit")
			wrote = true
			return nil
		})
		err = watch.end(err)
		if errors.Is(err, ErrCommitUnknown) {
			err = rt.readBack(ctx, c, err, true)
		}
		switch {
		case err == nil:
			fault.Hit("functx.after_commit")
			rt.settle(w)
			return c, nil
		case errors.Is(err, errStale):
			return committed{}, nil
		case ctx.Err() != nil:
			return committed{}, err
		case errors.Is(err, ErrUnreadable) && goesOn(event):
			x.goOn = func() bool { return false } // the body runs again, and whoever can open what the next step needs goes on
			continue
		case errors.Is(err, errRepeat):
			wait := repeatAfter(repeats)
			Logger(started).Info("squidmesh: transaction of step is run again", "error", err, "after", wait)
			repeats++
			x.timeout -= wait
			_ = pause(started, wait) // whose end is the function's to notice
			continue
		case silent(err) && !ran: // on another connection
		case silent(err) && !failed:
			Logger(x.ctx).Warn("squidmesh: transaction of step got no answer, and is given back", "error", err)
			return rt.commitMember(ctx, x.member(x.released(err.Error())))
		case errors.Is(err, ErrTransactionEnded):
			return rt.commitMember(ctx, x.member(Failed{Attempted: x.attempted(), Final: true, Error: describe(CodeTransactionEnded, err)}))
		case called && result.err != nil:
			// The failure could not be recorded beside the body's writes: record it alone, under the same fence.
			return rt.commitMember(ctx, x.member(event))
		case called && errors.Is(err, ErrDispatch) && started.Err() == nil && !x.undispatched:
			Logger(x.ctx).Warn("squidmesh: enqueue broke the transaction of step, which is run again; the job is left to the sweeper", "error", err)
			x.undispatched, dispatch = true, rt.enqueueLater
		case called && (errors.Is(err, errNotCommitted) || errors.Is(err, ErrSeal) || rt.traits.Transient(err)):
			Logger(x.ctx).Warn("squidmesh: transaction of step could not commit, and is given back", "error", err)
			return rt.commitMember(ctx, x.member(x.released(err.Error())))
		case called:
			return rt.commitMember(ctx, x.member(rt.refused(x, err, wrote)))
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return committed{}, err
		}
	}
}

// refused is the failure of an attempt whose body returned well, while the database refused for good what was to be written. At the commit
// that is the body's own doing, as with a deferred constraint; before, it is the runtime's own write.
func (rt *Runtime[TTx]) refused(x *execution, err error, atCommit bool) Failed {
	if !unstorable(rt.traits, err) || atCommit {
		Logger(x.ctx).Error("squidmesh: database refuses the end of step", "error", err)
	}
	switch {
	case atCommit:
		return failedWith(x.attempted(), err)
	case unstorable(rt.traits, err):
		return storable(Succeeded{Attempted: x.attempted()}).(Failed)
	default:
		return failedWith(x.attempted(), WithCode(CodeNotRecorded, fmt.Errorf("what the step did could not be recorded, and was taken back: %w", err)))
	}
}

// mayRepeat reports whether a body, which has been repeated so often, failed only because the database gave up its transaction. One that
// ended at a time limit of the server's is repeated as long as the attempt has time, others a few times. A broken connection may as well be
// another one's than the transaction's, to something that must not hear of the step again.
func (rt *Runtime[TTx]) mayRepeat(err error, repeats int, left time.Duration) bool {
	var (
		connection net.Error
		final      *finalError
		after      *retryAfterError
	)
	switch {
	case err == nil, errors.As(err, &final), errors.As(err, &after), !rt.traits.Transient(err), left <= repeatAfter(repeats):
		return false
	case timedOut(rt.traits, err):
		return true
	case repeats >= bodyRepeats:
		return false
	default:
		return errors.Is(err, ErrTxUnusable) || !errors.As(err, &connection)
	}
}

// repeatAfter is the pause before a body is run again within its attempt: 10 ms doubling to 10 s, spread by half.
func repeatAfter(repeats int) time.Duration {
	d := min(10*time.Millisecond<<min(repeats, 10), 10*time.Second)
	return d/2 + rand.N(d)
}

// liveSet is what executes in this process, by run.
type liveSet struct {
	mu   sync.Mutex
	runs map[RunID]map[*execution]bool
}

func (l *liveSet) add(x *execution) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil {
		l.runs = map[RunID]map[*execution]bool{}
	}
	if l.runs[x.claim.Run] == nil {
		l.runs[x.claim.Run] = map[*execution]bool{}
	}
	l.runs[x.claim.Run][x] = true
}

func (l *liveSet) remove(x *execution) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.runs[x.claim.Run], x)
	if len(l.runs[x.claim.Run]) == 0 {
		delete(l.runs, x.claim.Run)
	}
}

// interrupt tells the run's own steps to stop; undos go on.
func (l *liveSet) interrupt(id RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for x := range l.runs[id] {
		if x.claim.Phase == PhaseDo {
			x.cancel(ErrInterrupted)
		}
	}
}

// blocks are those whose children are at work.
func (l *liveSet) blocks() []BlockKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[BlockKey]bool{}
	for id, executions := range l.runs {
		for x := range executions {
			if x.claim.Phase == PhaseDo && x.step.Block != "" {
				seen[BlockKey{id, x.step.Block}] = true
			}
		}
	}
	return slices.Collect(maps.Keys(seen))
}

// interruptBlock tells the children of a block to stop.
func (l *liveSet) interruptBlock(block BlockKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for x := range l.runs[block.Run] {
		if x.claim.Phase == PhaseDo && x.step.Block == block.Name {
			x.cancel(ErrInterrupted)
		}
	}
}

// cancelAll ends the contexts of everything that executes here.
func (l *liveSet) cancelAll(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, executions := range l.runs {
		for x := range executions {
			x.cancel(cause)
		}
	}
}

// timedOut reports whether an error says that the server ended a statement at a time limit of its own.
func timedOut(t StoreTraits, err error) bool { return t.TimedOut != nil && t.TimedOut(err) }
