package squidmesh_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// A worker goes on with the next step as long as nothing speaks against it at the end of the one before: what happened meanwhile counts.
func TestContinuation_LooksWhenAStepHasEnded(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		config squidmesh.Config[*sql.Tx]
		first  func(stopDelivery func())
		goesOn bool
	}{
		"nothing":                  {squidmesh.Config[*sql.Tx]{TimeSlice: time.Minute}, func(func()) {}, true},
		"off":                      {squidmesh.Config[*sql.Tx]{DisableContinuation: true}, func(func()) {}, false},
		"the delivery was stopped": {squidmesh.Config[*sql.Tx]{TimeSlice: time.Minute}, func(stop func()) { stop() }, false},
		"the slice is over": {
			squidmesh.Config[*sql.Tx]{TimeSlice: 30 * time.Millisecond},
			func(func()) { <-time.After(50 * time.Millisecond) }, false,
		},
	} {
		for kind, do := range map[string]func(func()) squidmesh.Action{
			"Func": func(f func()) squidmesh.Action {
				return squidmesh.Effect(func(context.Context, nothing) error { f(); return nil })
			},
			"FuncTx": func(f func()) squidmesh.Action {
				return squidmesh.EffectTx(func(context.Context, *sql.Tx, nothing) error { f(); return nil })
			},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()

				delivery, stop := context.WithCancel(t.Context())
				config := c.config
				config.Store, config.Executor, config.ManualTick = dbtest.SQLite(t, nil), refusingExecutor{}, true
				config.Workflows = []squidmesh.Workflow{relay(do(func() { c.first(stop) }))}
				rt, err := squidmesh.New(&config)
				require.NoError(t, err)
				require.NoError(t, rt.Start(t.Context()))
				t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
				run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
				require.NoError(t, err)
				_, err = rt.Perform(delivery, driver.StepJob{RunID: run.ID, Step: "first", Attempt: 1}.Delivery())
				require.NoError(t, err)

				in, err := rt.InspectRun(t.Context(), run.ID, nil)
				require.NoError(t, err)
				require.EqualValues(t, flow.StepCompleted, in.Steps[0].Status)
				if c.goesOn {
					require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
				} else {
					require.EqualValues(t, flow.StepScheduled, in.Steps[1].Status)
				}
			})
		}
	}
}
