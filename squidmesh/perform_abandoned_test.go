package squidmesh_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// What ignores its context is bounded: at the limit its step waits, other steps go on, and when a call returns the step is claimed again.
func TestAbandoned_IsCountedAndBounded(t *testing.T) {
	t.Parallel()
	type tx = *memstore.Tx
	for name, phase := range map[string]flow.Phase{"do": flow.PhaseDo, "undo": flow.PhaseUndo} {
		for _, inTx := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " in a transaction"}[inTx], func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var begun atomic.Int32
					release := make(chan struct{})
					hang := func(context.Context) error { begun.Add(1); <-release; return nil }
					stuck := squidmesh.Effect(func(ctx context.Context, _ nothing) error { return hang(ctx) })
					if inTx {
						stuck = squidmesh.EffectTx(func(ctx context.Context, _ tx, _ nothing) error { return hang(ctx) })
					}
					fine := squidmesh.Effect(func(context.Context, nothing) error { return nil })
					manual := []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[nothing]())}
					w := squidmesh.Workflow{Name: "hangs", Triggers: manual, Steps: []squidmesh.Step{
						{Name: "first", Do: fine, Next: "act"},
						{Name: "act", Do: stuck, Timeout: time.Second, Retry: squidmesh.Constant(10, 0), Next: "last"},
						{Name: "last", Do: fine},
					}}
					if phase == flow.PhaseUndo {
						w.Steps[1].Do, w.Steps[1].Undo = fine, stuck
						w.Steps[1].UndoRetry, w.Steps[1].UndoTimeout = squidmesh.Constant(10, 0), time.Second
						w.Steps[2].Do = squidmesh.Effect(func(context.Context, nothing) error { return squidmesh.Fail(context.Canceled) })
					}
					other := squidmesh.Workflow{Name: "other", Triggers: manual, Steps: []squidmesh.Step{{Name: "act", Do: fine}}}
					var log bytes.Buffer
					answers := map[string]int{}
					kit := squidmeshtest.NewOn(t, squidmeshtest.Options[tx]{
						Config: squidmesh.Config[tx]{
							Workflows: []squidmesh.Workflow{w, other}, MaxAbandoned: 3, Logger: slog.New(slog.NewTextHandler(&log, nil)),
							Observer: answersObserver(answers),
						},
						Open: func(clock func(time.Time) time.Time) driver.Store[tx] {
							return memstore.New(&memstore.Options{Clock: clock})
						},
					})
					require.Empty(t, kit.Runtime().Abandoned())
					first, second := kit.Start("hangs", nil), kit.Start("hangs", nil)
					kit.Advance(5 * time.Minute)
					require.EqualValues(t, 3, begun.Load(), "the function is not begun again")
					require.Equal(t, []squidmesh.AbandonedCalls{
						{Workflow: "hangs", StepKey: flow.StepKey{Name: "act", Phase: phase}, Calls: 3},
					}, kit.Runtime().Abandoned())
					require.Greater(t, answers[flow.DeliveryFunctionStuck], 5)
					require.Less(t, answers[flow.DeliveryFunctionStuck], 100, "the longer it waits, the less often it comes")
					require.Equal(t, 1, strings.Count(log.String(), "step is not claimed by this process"), log.String())
					require.False(t, first.Status().Terminal() || second.Status().Terminal())
					ex, err := kit.Runtime().ExplainRun(t.Context(), first.ID)
					require.NoError(t, err)
					require.Equal(t, map[flow.Phase]flow.ReasonCode{
						flow.PhaseDo: flow.ReasonQueued, flow.PhaseUndo: flow.ReasonCompensating,
					}[phase], ex.Code, "the database knows nothing of it")

					sound := kit.Start("other", nil)
					kit.RunDue()
					require.Equal(t, squidmesh.RunCompleted, sound.Status(), "a step of the same name of another workflow")

					close(release)
					synctest.Wait()
					require.Empty(t, kit.Runtime().Abandoned())
					kit.RunUntilIdle()
					want := squidmesh.RunCompleted
					if phase == flow.PhaseUndo {
						want = squidmesh.RunFailed
					}
					require.Equal(t, want, first.Status())
					require.Equal(t, want, second.Status())
					require.Contains(t, log.String(), "step is claimed again")
				})
			})
		}
	}
}

// answersObserver counts the reasons of outcomes.
type answersObserver map[string]int

func (answersObserver) Observe(context.Context, squidmesh.Observation) {}

func (a answersObserver) ObserveDelivery(_ context.Context, o squidmesh.DeliveryObservation) {
	a[o.Outcome.Reason]++
}
