package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// What a step logs, by its own function or as a Log step, says which attempt of which run it was.
func TestLogger_HasTheAttemptOnEachLine(t *testing.T) {
	t.Parallel()

	var text bytes.Buffer // a slog handler writes line by line, under a lock of its own
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil), Executor: noQueue[*sql.Tx]{}, Logger: slog.New(slog.NewJSONHandler(&text, nil)),
		Workflows: []squidmesh.Workflow{{Name: "talk", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "speak", Next: "note", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
				squidmesh.Logger(ctx).Info("here", "extra", 1)
				return nil
			})},
			{Name: "note", Do: squidmesh.Log(slog.LevelWarn, "there")},
		}}},
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "talk"})
	require.NoError(t, err)
	_, err = rt.Perform(t.Context(), squidmesh.StepJob{RunID: run.ID, Step: "speak", Attempt: 1}.Delivery())
	require.NoError(t, err)
	require.NoError(t, rt.Stop(t.Context())) // nobody writes any more

	lines := map[string]map[string]any{}
	for line := range bytes.Lines(text.Bytes()) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal(line, &entry))
		lines[entry["msg"].(string)] = entry
	}
	for message, want := range map[string]struct{ step, level string }{"here": {"speak", "INFO"}, "there": {"note", "WARN"}} {
		entry := lines[message]
		require.NotNil(t, entry, text.String())
		require.Equal(t, want.level, entry["level"])
		require.Equal(t, []any{run.ID.String(), "talk", want.step, "do", 1.0},
			[]any{entry["run"], entry["workflow"], entry["step"], entry["phase"], entry["attempt"]})
	}
	require.Equal(t, 1.0, lines["here"]["extra"])
}
