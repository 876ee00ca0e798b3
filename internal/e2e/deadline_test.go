package e2e

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func TestDeadlines_Postgres(t *testing.T) {
	t.Parallel()

	p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: impatient()})
	runDeadlines(t, p)
}

func TestDeadlines_SQLite(t *testing.T) {
	t.Parallel()

	p, _ := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: impatient()})
	runDeadlines(t, p)
}

// impatient are workflows whose decisions nobody takes in time. Of reminded, each leads on to the next; asked has no way on, and takes
// back what it did.
func impatient() []squidmesh.Workflow {
	remind := squidmesh.Func(func(ctx context.Context, _ struct{}) (map[string]string, error) {
		failure, _ := squidmesh.Failure(ctx)
		return map[string]string{failure.Step: string(failure.Code)}, nil
	})
	const soon = 50 * time.Millisecond
	return []squidmesh.Workflow{
		{Name: "reminded", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "gate", Do: squidmesh.Pause(), Timeout: soon, Next: "last", OnError: "remind"},
			{Name: "remind", Do: remind, Output: "remind", Next: "review"},
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Timeout: soon, Next: "last", OnError: "again"},
			{Name: "again", Do: remind, Output: "again", Next: "patient"},
			{Name: "patient", Do: squidmesh.Approval(), Output: "patient", Timeout: time.Hour, Next: "last", OnError: squidmesh.Complete},
			{Name: "last", Do: nothing()},
		}},
		{Name: "asked", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "first", Do: nothing(), Undo: nothing(), Next: "gate"},
			{Name: "gate", Do: squidmesh.Pause(), Timeout: soon, Next: "last"},
			{Name: "last", Do: nothing()},
		}},
	}
}

// runDeadlines lets decisions expire by the clock and the tick of a whole program, and takes one that has time.
func runDeadlines[TTx any](t *testing.T, p program[TTx]) {
	t.Helper()
	start := func(workflow string) squidmesh.RunID {
		run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: workflow})
		require.NoError(t, err)
		return run.ID
	}
	inspect := func(id squidmesh.RunID) (steps map[string]squidmesh.StepInspection, kinds map[flow.AuditKind]int) {
		in, err := p.InspectRun(t.Context(), id, &squidmesh.InspectOptions{History: true})
		require.NoError(t, err)
		steps, kinds = map[string]squidmesh.StepInspection{}, map[flow.AuditKind]int{}
		for _, st := range in.Steps {
			steps[st.Name] = st
		}
		for _, e := range in.Audit {
			kinds[e.Kind]++
			if e.Kind == flow.AuditExpired {
				require.False(t, e.At.Before(steps[e.Name].Do.StartedAt.Add(50*time.Millisecond)), "%s expired early", e.Name)
			}
		}
		return steps, kinds
	}
	reminded, asked := start("reminded"), start("asked")

	awaitStatus(t, p, asked, squidmesh.RunFailed)
	steps, kinds := inspect(asked)
	require.Equal(t, "failed", steps["gate"].Status)
	require.Equal(t, flow.CodeDecisionExpired, steps["gate"].Error.Code)
	require.Equal(t, flow.StepCompleted, steps["first"].Undo.Status)
	require.Equal(t, "skipped", steps["last"].Status)
	require.Equal(t, 1, kinds[flow.AuditExpired])
	require.Equal(t, 1, kinds[flow.AuditUndone])

	require.Eventually(t, func() bool {
		_, err := p.ApproveRun(t.Context(), reminded, squidmesh.Decision{Actor: "ann", Step: "patient"})
		return err == nil
	}, 2*time.Minute, 20*time.Millisecond)
	awaitStatus(t, p, reminded, squidmesh.RunCompleted)
	steps, kinds = inspect(reminded)
	require.JSONEq(t, `{"gate":"decision_expired"}`, string(steps["remind"].Output))
	require.JSONEq(t, `{"review":"decision_expired"}`, string(steps["again"].Output))
	require.Equal(t, "completed", steps["patient"].Status)
	require.Equal(t, 2, kinds[flow.AuditExpired])
}
