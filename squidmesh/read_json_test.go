package squidmesh_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Whatever a read returns has a name in JSON for each of its fields, in the style of the payloads.
func TestReads_NameTheirFieldsInJSON(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^([a-z][a-z_]*|-)(,omitzero|,omitempty)?$`)
	seen := map[reflect.Type]bool{reflect.TypeFor[time.Time](): true, reflect.TypeFor[uuid.UUID](): true, reflect.TypeFor[squidmesh.Spec](): true}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			walk(typ.Elem())
		case reflect.Map:
			walk(typ.Key())
			walk(typ.Elem())
		case reflect.Struct:
			for f := range typ.Fields() {
				if !f.Anonymous {
					require.Regexp(t, name, f.Tag.Get("json"), "%s.%s", typ, f.Name)
				}
				walk(f.Type)
			}
		}
	}
	rt := reflect.TypeFor[*squidmesh.Runtime[*int]]()
	reads := 0
	for m := range rt.Methods() {
		if strings.HasSuffix(m.Name, "Tx") || m.Name == "Perform" || m.Type.NumOut() == 0 || m.Type.Out(0) == reflect.TypeFor[error]() {
			continue
		}
		walk(m.Type.Out(0))
		reads++
	}
	require.Greater(t, reads, 15)
}

// What is not there is not written: neither the year 1, nor an id of zeros, nor null.
func TestReads_LeaveOutWhatIsNotThere(t *testing.T) {
	t.Parallel()
	rt := startTest(t, squidmesh.Workflow{
		Name: "shown", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Contract{})},
		Steps: []squidmesh.Step{
			{Name: "first", OnError: "last", Do: squidmesh.Effect(func(context.Context, nothing) error { return errors.New("jammed") })},
			{Name: "last", Do: squidmesh.Pause()},
		},
	})
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "shown"})
	require.NoError(t, err)
	_, err = rt.AwaitRun(t.Context(), run.ID, squidmesh.RunPaused)
	require.NoError(t, err)

	inspection, err := rt.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	explanation, err := rt.ExplainRun(t.Context(), run.ID)
	require.NoError(t, err)
	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	empty, err := rt.ListRuns(t.Context(), squidmesh.ListParams{Workflow: "other"})
	require.NoError(t, err)
	report, err := rt.CheckDeploy(t.Context(), nil)
	require.NoError(t, err)
	for _, value := range []any{run, inspection, explanation, page, empty, report, squidmesh.TriggerInspection{}, flow.Fire{}, flow.Worker{}} {
		data, err := json.Marshal(value)
		require.NoError(t, err)
		if !reflect.ValueOf(value).IsZero() { // of those only what must be there is written, if as zero
			require.NotContains(t, string(data), "0001-01-01", "%T", value)
		}
		require.NotContains(t, string(data), uuid.Nil.String(), "%T", value)
		require.NotContains(t, string(data), "null", "%T", value)
		require.NotRegexp(t, `"[A-Z]\w*":`, string(data), "%T", value)
	}
	data, err := json.Marshal(empty)
	require.NoError(t, err)
	require.JSONEq(t, `{"runs":[]}`, string(data))
	data, err = json.Marshal(page.Runs[0])
	require.NoError(t, err)
	require.Contains(t, string(data), `"status":"paused"`)
	require.NotContains(t, string(data), "key_hash")
}
