package squidmesh

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/marked"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// toldAsTheyAre are the texts of what observers get that no redactor sees: they name something, or somebody.
var toldAsTheyAre = map[string][]string{
	"workflows and triggers": {"Run.Workflow", "Run.Trigger", "Run.Shape", "Data.Trigger", "TriggerKey.Trigger", "TriggerKey.Workflow"},
	"steps and routes": {
		"Entry.StepKey.Name", "Jobs.StepKey.Name", "Data.Reached.Step", "Data.Closed", "Data.Failed", "Data.Error.Step", "Run.Reason.Step",
		"Data.Route", "Data.Target",
	},
	"runs":                   {"Run.Key", "Run.KeyHash", "Run.SignalID", "Data.Key", "Data.SignalID", "Data.Replayed", "Key", "SignalID"},
	"jobs":                   {"Job", "JobID", "Jobs.JobMetadata.JobID", "Jobs.JobMetadata.Queue", "Jobs.JobMetadata.Worker"},
	"operators":              {"Entry.Actor", "Actor"},
	"failures, for programs": {"Data.Error.Code", "Run.Reason.Code"},
	"why a fire did not start, redacted when that was written": {"Reason"},
}

type textObserver struct{ left []string }

func (o *textObserver) Observe(_ context.Context, told Observation) {
	o.left = append(o.left, marked.Left(told)...)
}

func (o *textObserver) ObserveFire(_ context.Context, f flow.Fire) {
	o.left = append(o.left, marked.Left(f)...)
}

func TestObserver_GetsNoFreeTextAsItIs(t *testing.T) {
	t.Parallel()
	observer := &textObserver{}
	teller := &teller{observer: observer, redact: func(field, _ string) string { return field }}

	var o Observation
	marked.Fill(&o)
	teller.tell(t.Context(), o)
	var f flow.Fire
	marked.Fill(&f)
	teller.observeFires(t.Context(), f)

	require.ElementsMatch(t, slices.Concat(slices.Collect(maps.Values(toldAsTheyAre))...), observer.left)
}
