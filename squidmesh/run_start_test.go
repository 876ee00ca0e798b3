package squidmesh_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

func TestStartRun_TakesTheFirstManualTrigger(t *testing.T) {
	t.Parallel()
	w := only(squidmesh.Pause(), "")
	w.Triggers = []squidmesh.Trigger{
		squidmesh.Cron("nightly", "@yearly", "", squidmesh.Contract{}), squidmesh.Manual("one", squidmesh.Contract{}),
		squidmesh.Manual("two", squidmesh.Contract{}),
	}
	cron := w
	cron.Name, cron.Triggers = "cron", w.Triggers[:1]
	rt := startTest(t, w, cron)
	for _, tc := range []struct{ workflow, trigger, want string }{
		{"only", "", "one"}, {"only", "two", "two"}, {"only", "nightly", "nightly"}, {"cron", "", "nightly"},
	} {
		run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: tc.workflow, Trigger: tc.trigger})
		require.NoError(t, err)
		require.Equal(t, tc.want, run.Trigger)
	}
	_, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only", Trigger: "tow"})
	require.ErrorIs(t, err, squidmesh.ErrUnknownTrigger)
	require.ErrorContains(t, err, `did you mean "two"?`)
}

// What one trigger takes another one refuses.
func TestStartRun_ChecksThePayloadOfTheChosenTrigger(t *testing.T) {
	t.Parallel()
	type web struct {
		URL string `json:"url"`
	}
	w := only(squidmesh.Pause(), "")
	w.Triggers = []squidmesh.Trigger{squidmesh.Manual("shop", squidmesh.Payload[Order]()), squidmesh.Manual("web", squidmesh.Payload[web]())}
	rt := startTest(t, w)
	for _, c := range []struct {
		trigger string
		payload any
		fits    bool
	}{{"shop", Order{ID: "1"}, true}, {"shop", web{"x"}, false}, {"web", web{"x"}, true}, {"web", Order{ID: "1"}, false}} {
		run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only", Trigger: c.trigger, Payload: c.payload})
		if c.fits {
			require.NoError(t, err)
			require.Equal(t, c.trigger, run.Trigger)
			continue
		}
		var bad *squidmesh.PayloadError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, c.trigger, bad.Trigger)
	}
	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	require.Len(t, page.Runs, 2)
}

// pickyExecutor has no use for any definition.
type pickyExecutor struct{ driver.Executor[*sql.Tx] }

func (pickyExecutor) ValidateSpec(spec *squidmesh.Spec) []string {
	return []string{"no queue for " + spec.Workflow(), "no worker either"}
}

// A configuration is judged as a whole, before anything is opened or started.
func TestNew_ListsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{Queue: "Slow Ones", MaxOutput: -1, Workflows: []squidmesh.Workflow{{Name: "Bad"}}})
	var config *squidmesh.ConfigError
	require.ErrorAs(t, err, &config)
	var fields []string
	for _, problem := range config.Problems {
		var bad *squidmesh.InputError
		if errors.As(problem, &bad) {
			fields = append(fields, bad.Field)
		}
	}
	require.Equal(t, []string{"Store", "Executor", "Queue", "MaxOutput"}, fields)
	var definition *squidmesh.DefinitionError
	require.ErrorAs(t, err, &definition)

	_, err = squidmesh.New(&squidmesh.Config[*sql.Tx]{})
	require.ErrorContains(t, err, "Workflows: ")

	w := only(squidmesh.EffectTx(func(context.Context, pgx.Tx, nothing) error { return nil }), "")
	_, err = squidmesh.New(&squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{w, w}})
	require.ErrorContains(t, err, `workflow "only" is registered twice`)
	require.ErrorContains(t, err, `takes a transaction of type pgx.Tx, this runtime's store gives *sql.Tx`)

	_, err = squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil), Executor: pickyExecutor{}, Workflows: []squidmesh.Workflow{only(squidmesh.Pause(), "")},
	})
	require.ErrorAs(t, err, &config)
	require.Equal(t, []error{
		&squidmesh.InputError{Field: `Workflows: workflow "only"`, Code: "refused_by_executor", Detail: "no queue for only"},
		&squidmesh.InputError{Field: `Workflows: workflow "only"`, Code: "refused_by_executor", Detail: "no worker either"},
	}, config.Problems)
}
