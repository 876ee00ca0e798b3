package oteladapter_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/squidmesh/squidmesh-go/oteladapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// texts are the values of the constants of package flow whose names begin so, in the order of the file.
func texts(t *testing.T, file, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "../squidmesh/flow/"+file, nil, 0)
	require.NoError(t, err)
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			found = append(found, text)
		}
		return true
	})
	require.NotEmpty(t, found, "%s of %s", prefix, file)
	return found
}

// Whatever a delivery was answered, and for whatever reason, is told apart by the metric; so it is of answers that are yet to be invented.
func TestDeliveries_EveryOutcomeAndReasonIsAnAttribute(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	telemetry, err := oteladapter.New(&oteladapter.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	require.NoError(t, err)
	reasons := append(texts(t, "outcome.go", "Delivery"), string(flow.ReasonFunctionUnknown), string(flow.ReasonFunctionIncompatible), "")
	require.Contains(t, reasons, flow.DeliveryFunctionStuck)
	for _, state := range []flow.FireState{flow.FireQueued, flow.FireStarted, flow.FireSkipped, flow.FireRefused} {
		reasons = append(reasons, flow.DeliveryFirePrefix+string(state))
	}
	kinds := []flow.OutcomeKind{flow.OutcomeDone, flow.OutcomeAgain, flow.OutcomeDrop}
	want := map[string]bool{}
	for _, kind := range kinds {
		for _, reason := range reasons {
			want[string(kind)+" "+reason] = true
			telemetry.ObserveDelivery(t.Context(), squidmesh.DeliveryObservation{
				Delivery: driver.Delivery{Kind: driver.DeliverStep}, Outcome: flow.Outcome{Kind: kind, Reason: reason},
			})
		}
	}
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &collected))
	found := map[string]bool{}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		if m.Name != "squidmesh.deliveries" {
			continue
		}
		for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
			outcome, _ := point.Attributes.Value(attribute.Key("squidmesh.outcome"))
			reason, _ := point.Attributes.Value(attribute.Key("squidmesh.reason"))
			found[outcome.AsString()+" "+reason.AsString()] = true
			require.EqualValues(t, 1, point.Value)
		}
	}
	require.Equal(t, want, found)
}
