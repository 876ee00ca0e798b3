package riveradapter

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func spec(t *testing.T, body string) *flow.Spec {
	t.Helper()
	var s flow.Spec
	require.NoError(t, json.Unmarshal([]byte(body), &s))
	return &s
}

func TestValidateSpec_NamesWhatRiverRefuses(t *testing.T) {
	t.Parallel()
	e := New[pgx.Tx](nil)
	require.Empty(t, e.ValidateSpec(spec(t, `{"workflow": "a", "triggers": [{"name": "b"}], "steps": [
		{"name": "c", "policy": {"queue": "mail-2_x", "priority": 4}}]}`)))

	problems := e.ValidateSpec(spec(t, `{"workflow": "check.out", "triggers": [{"name": "b:c"}], "steps": [
		{"name": "pay now", "policy": {"queue": "Mail", "priority": 5}},
		{"name": "ship", "has_undo": true, "policy": {}, "undo_policy": {"queue": "a--b", "priority": -1}}]}`))
	require.Len(t, problems, 7)
	for i, part := range []string{`workflow_check.out`, `trigger_b:c`, `step_pay now`, `queue "Mail"`, `priorities 1 to 4, not 5`, `queue "a--b"`, `not -1`} {
		require.Contains(t, problems[i], part)
	}
}

// River's rules are written down twice, so the copy is held against the original: a client without a database refuses
// before it would write.
func TestValidateSpec_AgreesWithRiver(t *testing.T) {
	t.Parallel()
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{})
	require.NoError(t, err)
	refuses := func(opts *river.InsertOpts) (refused bool) {
		defer func() {
			if recover() != nil { // it went on to the database, which is not there
				refused = false
			}
		}()
		_, err := client.InsertTx(t.Context(), nil, StepArgs{}, opts)
		return err != nil
	}
	for _, name := range []string{"a", "ab", "a_b", "a-b", "a|b", "a__b", "_a", "a_", "A", "a.b", "a b", "é", strings.Repeat("a", 64), strings.Repeat("a", 65)} {
		ours := validatePolicy("s", flow.Policy{Queue: name})
		require.Equal(t, refuses(&river.InsertOpts{Queue: name}), len(ours) > 0, "queue %q", name)
	}
	for _, name := range []string{"a", "ab", "abc", "a_b", "a-b", "a:b", "a.b", "a b", "-ab", "ab-", "_ab", "é", strings.Repeat("a", 255), strings.Repeat("a", 256)} {
		require.Equal(t, refuses(&river.InsertOpts{Tags: []string{name}}), !validTag(name), "tag %q", name)
	}
	for priority := range 7 {
		ours := validatePolicy("s", flow.Policy{Priority: priority})
		require.Equal(t, refuses(&river.InsertOpts{Priority: priority}), len(ours) > 0, "priority %d", priority)
	}
}
