package docs

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

func shape(t *testing.T, change func(w *squidmesh.Workflow)) string {
	t.Helper()
	w := Checkout(&Shop[pgx.Tx]{Settle: time.Hour})
	change(&w)
	spec, err := squidmesh.Compile(w)
	require.NoError(t, err)
	return spec.Shape()
}

// What deploys.md says of the shape.
func TestShape_WhatChangesIt(t *testing.T) {
	t.Parallel()

	const reserve, settle, capture, decline = 0, 3, 4, 6
	before := shape(t, func(*squidmesh.Workflow) {})
	for name, change := range map[string]func(w *squidmesh.Workflow){
		"description of the workflow": func(w *squidmesh.Workflow) { w.Description = "sells books" },
		"description of a step":       func(w *squidmesh.Workflow) { w.Steps[capture].Description = "takes the money" },
		"retry":                       func(w *squidmesh.Workflow) { w.Steps[capture].Retry = squidmesh.Constant(3, time.Second) },
		"timeout":                     func(w *squidmesh.Workflow) { w.Steps[capture].Timeout = time.Minute },
		"queue":                       func(w *squidmesh.Workflow) { w.Steps[capture].Queue = "slow" },
		"priority":                    func(w *squidmesh.Workflow) { w.Steps[capture].Priority = 4 },
		"wait":                        func(w *squidmesh.Workflow) { w.Steps[settle].Do = squidmesh.Wait(time.Second) },
		"undo retry":                  func(w *squidmesh.Workflow) { w.Steps[0].Parallel[reserve].UndoRetry = squidmesh.Constant(3, 0) },
		"default of a payload": func(w *squidmesh.Workflow) {
			w.Triggers[0] = squidmesh.Manual("ordered", squidmesh.Payload[Order](squidmesh.Defaults{"cents": 100}))
		},
		"schedule of a trigger": func(w *squidmesh.Workflow) {
			w.Triggers[0] = squidmesh.Cron("ordered", "@hourly", "", squidmesh.Payload[Order](squidmesh.Defaults{"id": "1", "cents": 100}))
		},
		"body of a function": func(w *squidmesh.Workflow) {
			w.Steps[capture].Do = squidmesh.Effect(func(context.Context, Order) error { return nil })
		},
	} {
		require.Equal(t, before, shape(t, change), name)
	}
	for name, change := range map[string]func(w *squidmesh.Workflow){
		"name of a step": func(w *squidmesh.Workflow) {
			w.Steps[decline].Name = "refuse"
			w.Steps[0].OnError, w.Steps[2].OnError, w.Steps[5].OnError = "refuse", "refuse", "refuse"
		},
		"route":             func(w *squidmesh.Workflow) { w.Steps[capture].OnError = "decline" },
		"mark":              func(w *squidmesh.Workflow) { w.Steps[capture].Irreversible = true },
		"undo":              func(w *squidmesh.Workflow) { w.Steps[0].Parallel[reserve].Undo = squidmesh.Action{} },
		"name of a trigger": func(w *squidmesh.Workflow) { w.Triggers[0].Name = "asked" },
		"another trigger": func(w *squidmesh.Workflow) {
			w.Triggers = append(w.Triggers, squidmesh.Manual("again", squidmesh.Payload[Order]()))
		},
		"input type": func(w *squidmesh.Workflow) {
			w.Steps[capture].Do = squidmesh.Effect(func(context.Context, struct {
				Cents int `json:"cents"`
			},
			) error {
				return nil
			})
		},
		"kind of a function": func(w *squidmesh.Workflow) {
			w.Steps[capture].Do = squidmesh.EffectTx(func(context.Context, pgx.Tx, Order) error { return nil })
		},
	} {
		require.NotEqual(t, before, shape(t, change), name)
	}
}

// What deploys.md says of runs that meet functions of a later definition.
func TestPinnedRun_MeetsChangedFunctions(t *testing.T) {
	t.Parallel()

	type amount struct {
		Cents int `json:"cents"`
	}
	w := func(contract squidmesh.Contract, pay squidmesh.Action) squidmesh.Workflow {
		return squidmesh.Workflow{
			Name: "pay", Triggers: []squidmesh.Trigger{squidmesh.Manual("asked", contract)},
			Steps: []squidmesh.Step{{Name: "hold", Do: squidmesh.Pause(), Next: "pay"}, {Name: "pay", Do: pay}},
		}
	}
	before := w(squidmesh.Payload[amount](), squidmesh.Effect(func(context.Context, amount) error { return nil }))
	for name, c := range map[string]struct {
		after squidmesh.Workflow
		fits  bool
	}{
		"NewOptionalField": {w(squidmesh.Payload[struct {
			Cents    int    `json:"cents"`
			Currency string `json:"currency,omitempty"`
		}](), squidmesh.Effect(func(context.Context, struct {
			Cents    int    `json:"cents"`
			Currency string `json:"currency,omitempty"`
		},
		) error {
			return nil
		})), true},
		"NewRequiredField": {w(squidmesh.Payload[struct {
			Cents    int    `json:"cents"`
			Currency string `json:"currency"`
		}](), squidmesh.Effect(func(context.Context, struct {
			Cents    int    `json:"cents"`
			Currency string `json:"currency"`
		},
		) error {
			return nil
		})), false},
		"OtherType": {w(squidmesh.Payload[struct {
			Cents string `json:"cents"`
		}](), squidmesh.Effect(func(context.Context, struct {
			Cents string `json:"cents"`
		},
		) error {
			return nil
		})), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pinned, err := squidmesh.Compile(before)
			require.NoError(t, err)
			today, err := squidmesh.Compile(c.after)
			require.NoError(t, err)
			require.NotEqual(t, pinned.Shape(), today.Shape())
			key := flow.StepKey{Name: "pay", Phase: flow.PhaseDo}
			runnable, unfit := pinned.Functions(today)
			require.Equal(t, c.fits, runnable[key])
			require.Equal(t, !c.fits, unfit[key])
		})
	}
}

// What deploys.md says of what is gone: a run goes through its own definition, whatever today's program contains.
func TestPinnedRun_OutlivesItsWorkflow(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "test.db")
	manual := []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Contract{})}
	pay := squidmesh.Workflow{Name: "pay", Triggers: manual, Steps: []squidmesh.Step{
		{Name: "hold", Do: squidmesh.Pause(), Next: "pay"},
		{Name: "pay", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })},
	}}
	other := squidmesh.Workflow{Name: "other", Triggers: manual, Steps: []squidmesh.Step{{Name: "hold", Do: squidmesh.Pause()}}}

	rt, stop := start(t, path, pay)
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "pay"})
	require.NoError(t, err)
	stop()

	rt, stop = start(t, path, other)
	in, err := rt.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Equal(t, []string{"paused", "waiting"}, []string{in.Steps[0].Status, in.Steps[1].Status})
	require.Len(t, in.Audit, 1)
	why, err := rt.ExplainRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, []flow.Command{flow.CommandUnblock, flow.CommandCancel}, why.Commands)
	after, err := rt.UnblockRun(t.Context(), run.ID, squidmesh.Decision{Actor: "ana"})
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunRunning, after.Status)
	outcome, err := rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "pay", Attempt: 1}.Delivery())
	require.NoError(t, err)
	require.Equal(t, "function_unknown", outcome.Reason)
	_, err = rt.ReplayRun(t.Context(), run.ID, squidmesh.ReplayParams{})
	require.ErrorIs(t, err, squidmesh.ErrNotFinished)
	stop()

	rt, stop = start(t, path, pay)
	defer stop()
	ended, err := rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, ended.Status)
}

// production stands in for the database that a deploy is for.
func production(t *testing.T) *pgxpool.Pool { return dbtest.Postgres(t) }

func TestRunsGoOn(t *testing.T) {
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store:     pgstore.New(production(t), nil), // a pool
		Executor:  riveradapter.New[pgx.Tx](nil),
		Workflows: []squidmesh.Workflow{Checkout(&Shop[pgx.Tx]{Settle: time.Hour})},
	})
	require.NoError(t, err)
	squidmeshtest.RequireDeployable(t, rt, nil)
}

func TestCheckDeploy_OnPostgres(t *testing.T) {
	t.Parallel()
	before, after := deploys[pgx.Tx](t, pgstore.New(production(t), nil))
	require.Equal(t, 0, checkDeploy(t.Context(), before))
	require.Equal(t, 1, checkDeploy(t.Context(), after))
}

func TestCheckDeploy_OnSQLite(t *testing.T) {
	t.Parallel()
	deploys[*sql.Tx](t, dbtest.SQLite(t, nil))
}

// deploys checks two versions of a workflow against the unfinished runs of the first one.
func deploys[TTx any](t *testing.T, store driver.Store[TTx]) (before, after *squidmesh.Runtime[TTx]) {
	t.Helper()
	nothing := squidmesh.Effect(func(context.Context, struct{}) error { return nil })
	version := func(last string) *squidmesh.Runtime[TTx] {
		rt, err := squidmesh.New(&squidmesh.Config[TTx]{
			Store: store, Executor: riveradapter.New[TTx](nil),
			Workflows: []squidmesh.Workflow{{
				Name: "pay", Triggers: []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Contract{})},
				Steps: []squidmesh.Step{{Name: "hold", Do: squidmesh.Pause(), Next: last}, {Name: last, Do: nothing}},
			}},
		})
		require.NoError(t, err)
		return rt
	}
	before, after = version("pay"), version("charge")
	for range 3 {
		_, err := before.StartRun(t.Context(), squidmesh.StartParams{Workflow: "pay"})
		require.NoError(t, err)
	}
	report, err := before.CheckDeploy(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, map[flow.ProspectCode]int{flow.ProspectContinues: 3}, report.Counts)
	require.Equal(t, 0, report.ExitCode())
	report, err = after.CheckDeploy(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, map[flow.ProspectCode]int{flow.ProspectWillWait: 3}, report.Counts)
	require.Equal(t, "pay is unknown", report.Groups[0].Lacks[0].String())
	require.Equal(t, 1, report.ExitCode())
	return before, after
}

func checkDeploy(ctx context.Context, rt *squidmesh.Runtime[pgx.Tx]) int {
	report, err := rt.CheckDeploy(ctx, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fmt.Print(report)
	return report.ExitCode()
}
