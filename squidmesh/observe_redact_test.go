package squidmesh_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Whatever kind of value text hides in, and whatever the redactor does, it is not written as it was.
func TestRedact(t *testing.T) {
	t.Parallel()

	log := &logLines{}
	type record struct{ Name string }
	rt := startObserved(t, &squidmesh.Config[*sql.Tx]{
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
		Redact: func(field, text string) string {
			if strings.Contains(text, "panics") {
				panic("cannot read this")
			}
			if field == "details" {
				return "no JSON any more"
			}
			return strings.ReplaceAll(text, "secret", "***")
		},
		Workflows: []squidmesh.Workflow{only(squidmesh.Func(func(ctx context.Context, _ nothing) (any, error) {
			squidmesh.Logger(ctx).With("bound", "a secret").WithGroup("group").Info("the secret", "text", "a secret", "count", 3,
				"error", errors.New("a secret"), "bytes", []byte("a secret"), "struct", record{"a secret"}, "raw", json.RawMessage(`"a secret"`),
				"nested", slog.GroupValue(slog.String("deep", "a secret")), "bad", "panics")
			return nil, squidmesh.WithDetails(map[string]string{"a": "secret"}, errors.Join(errors.New("one secret"), errors.New("two")))
		}), "result")},
	})
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "only"})
	require.NoError(t, err)
	ended, err := rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, "one ***\ntwo", ended.Reason.Message)
	require.Equal(t, []string{"one ***", "two"}, ended.Reason.Causes)
	require.JSONEq(t, `{"omitted":"redacted"}`, string(ended.Reason.Details))

	lines := log.about(t, "the ***")
	require.Len(t, lines, 1)
	require.Equal(t, "a ***", lines[0]["bound"])
	require.Equal(t, run.ID.String(), lines[0]["run"])
	group, ok := lines[0]["group"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, map[string]any{
		"text": "a ***", "count": 3.0, "error": "a ***", "bytes": "a ***", "struct": "{Name:a ***}", "raw": `"a ***"`,
		"nested": map[string]any{"deep": "a ***"}, "bad": "(redaction panicked)",
	}, group)
}
