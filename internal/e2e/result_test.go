package e2e

import (
	"context"
	"database/sql"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Some databases refuse NUL characters in text and in some forms of JSON. A result may hold them all the same.
func TestResult_WithNULIsReadByTheNextStep(t *testing.T) {
	t.Parallel()

	type file struct {
		Content string `json:"content"`
	}
	const content = "a\x00b\u2028<\xff"
	read := make(chan string, 2)
	workflow := squidmesh.Workflow{Name: "copy", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "read", Next: "wait", Do: squidmesh.Func(func(context.Context, struct{}) (file, error) { return file{content}, nil })},
		{Name: "wait", Do: squidmesh.Pause(), Next: "write"}, // so that the result comes from the database
		{Name: "write", Do: squidmesh.Effect(func(_ context.Context, in file) error { read <- in.Content; return nil })},
	}}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{workflow}})
		readsNUL(t, p, read)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		p, _ := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{workflow}})
		readsNUL(t, p, read)
	})
}

func readsNUL[TTx any](t *testing.T, p program[TTx], read <-chan string) {
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "copy"})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunPaused)
	_, err = p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	_, err = p.UnblockRun(t.Context(), run.ID, squidmesh.Decision{Actor: "ann"})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
	require.Equal(t, "a\x00b\u2028<\uFFFD", <-read, "as encoding/json has it")
}
