package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// What a step logs, by its own function or as a Log step, says which attempt of which run it was.
func TestLogger_HasTheAttemptOnEachLine(t *testing.T) {
	t.Parallel()

	var text bytes.Buffer // a slog handler writes line by line, under a lock of its own
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil), Executor: noQueue[*sql.Tx]{}, Logger: slog.New(slog.NewJSONHandler(&text, nil)), TimeSlice: time.Minute,
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
	_, err = rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "speak", Attempt: 1}.Delivery())
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

// sullen is a queue that takes nothing any more once it is told so.
type sullen struct {
	noQueue[*sql.Tx]
	refuse atomic.Bool
}

func (s *sullen) EnqueueStep(ctx context.Context, tx *sql.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	if s.refuse.Load() {
		return driver.JobMetadata{}, errQueue
	}
	return s.noQueue.EnqueueStep(ctx, tx, job)
}

func (s *sullen) EnqueueSteps(ctx context.Context, tx *sql.Tx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	if s.refuse.Load() {
		return nil, errQueue
	}
	return s.noQueue.EnqueueSteps(ctx, tx, jobs)
}

// lineWriter sends each line that is written.
type lineWriter chan []byte

func (w lineWriter) Write(line []byte) (int, error) {
	w <- bytes.Clone(line)
	return len(line), nil
}

// What a tick cannot look after is a line for each step, which says which one.
func TestLogger_HasALineForEachTroubleOfATick(t *testing.T) {
	t.Parallel()

	queue, lines := &sullen{}, make(lineWriter, 1000)
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil), Executor: queue, Logger: slog.New(slog.NewJSONHandler(lines, nil)), DisableContinuation: true,
		Heartbeat: 20 * time.Millisecond,
		Workflows: []squidmesh.Workflow{{Name: "pair", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "one", Do: nothing(), Next: "two"},
			{Name: "two", Do: nothing()},
		}}},
	})
	require.NoError(t, err)
	var runs []squidmesh.RunID
	for range 2 {
		run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "pair"})
		require.NoError(t, err)
		runs = append(runs, run.ID)
	}
	require.NoError(t, rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
	queue.refuse.Store(true)
	waiting := map[string]bool{}
	for _, id := range runs {
		_, err = rt.Perform(t.Context(), driver.StepJob{RunID: id, Step: "one", Attempt: 1}.Delivery())
		require.NoError(t, err)
		waiting[id.String()] = true
	}

	timeout := time.After(30 * time.Second)
	for len(waiting) > 0 {
		select {
		case line := <-lines:
			var entry map[string]any
			require.NoError(t, json.Unmarshal(line, &entry))
			if entry["msg"] != "squidmesh: tick" {
				continue
			}
			require.Equal(t, []any{"redeliver", "two", "do", 1.0}, []any{entry["what"], entry["step"], entry["phase"], entry["attempt"]})
			require.Contains(t, entry["error"], errQueue.Error())
			delete(waiting, entry["run"].(string))
		case <-timeout:
			require.Fail(t, "no line about a step that cannot be enqueued", "%v", waiting)
		}
	}
}
