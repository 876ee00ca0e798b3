package squidmesh_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func TestOtherQueue(t *testing.T) {
	t.Parallel()
	onBothStores(t, otherQueueTests[pgx.Tx](), otherQueueTests[*sql.Tx]())
}

func otherQueueTests[TTx any]() map[string]func(*cronBench[TTx]) {
	return map[string]func(*cronBench[TTx]){
		"AForgedJobExecutesNothingInAnotherQueue": forgedJobStaysOut[TTx],
		"AMovedJobIsExecuted":                     movedJobIsExecuted[TTx],
	}
}

// narrow is a workflow whose step and undo have a queue of their own. It counts what executes.
func narrow(executed *int) squidmesh.Workflow {
	counts := squidmesh.Effect(func(context.Context, nothing) error { *executed++; return nil })
	fails := squidmesh.Effect(func(context.Context, nothing) error { return squidmesh.Fail(errors.New("no")) })
	return squidmesh.Workflow{Name: "narrow", Triggers: []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Contract{})}, Steps: []squidmesh.Step{
		{Name: "act", Queue: "narrow", Do: counts, Undo: counts, Next: "fail"},
		{Name: "fail", Queue: "narrow", Do: fails},
	}}
}

// inNarrow starts a run and delivers what comes of it, the step and its undo, after each has gone through deliver.
func inNarrow[TTx any](b *cronBench[TTx], deliver func(rt *squidmesh.Runtime[TTx], own driver.Delivery, executed *int)) {
	queue, executed := &keptQueue[TTx]{}, 0
	rt := b.process(queue, narrow(&executed))
	run, err := rt.StartRun(b.Context(), squidmesh.StartParams{Workflow: "narrow"})
	require.NoError(b, err)
	for n := range 2 {
		own := queue.take(b)
		require.Equal(b, "narrow", own.Queue)
		deliver(rt, own, &executed)
		require.Equal(b, n+1, executed)
	}
	inspected, err := rt.InspectRun(b.Context(), run.ID, nil)
	require.NoError(b, err)
	require.Equal(b, flow.StepCompleted, inspected.Steps[0].Undo.Status)
}

func forgedJobStaysOut[TTx any](b *cronBench[TTx]) {
	inNarrow(b, func(rt *squidmesh.Runtime[TTx], own driver.Delivery, executed *int) {
		before := *executed
		forged := own
		forged.Job, forged.Queue = uuid.NewString(), "wide"
		for _, scope := range []string{own.Scope, ""} {
			forged.Scope = scope
			require.Equal(b, flow.Outcome{Kind: flow.OutcomeDone, Reason: flow.DeliveryOtherQueue}, b.deliver(rt, forged))
			require.Equal(b, before, *executed)
		}
		require.Equal(b, flow.Outcome{Kind: flow.OutcomeDone}, b.deliver(rt, own))
	})
}

// movedJobIsExecuted: and so is one of which the queue does not say by which queue it came, and another job in the right queue.
func movedJobIsExecuted[TTx any](b *cronBench[TTx]) {
	moved := false
	inNarrow(b, func(rt *squidmesh.Runtime[TTx], own driver.Delivery, _ *int) {
		if moved = !moved; moved {
			own.Queue = "wide"
		} else {
			own.Job = "another one"
		}
		require.Equal(b, flow.Outcome{Kind: flow.OutcomeDone}, b.deliver(rt, own))
	})
}
