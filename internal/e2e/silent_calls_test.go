package e2e

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// callee is a runtime whose connections can be made to die, on a database that a working program is at, too.
type callee struct {
	*squidmesh.Runtime[pgx.Tx]
	proxy *wirecut.Proxy
	pool  *pgxpool.Pool
}

// talk has every connection of the pool been used just now, so that nobody asks whether it is alive before using it.
func (c callee) talk(t *testing.T) {
	t.Helper()
	for range c.pool.Config().MaxConns {
		conn, err := c.pool.Acquire(t.Context())
		require.NoError(t, err)
		require.NoError(t, conn.Ping(t.Context()))
		defer conn.Release()
	}
}

// callers is a working program, and what it has made for others to call about.
type callers struct {
	direct    *pgxpool.Pool
	workflows []squidmesh.Workflow
	codec     squidmesh.Codec
	program   program[pgx.Tx]
}

func newCallers(t *testing.T) *callers {
	t.Helper()
	fails := squidmesh.Effect(func(context.Context, struct{}) error { return squidmesh.Fail(errors.New("no")) })
	answer := squidmesh.Func(func(context.Context, struct{}) (struct{ Answer int }, error) { return struct{ Answer int }{42}, nil })
	c := &callers{direct: dbtest.Postgres(t, dbtest.River), codec: ring(t), workflows: []squidmesh.Workflow{
		{
			Name:     "line",
			Triggers: []squidmesh.Trigger{squidmesh.Manual("manual", squidmesh.Contract{}), squidmesh.Cron("yearly", "0 0 1 1 *", "UTC", squidmesh.Contract{})},
			Steps:    []squidmesh.Step{{Name: "one", Do: answer, Output: "answer"}},
		},
		{Name: "far", Triggers: byHand, Steps: []squidmesh.Step{{Name: "one", Do: nothing(), Queue: "nobodys"}}},
		{Name: "pause", Triggers: byHand, Steps: []squidmesh.Step{{Name: "gate", Do: squidmesh.Pause()}}},
		{Name: "approve", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "gate", Do: squidmesh.Approval(), OnError: "no"}, {Name: "no", Do: nothing()},
		}},
		{Name: "undo", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "book", Do: nothing(), Undo: fails, Next: "fail"}, {Name: "fail", Do: fails},
		}},
	}}
	c.program = startProgram(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(c.direct, nil), Workflows: c.workflows, Codec: c.codec,
	}, riverpgxv5.New(c.direct))
	return c
}

// run starts a run and waits until the action can be taken.
func (c *callers) run(t *testing.T, workflow string, action flow.Command) squidmesh.RunID {
	t.Helper()
	run := startNamed(t, c.program, workflow)
	require.Eventually(t, func() bool {
		ex, err := c.program.ExplainRun(t.Context(), run)
		require.NoError(t, err)
		return action == "" || slices.Contains(ex.Commands, action)
	}, time.Minute, 10*time.Millisecond)
	return run
}

func (c *callers) callee(t *testing.T) callee {
	t.Helper()
	proxy, plain := dbtest.Proxied(t, c.direct)
	config := plain.Config()
	pgstore.TunePool(config, nil)
	config.MaxConns = 3
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	require.NoError(t, err)
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: riveradapter.New(client), Workflows: c.workflows, ManualTick: true,
		Codec: c.codec, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return callee{rt, proxy, pool}
}

// silentCall is a public call of the runtime that goes to the database by itself, and what there has to be before.
type silentCall struct {
	workflow string // of a run that it is about
	action   flow.Command
	started  bool
	again    int // how often a caller has to call again, at most
	call     func(ctx context.Context, c callee, run squidmesh.RunID) error
}

func decided() squidmesh.Decision { return squidmesh.Decision{Actor: "ann"} }

var silentCalls = map[string]silentCall{
	"StartRun": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		_, err := c.StartRun(ctx, squidmesh.StartParams{Workflow: "line"})
		return err
	}},
	"ReplayRun": {workflow: "line", action: flow.CommandReplay, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.ReplayRun(ctx, run, squidmesh.ReplayParams{})
		return err
	}},
	"CancelRun": {workflow: "pause", action: flow.CommandUnblock, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.CancelRun(ctx, run, squidmesh.CancelParams{})
		return err
	}},
	"UnblockRun": {workflow: "pause", action: flow.CommandUnblock, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.UnblockRun(ctx, run, decided())
		return err
	}},
	"ApproveRun": {workflow: "approve", action: flow.CommandApprove, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.ApproveRun(ctx, run, decided())
		return err
	}},
	"RejectRun": {workflow: "approve", action: flow.CommandReject, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.RejectRun(ctx, run, decided())
		return err
	}},
	"RetryUndo": {workflow: "undo", action: flow.CommandRetryUndo, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.RetryUndo(ctx, run, decided())
		return err
	}},
	"AcceptUndo": {workflow: "undo", action: flow.CommandAcceptUndo, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.AcceptUndo(ctx, run, decided())
		return err
	}},
	"InspectRun": {workflow: "line", call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.InspectRun(ctx, run, &squidmesh.InspectOptions{History: true})
		return err
	}},
	"ExplainRun": {workflow: "line", call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.ExplainRun(ctx, run)
		return err
	}},
	"Output": {workflow: "line", action: flow.CommandReplay, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		var answer struct{ Answer int }
		return c.Output(ctx, run, "one", &answer)
	}},
	"AwaitRun": {workflow: "line", call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.AwaitRun(ctx, run)
		return err
	}},
	"ListRuns": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		_, err := c.ListRuns(ctx, squidmesh.ListParams{})
		return err
	}},
	"CheckDeploy": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		_, err := c.CheckDeploy(ctx, nil)
		return err
	}},
	"ListTriggers": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		_, err := c.ListTriggers(ctx, squidmesh.ListTriggersParams{})
		return err
	}},
	"FireTrigger": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		_, err := c.FireTrigger(ctx, "line", "yearly", squidmesh.TriggerParams{})
		return err
	}},
	"PauseTrigger": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		return c.PauseTrigger(ctx, "line", "yearly", squidmesh.TriggerParams{})
	}},
	"ResumeTrigger": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		return c.ResumeTrigger(ctx, "line", "yearly", squidmesh.TriggerParams{})
	}},
	"PreviewPrune": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		_, err := c.PreviewPrune(ctx, squidmesh.Retention{Completed: time.Hour})
		return err
	}},
	"PruneRuns": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		_, err := c.PruneRuns(ctx, squidmesh.Retention{Completed: time.Hour})
		return err
	}},
	"SealRuns": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error {
		_, err := c.SealRuns(ctx, squidmesh.SealParams{})
		return err
	}},
	"Start": {call: func(ctx context.Context, c callee, _ squidmesh.RunID) error { return c.Start(ctx) }},
	"Perform": {workflow: "far", started: true, call: func(ctx context.Context, c callee, run squidmesh.RunID) error {
		_, err := c.Perform(ctx, driver.StepJob{RunID: run, Step: "one", Attempt: 1}.Delivery())
		return err
	}},
	"Tick": {started: true, again: 3, call: func(ctx context.Context, c callee, _ squidmesh.RunID) error { return c.Tick(ctx) }},
	"Stop": {started: true, call: func(ctx context.Context, c callee, _ squidmesh.RunID) error { return c.Stop(ctx) }},
}

// Every call that goes to the database by itself goes there on another connection when its own dies in silence.
func TestSilence_HoldsNoCallUp(t *testing.T) {
	t.Parallel()

	runtime, ctx := reflect.TypeFor[*squidmesh.Runtime[pgx.Tx]](), reflect.TypeFor[context.Context]()
	for method := range runtime.Methods() {
		if !strings.HasSuffix(method.Name, "Tx") && method.Type.NumIn() > 1 && method.Type.In(1) == ctx {
			require.Contains(t, slices.Collect(maps.Keys(silentCalls)), method.Name)
		}
	}
	made := newCallers(t)
	for name, tc := range silentCalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			callee := made.callee(t)
			var run squidmesh.RunID
			if tc.workflow != "" {
				run = made.run(t, tc.workflow, tc.action)
			}
			if tc.started {
				require.NoError(t, callee.Start(t.Context()))
			}
			t.Cleanup(func() { require.NoError(t, callee.Stop(context.WithoutCancel(t.Context()))) }) // does nothing where it was not started
			callee.talk(t)
			require.NotZero(t, callee.proxy.Silence(wirecut.Silence{}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			err := tc.call(ctx, callee, run)
			for range tc.again {
				if err != nil {
					err = tc.call(ctx, callee, run)
				}
			}
			t.Logf("answered after %s", time.Since(began).Round(time.Millisecond))
			require.NoError(t, err)
			require.Less(t, time.Since(began), 15*time.Second)
		})
	}
}

// Commands about triggers, and Start, find out what became of a COMMIT that broke: they take effect once.
func TestCommit_OfATriggerThatIsCutTakesEffectOnce(t *testing.T) {
	t.Parallel()

	for name, side := range map[string]wirecut.Cut{"before": wirecut.Before, "after": wirecut.After, "during": wirecut.During} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := newCallers(t)
			callee := made.callee(t)
			by := squidmesh.TriggerParams{Actor: "ann"}
			triggers := func() squidmesh.TriggerInspection {
				list, err := made.program.ListTriggers(t.Context(), squidmesh.ListTriggersParams{})
				require.NoError(t, err)
				require.Len(t, list, 1)
				return list[0]
			}
			callee.proxy.Arm(side)
			require.NoError(t, callee.PauseTrigger(t.Context(), "line", "yearly", by))
			require.True(t, triggers().Paused)
			require.Equal(t, "ann", triggers().Actor)

			callee.proxy.Arm(side)
			fire, err := callee.FireTrigger(t.Context(), "line", "yearly", by)
			require.NoError(t, err)
			require.Equal(t, "ann", fire.Actor)
			require.Eventually(t, func() bool { return triggers().Fires[0].State == flow.FireStarted }, time.Minute, 10*time.Millisecond)
			require.Len(t, triggers().Fires, 1)
			require.Equal(t, fire.Key, triggers().Fires[0].Key)

			callee.proxy.Arm(side)
			require.NoError(t, callee.ResumeTrigger(t.Context(), "line", "yearly", by))
			require.False(t, triggers().Paused)

			require.EqualValues(t, 3, callee.proxy.Cuts())
		})
	}
}

// Whoever waits for a run waits on while the database is away.
func TestAwaitRun_OutlivesAnOutage(t *testing.T) {
	t.Parallel()

	made := newCallers(t)
	callee := made.callee(t)
	run := made.run(t, "pause", flow.CommandUnblock)
	ended := make(chan squidmesh.RunStatus, 1)
	go func() {
		run, err := callee.AwaitRun(t.Context(), run)
		assert.NoError(t, err)
		ended <- run.Status
	}()
	require.Eventually(t, func() bool { return callee.pool.Stat().AcquireCount() > 2 }, time.Minute, time.Millisecond)
	callee.proxy.Away(true)
	_, err := made.program.UnblockRun(t.Context(), run, decided())
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // longer than a single call insists
	defer cancel()
	_, err = callee.AwaitRun(ctx, run)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, ended)

	callee.proxy.Away(false)
	require.Equal(t, squidmesh.RunCompleted, <-ended)
}
