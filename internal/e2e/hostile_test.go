package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// dirty is text that PostgreSQL does not take, and neither does a terminal.
const (
	dirty   = "a\x00b\xffc\x1b[31m"
	escaped = `a\x00b\xffc\x1b[31m`
)

type dirtyDetails struct {
	Text string            `json:"text"`
	Raw  json.RawMessage   `json:"raw"`
	Map  map[string]string `json:"map"`
}

// dirtySteps fail, each in another way, with text that cannot be stored as it is.
func dirtySteps() map[string]squidmesh.Action {
	fails := func(err error) squidmesh.Action {
		return squidmesh.Effect(func(context.Context, struct{}) error { return err })
	}
	return map[string]squidmesh.Action{
		"message": fails(errors.New(dirty)),
		"cause":   fails(fmt.Errorf("outer: %w", errors.New(dirty))),
		"code":    fails(squidmesh.WithCode(dirty, errors.New("no"))),
		"details": fails(squidmesh.WithDetails(dirtyDetails{
			Text: dirty, Raw: json.RawMessage(`"\u0000\ud800"`), Map: map[string]string{"k\x00": "v"},
		}, errors.New("no"))),
		"panic": squidmesh.Effect(func(context.Context, struct{}) error { panic(dirty) }),
		"result": squidmesh.Func(func(context.Context, struct{}) (json.RawMessage, error) {
			return json.RawMessage(`{"a":"\ud800"}`), nil
		}),
		"route": squidmesh.Choose(func(context.Context, struct{}) (string, error) { return dirty, nil }),
	}
}

func dirtyWorkflows() []squidmesh.Workflow {
	var all []squidmesh.Workflow
	for name, do := range dirtySteps() {
		step := squidmesh.Step{Name: "act", Do: do}
		switch name {
		case "result":
			step.Output = "result"
		case "route":
			step.Routes = map[string]string{"on": squidmesh.Complete}
		}
		all = append(all, squidmesh.Workflow{Name: name, Triggers: byHand, Steps: []squidmesh.Step{step}})
	}
	return all
}

func TestDirtyFailures_Postgres(t *testing.T) {
	t.Parallel()
	p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: dirtyWorkflows()})
	runDirtyFailures(t, p)
}

func TestDirtyFailures_SQLite(t *testing.T) {
	t.Parallel()
	p, _ := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: dirtyWorkflows()})
	runDirtyFailures(t, p)
}

// What a step's failure says survives as escaped text, and whoever inspects or explains the run reads it.
func runDirtyFailures[TTx any](t *testing.T, p program[TTx]) {
	want := map[string]struct{ code, message string }{
		"message": {flow.CodeError, escaped},
		"cause":   {flow.CodeError, "outer: " + escaped},
		"code":    {escaped, "no"},
		"details": {flow.CodeError, "no"},
		"panic":   {flow.CodePanic, "panic: " + escaped},
		"result":  {flow.CodeInvalidOutput, `encode result: a: a \ud800 to \udfff that is no half of a pair`},
		"route":   {flow.CodeUnknownRoute, `answered "a\x00b\xffc\x1b[31m", which is none of the step's routes`},
	}
	for name := range dirtySteps() {
		t.Run(name, func(t *testing.T) {
			run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: name})
			require.NoError(t, err)
			awaitStatus(t, p, run.ID, squidmesh.RunFailed)
			in, err := p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
			require.NoError(t, err)
			require.Len(t, in.Attempts, 1)
			for _, failure := range []*squidmesh.StepError{in.Run.Reason, in.Attempts[0].Error} {
				require.NotNil(t, failure)
				require.Equal(t, want[name].code, failure.Code)
				require.Contains(t, failure.Message, want[name].message)
			}
			switch failure := in.Attempts[0].Error; name {
			case "cause":
				require.Equal(t, []string{escaped}, failure.Causes)
			case "details":
				require.JSONEq(t, `{"text":"a\\x00b\uFFFDc\\x1b[31m","raw":"\\x00\uFFFD","map":{"k\\x00":"v"}}`, string(failure.Details))
			case "panic":
				require.Contains(t, failure.Stack, "hostile_test.go")
			}
			explained, err := p.ExplainRun(t.Context(), run.ID)
			require.NoError(t, err)
			text, err := json.Marshal(explained)
			require.NoError(t, err)
			require.NotContains(t, string(text), `\u0000`)
			require.NotContains(t, string(text), `\ufffd`)
			require.Equal(t, want[name].code, explained.Error.Code)
		})
	}
}
