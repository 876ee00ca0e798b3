package squidmesh_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

type nothing struct{}

// only is a workflow of one step, whose result, if it has one, is kept under output.
func only(do squidmesh.Action, output string) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "only",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[nothing]())},
		Steps:    []squidmesh.Step{{Name: "act", Do: do, Output: output}},
	}
}

// soon is only with little time for each attempt.
func soon(do squidmesh.Action, output string) squidmesh.Workflow {
	w := only(do, output)
	w.Steps[0].Timeout = 200 * time.Millisecond
	return w
}

type loop struct{ Next *loop }

// rude cannot be encoded, and as an error it cannot be looked at when it is nil.
type rude struct{ err error }

func (*rude) MarshalJSON() ([]byte, error) { panic("not me") }

func (r *rude) Error() string { return r.err.Error() }

func (r *rude) Unwrap() error { return r.err }

// ring contains itself, with which fmt ends the program.
func ring() any {
	inner := map[string]any{}
	ring := []any{1, inner}
	inner["self"] = ring
	return ring
}

// ouroboros wraps itself, so that nobody comes to the end of it.
type ouroboros struct{}

func (*ouroboros) Error() string { return "tail" }

func (o *ouroboros) Unwrap() error { return o }

type angry struct{}

func (angry) Error() string { panic("no text for you") }

// Whatever a step function does, it becomes a recorded outcome, and the worker goes on.
func TestHostileFunctions(t *testing.T) {
	t.Parallel()
	do := func(f func(context.Context) (any, error)) squidmesh.Action {
		return squidmesh.Func(func(ctx context.Context, _ nothing) (any, error) { return f(ctx) })
	}
	circle := &loop{}
	circle.Next = circle
	cases := map[string]struct {
		act  squidmesh.Action
		code string
		says string
	}{
		"panic":               {do(func(context.Context) (any, error) { panic("boom") }), flow.CodePanic, "boom"},
		"runtime panic":       {do(func(context.Context) (any, error) { return []int{}[len(os.Args)], nil }), flow.CodePanic, "index out of range"},
		"panic with a circle": {do(func(context.Context) (any, error) { panic(ring()) }), flow.CodePanic, "panic: [1 map[self:[1 map["},
		"wraps itself":        {do(func(context.Context) (any, error) { return nil, &ouroboros{} }), flow.CodeError, "tail"},
		"goexit":              {do(func(context.Context) (any, error) { runtime.Goexit(); return nil, nil }), flow.CodeExited, "without returning"},
		"error that panics":   {do(func(context.Context) (any, error) { return nil, angry{} }), flow.CodeError, "cannot be had"},
		"NUL and bad UTF-8":   {do(func(context.Context) (any, error) { return nil, errors.New("a\x00b\xff") }), flow.CodeError, `a\x00b`},
		"10 MB error":         {do(func(context.Context) (any, error) { return nil, errors.New(strings.Repeat("x", 10<<20)) }), flow.CodeError, "xxx"},
		"NaN":                 {do(func(context.Context) (any, error) { return math.NaN(), nil }), flow.CodeInvalidOutput, "NaN"},
		"10 MB result":        {do(func(context.Context) (any, error) { return strings.Repeat("x", 10<<20), nil }), flow.CodeInvalidOutput, "exceeds the limit"},
		"cycle":               {do(func(context.Context) (any, error) { return circle, nil }), flow.CodeInvalidOutput, "cycle"},
		"function as result":  {do(func(context.Context) (any, error) { return func() {}, nil }), flow.CodeInvalidOutput, "unsupported type"},
		"result that panics":  {do(func(context.Context) (any, error) { return &rude{}, nil }), flow.CodeInvalidOutput, "panicked: not me"},
		"NUL in result":       {do(func(context.Context) (any, error) { return []string{"a\x00"}, nil }), flow.CodeInvalidOutput, `[0]: \u0000 cannot be stored`},
		"deep result": {do(func(context.Context) (any, error) {
			return json.RawMessage(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), nil
		}), flow.CodeInvalidOutput, "nest deeper than 64"},
		"two keys in result": {do(func(context.Context) (any, error) { return json.RawMessage(`{"a":1,"a":2}`), nil }), flow.CodeInvalidOutput, "a: the key"},
		"no JSON as result":  {do(func(context.Context) (any, error) { return json.RawMessage(`{`), nil }), flow.CodeInvalidOutput, "unexpected end"},
		"nil error type":     {do(func(context.Context) (any, error) { return nil, (*rude)(nil) }), flow.CodeError, "cannot be had"},
		"timeout":            {do(func(ctx context.Context) (any, error) { <-ctx.Done(); return nil, ctx.Err() }), flow.CodeTimeout, "deadline"},
		"reserved result":    {do(func(context.Context) (any, error) { return json.RawMessage(`{"$sealed":{}}`), nil }), flow.CodeInvalidOutput, "reserved"},
		"own context error":  {do(func(context.Context) (any, error) { return nil, context.Canceled }), flow.CodeError, "canceled"},
		"code of its own":    {do(func(context.Context) (any, error) { return nil, squidmesh.WithCode("declined", errors.New("no")) }), "declined", "no"},
		"commits its tx":     {squidmesh.EffectTx(func(_ context.Context, tx *sql.Tx, _ nothing) error { return tx.Commit() }), flow.CodeTransactionEnded, "ended"},
		"rolls its tx back":  {squidmesh.EffectTx(func(_ context.Context, tx *sql.Tx, _ nothing) error { return tx.Rollback() }), flow.CodeTransactionEnded, "ended"},
		"panics in its tx":   {squidmesh.EffectTx(func(context.Context, *sql.Tx, nothing) error { panic("boom") }), flow.CodePanic, "boom"},
		"exits in its tx":    {squidmesh.EffectTx(func(context.Context, *sql.Tx, nothing) error { runtime.Goexit(); return nil }), flow.CodeExited, "without"},
		"bad SQL in its tx": {squidmesh.EffectTx(func(ctx context.Context, tx *sql.Tx, _ nothing) error {
			_, err := tx.ExecContext(ctx, "nonsense")
			return err
		}), flow.CodeError, "syntax"},
		"outlives its tx ctx": {squidmesh.EffectTx(func(ctx context.Context, _ *sql.Tx, _ nothing) error { <-ctx.Done(); return ctx.Err() }), flow.CodeTimeout, "deadline"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output := "result"
			if strings.Contains(name, "its tx") {
				output = ""
			}
			workflow := only
			if c.code == flow.CodeTimeout {
				workflow = soon
			}
			rt := startTest(t, workflow(c.act, output))
			run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
			require.NoError(t, err)
			ended, err := rt.AwaitRun(t.Context(), run.ID)
			require.NoError(t, err)
			require.Equal(t, squidmesh.RunFailed, ended.Status)
			require.Equal(t, c.code, ended.Reason.Code, ended.Reason.Message)
			require.Contains(t, ended.Reason.Message, c.says)
			require.LessOrEqual(t, len(ended.Reason.Message), 8<<10)

			again, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
			require.NoError(t, err)
			_, err = rt.AwaitRun(t.Context(), again.ID)
			require.NoError(t, err, "the worker goes on")
		})
	}
}

// An interceptor that panics, or ends the goroutine, when the function has returned changes nothing of what that did.
func TestIntercept_ThatPanicsKeepsTheResult(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(error){
		"panics":      func(error) { panic("telemetry") },
		"exits":       func(error) { runtime.Goexit() },
		"reads error": func(err error) { _ = err.Error() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, fails := range []error{nil, squidmesh.Fail(squidmesh.WithCode("declined", angry{}))} {
				var calls atomic.Int32
				w := only(squidmesh.Effect(func(context.Context, nothing) error { calls.Add(1); return fails }), "")
				w.Steps[0].Retry = squidmesh.Constant(3, 0)
				rt, stop := startConfig(&squidmesh.Config[*sql.Tx]{
					Workflows: []squidmesh.Workflow{w},
					Intercept: func(ctx context.Context, next func(context.Context) error) error {
						err := next(ctx)
						after(err)
						return err
					},
				})
				t.Cleanup(stop)
				run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
				require.NoError(t, err)
				ended, err := rt.AwaitRun(t.Context(), run.ID)
				require.NoError(t, err)
				require.EqualValues(t, 1, calls.Load())
				switch {
				case fails != nil:
					require.Equal(t, "declined", ended.Reason.Code)
				case name != "reads error": // which reads one that is not there
					require.Equal(t, squidmesh.RunCompleted, ended.Status)
				}
			}
		})
	}
}

func TestRetryAfter_IsCapped(t *testing.T) {
	t.Parallel()
	w := only(squidmesh.Effect(func(context.Context, nothing) error {
		return squidmesh.RetryAfter(math.MaxInt64, errors.New("no"))
	}), "")
	w.Steps[0].Retry = squidmesh.Constant(2, 0)
	rt := startTest(t, w)
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	_, err = rt.AwaitRun(t.Context(), run.ID, squidmesh.RunRetrying)
	require.NoError(t, err)
	ex, err := rt.ExplainRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(flow.MaxRetryDelay), ex.Until, time.Hour)
}

// What a function says of its failure counts after its deadline, too.
func TestFailureAfterTheDeadline_KeepsWhatItSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		code  string
		calls int32
	}{
		"final":      {squidmesh.Fail(errors.New("declined")), flow.CodeTimeout, 1},
		"final code": {squidmesh.Fail(squidmesh.WithCode("card_declined", errors.New("declined"))), "card_declined", 1},
		"code":       {squidmesh.WithCode("slow_bank", errors.New("no answer")), "slow_bank", 2},
		"plain":      {errors.New("no answer"), flow.CodeTimeout, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			w := soon(squidmesh.Effect(func(ctx context.Context, _ nothing) error {
				calls.Add(1)
				<-ctx.Done()
				return c.err
			}), "")
			w.Steps[0].Retry = squidmesh.Constant(2, 0)
			rt := startTest(t, w)
			run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
			require.NoError(t, err)
			ended, err := rt.AwaitRun(t.Context(), run.ID)
			require.NoError(t, err)
			require.Equal(t, c.code, ended.Reason.Code)
			require.Equal(t, c.calls, calls.Load())
		})
	}
}

// A function that ignores its context is abandoned 5 seconds past its deadline; its slot is free again.
func TestHostileFunctionThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	rt := startTest(t, soon(squidmesh.Effect(func(context.Context, nothing) error { <-release; return nil }), ""))
	t.Cleanup(func() { close(release) })
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	ended, err := rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, flow.CodeTimeout, ended.Reason.Code)
}

// Inside a FuncTx body only the Tx twins work: the others could wait for the body for ever.
func TestInsideTransaction(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 10)
	var rt exampleRuntime
	started := make(chan struct{})
	act := squidmesh.EffectTx(func(ctx context.Context, tx *sql.Tx, _ nothing) error {
		<-started
		info, _ := squidmesh.Info(ctx)
		_, err := rt.InspectRun(ctx, info.RunID, nil)
		errs <- err
		_, err = rt.CancelRun(ctx, info.RunID, squidmesh.CancelParams{})
		errs <- err
		_, err = rt.StartRun(ctx, squidmesh.StartParams{Workflow: "other"})
		errs <- err
		_, err = rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "other", Key: "from inside"})
		return err
	})
	other := only(squidmesh.Effect(func(context.Context, nothing) error { return nil }), "")
	other.Name = "other"
	rt = startTest(t, only(act, ""), other)
	close(started)
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	ended, err := rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, ended.Status, "%v", ended.Reason)
	for range 3 {
		require.ErrorIs(t, <-errs, squidmesh.ErrInsideTransaction)
	}
	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{Key: "from inside"})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
	_, err = rt.AwaitRun(t.Context(), page.Runs[0].ID)
	require.NoError(t, err)
}

// Stop gives a running step back: it runs again as a new attempt, and no failure is counted.
func TestStopReleases(t *testing.T) {
	t.Parallel()
	running := make(chan int, 2)
	rt := startTest(t, only(squidmesh.Effect(func(ctx context.Context, _ nothing) error {
		info, _ := squidmesh.Info(ctx)
		running <- info.Attempt
		if info.Attempt == 1 {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), squidmesh.ErrReleased) {
				return squidmesh.Fail(context.Cause(ctx))
			}
			return ctx.Err()
		}
		return nil
	}), ""))
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	require.Equal(t, 1, <-running)
	require.NoError(t, rt.Stop(t.Context()))
	require.NoError(t, rt.Start(t.Context()))
	ended, err := rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, ended.Status)
	require.Equal(t, 2, <-running)
	in, err := rt.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Zero(t, in.Steps[0].Do.Failures)
	require.Zero(t, in.Steps[0].Do.Losses)
	require.Equal(t, flow.AttemptReleased, in.Attempts[0].Outcome)
}

// The same key is the same run; another payload under it is refused; nothing is written twice.
func TestStartWithKey(t *testing.T) {
	t.Parallel()
	w := only(squidmesh.Pause(), "")
	w.Triggers[0].Payload = squidmesh.Payload[Order]()
	rt := startTest(t, w)
	start := func(cents int) (squidmesh.StartResult, error) {
		return rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only", Key: "k", Payload: Order{ID: "1", Cents: cents}})
	}
	first, err := start(1)
	require.NoError(t, err)
	require.False(t, first.Existing)
	second, err := start(1)
	require.NoError(t, err)
	require.True(t, second.Existing)
	require.Equal(t, first.ID, second.ID)
	_, err = start(2)
	require.ErrorIs(t, err, squidmesh.ErrKeyConflict)
	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)

	_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "onli"})
	require.ErrorIs(t, err, squidmesh.ErrUnknownWorkflow)
	require.ErrorContains(t, err, `did you mean "only"?`)
	var bad *squidmesh.PayloadError
	_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only", Payload: json.RawMessage(`{"id":1,"sents":2}`)})
	require.ErrorAs(t, err, &bad)
	require.Len(t, bad.Problems, 3, "%v", err)
}

// An interceptor is told what is recorded, whatever the function's error says, or does when it is asked.
func TestIntercept_IsToldTheDescribedError(t *testing.T) {
	t.Parallel()
	odd := errors.New("a\x00b\xff" + strings.Repeat("x", 10<<20))
	for name, failure := range map[string]error{"odd": odd, "text that panics": angry{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := make(chan error, 1)
			rt, stop := startConfig(&squidmesh.Config[*sql.Tx]{
				Workflows: []squidmesh.Workflow{only(squidmesh.Effect(func(context.Context, nothing) error { return squidmesh.Fail(failure) }), "")},
				Intercept: func(ctx context.Context, next func(context.Context) error) error {
					err := next(ctx)
					told <- err
					return err
				},
			})
			t.Cleanup(stop)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			started, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "only"})
			require.NoError(t, err)
			run, err := rt.AwaitRun(ctx, started.ID)
			require.NoError(t, err)
			require.Equal(t, flow.CodeError, run.Reason.Code)
			heard := <-told
			require.Equal(t, run.Reason.Message, heard.Error())
			require.ErrorIs(t, heard, failure)
		})
	}
}
