package flow_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/marked"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// noFreeText are the texts of events that stay as they are, each with the reason. What is not here must be reworded, or Config.Redact would
// not see it, and an end that the database cannot store could not be stored without it.
var noFreeText = map[string]string{
	"Attempted.StepKey.Name": "names a step", "Attempted.Hold.Name": "names a step", "StepKey.Name": "names a step", "Holds.Name": "names a step",
	"Error.Step": "names a step", "Decision.Step": "names a step", "Route": "names a route", "Trigger": "names a trigger",
	"Key": "names a run", "KeyHash": "names a run", "SignalID": "names a run", "Job": "names a job", "JobID": "names a job", "Queue": "names a queue",
	"Actor": "names somebody", "Decision.Actor": "names somebody",
	"Payload": "is data", "Output": "is data", "Decision.Metadata": "is data",
	"Decision.Comment": "is stored as it is, and the operator told if it cannot be; observers get it reworded, of AuditData",
}

func TestReword_ReachesEveryFreeTextOfEveryEvent(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, row := range traitRows() {
		event := reflect.New(reflect.TypeOf(row.event))
		marked.Fill(event.Interface())
		reworded := flow.Reword(event.Elem().Interface().(flow.Event), reword)
		require.IsType(t, row.event, reworded)
		for _, path := range marked.Left(reworded) {
			require.Contains(t, noFreeText, path, "%T has a text that its row in event_traits.go does not reword", row.event)
			used[path] = true
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(noFreeText)), slices.Sorted(maps.Keys(used)), "no event has some of them")
}

// A failure keeps its shape: what was empty stays so, and so does the failure that was given.
func TestReword_LeavesTheOriginal(t *testing.T) {
	t.Parallel()
	given := flow.StepError{Code: "c", Message: "m", Causes: []string{"a", "b"}}
	drop := func(field flow.TextField, text string) string {
		if text == "a" {
			return ""
		}
		return text
	}
	require.Equal(t, flow.StepError{Code: "c", Message: "m", Causes: []string{"b"}}, given.Reword(drop))
	require.Equal(t, []string{"a", "b"}, given.Causes)
	require.Equal(t, flow.StepError{}, flow.StepError{}.Reword(drop))

	data := flow.AuditData{Error: &given}
	require.Equal(t, "message", data.Reword(reword).Error.Message)
	require.Equal(t, "m", given.Message)
}

func reword(field flow.TextField, _ string) string { return string(field) }
