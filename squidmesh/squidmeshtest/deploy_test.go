package squidmeshtest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// versions runs one version of a program after the other on the same store.
func versions(t testing.TB) func(workflows ...squidmesh.Workflow) *squidmeshtest.Kit[*memstore.Tx] {
	var store *memstore.Store
	return func(workflows ...squidmesh.Workflow) *squidmeshtest.Kit[*memstore.Tx] {
		return squidmeshtest.NewOn(t, squidmeshtest.Options[*memstore.Tx]{
			Config: squidmesh.Config[*memstore.Tx]{Workflows: workflows},
			Open: func(clock func(time.Time) time.Time) driver.Store[*memstore.Tx] {
				if store == nil {
					store = memstore.New(&memstore.Options{Clock: clock})
				}
				return store
			},
		})
	}
}

// A new version of the program is held against the runs of the old one: it pays in a currency that old runs do not know.
func ExampleRequireDeployable() {
	version := versions(t)
	old := version(invoice(squidmesh.Effect((&ledger{}).pay)))
	old.Start("invoice", nil)
	old.RunUntilIdle()

	type amount struct {
		Currency string `json:"currency"`
	}
	changed := invoice(squidmesh.Effect(func(context.Context, amount) error { return nil }))
	changed.Triggers[0] = squidmesh.Manual("received", squidmesh.Payload[amount]())
	report, err := version(changed).Runtime().CheckDeploy(context.Background(), nil)
	fmt.Println(err, report.ExitCode())
	for _, g := range report.Groups {
		fmt.Println(g.Workflow, g.Code, g.Count, g.Lacks)
	}

	described := invoice(squidmesh.Effect((&ledger{}).pay))
	described.Steps[0].Next = "pay" // no more waiting for a month
	described.Steps = append(described.Steps[:1], described.Steps[2])
	report = squidmeshtest.RequireDeployable(t, version(described).Runtime(), nil)
	fmt.Println(report.Groups[0].Code, report.Err(), report.ExitCode())

	// Output:
	// <nil> 1
	// invoice may_wait 1 [pay does not fit: of its input, currency is missing]
	// finishes_on_pinned_shape <nil> 0
}

// recorder is a test that notes why it failed.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Fatalf(format string, args ...any) { r.failure = fmt.Sprintf(format, args...) }

func TestRequireDeployable_SaysWhichRunsWouldWait(t *testing.T) {
	t.Parallel()
	manual := []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Contract{})}
	nothing := squidmesh.Effect(func(context.Context, struct{}) error { return nil })
	before := squidmesh.Workflow{Name: "order", Triggers: manual, Steps: []squidmesh.Step{
		{Name: "reserve", Do: nothing, Undo: nothing, Next: "hold"}, {Name: "hold", Do: squidmesh.Pause(), Next: "ship"}, {Name: "ship", Do: nothing},
	}}
	after := squidmesh.Workflow{Name: "order", Triggers: manual, Steps: []squidmesh.Step{
		{Name: "reserve", Do: nothing, Next: "hold"}, {Name: "hold", Do: squidmesh.Pause(), Next: "send"}, {Name: "send", Do: nothing},
	}}
	other := squidmesh.Workflow{Name: "other", Triggers: manual, Steps: []squidmesh.Step{{Name: "hold", Do: squidmesh.Pause()}}}

	version := versions(t)
	kit := version(before, other)
	waiting, ended := kit.Start("order", nil), kit.Start("order", nil)
	kit.Start("other", nil)
	kit.RunUntilIdle()
	ended.Unblock(flow.Decision{Actor: "ana"})
	kit.RunUntilIdle()
	require.Equal(t, flow.RunCompleted, ended.Status())
	require.Equal(t, 2, squidmeshtest.RequireDeployable(t, kit.Runtime(), nil).Counts[flow.ProspectContinues])

	kit = version(after, other)
	kit.Start("order", nil)
	kit.RunUntilIdle()
	r := &recorder{TB: t}
	report := squidmeshtest.RequireDeployable(r, kit.Runtime(), nil)
	require.Contains(t, r.failure, "runs would wait for functions:\norder ")
	require.Contains(t, r.failure, ": 1 will_wait\n  the undo of reserve is unknown\n  ship is unknown\n  run "+waiting.ID.String()+" (paused)")
	require.NotContains(t, r.failure, "other")
	require.ErrorIs(t, report.Err(), flow.ErrRunsWouldWait)
	require.Equal(t, 1, report.ExitCode())
	require.Contains(t, report.String(), "3 unfinished runs: 2 continues, 0 finishes_on_pinned_shape, 0 may_wait, 1 will_wait\norder ")

	only := squidmeshtest.RequireDeployable(t, kit.Runtime(), &squidmesh.DeployOptions{Workflows: []string{"other", "third", "other"}})
	require.Len(t, only.Groups, 1)
	require.Equal(t, 1, only.Groups[0].Count, "each run counts once")
	both, err := kit.Runtime().CheckDeploy(t.Context(), &squidmesh.DeployOptions{Workflows: []string{"other", "order"}})
	require.NoError(t, err)
	require.Equal(t, report, both)
	_, err = kit.Runtime().CheckDeploy(t.Context(), &squidmesh.DeployOptions{Named: -1})
	require.Equal(t, "invalid_argument", squidmesh.CodeOf(err))

	// What was said comes true.
	_, err = kit.Runtime().UnblockRun(t.Context(), waiting.ID, flow.Decision{Actor: "ana"})
	require.NoError(t, err)
	outcome, err := kit.Runtime().Perform(t.Context(), driver.StepJob{RunID: waiting.ID, Step: "ship", Attempt: 1}.Delivery())
	require.NoError(t, err)
	require.Equal(t, "function_unknown", outcome.Reason)
}

// More runs than are read at once: each is told of once, and the report keeps a few.
func TestCheckDeploy_ReadsPageByPage(t *testing.T) {
	t.Parallel()
	manual := []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Contract{})}
	nothing := squidmesh.Effect(func(context.Context, struct{}) error { return nil })
	version := versions(t)
	kit := version(squidmesh.Workflow{Name: "order", Triggers: manual, Steps: []squidmesh.Step{{Name: "ship", Do: nothing}}})
	const runs = 1003
	for range runs {
		_, err := kit.Runtime().StartRun(t.Context(), squidmesh.StartParams{Workflow: "order"})
		require.NoError(t, err)
	}
	kit = version(squidmesh.Workflow{Name: "order", Triggers: manual, Steps: []squidmesh.Step{{Name: "send", Do: nothing}}})
	told := map[flow.RunID]bool{}
	report, err := kit.Runtime().CheckDeploy(t.Context(), &squidmesh.DeployOptions{Named: 3, Each: func(o flow.Prospect) {
		require.Equal(t, flow.ProspectWillWait, o.Code)
		told[o.Run] = true
	}})
	require.NoError(t, err)
	require.Len(t, told, runs)
	require.Equal(t, runs, report.Waiting())
	require.Len(t, report.Groups, 1)
	require.Len(t, report.Groups[0].Runs, 3)
	require.Contains(t, report.Err().Error(), "and 1000 more")
}
