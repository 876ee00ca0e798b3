package oteladapter

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// scope names the instrumentation.
const scope = "github.com/squidmesh/squidmesh-go/oteladapter"

// Config says whom to tell. All fields are optional.
type Config struct {
	// TracerProvider defaults to the global one.
	TracerProvider trace.TracerProvider

	// MeterProvider defaults to the global one.
	MeterProvider metric.MeterProvider

	// Sample decides which runs are traced. It must give the same answer in all processes, as [Ratio] does. By default all runs are
	// traced.
	Sample func(run squidmesh.RunID) bool
}

// Telemetry is an observer of a runtime, with an interceptor for its steps. It may serve several runtimes and is safe for
// concurrent use.
type Telemetry struct {
	tracer  trace.Tracer
	sample  func(run squidmesh.RunID) bool
	metrics metrics
}

var (
	_ squidmesh.Observer         = (*Telemetry)(nil)
	_ squidmesh.DeliveryObserver = (*Telemetry)(nil)
	_ squidmesh.FireObserver     = (*Telemetry)(nil)
)

// New makes the instruments. Config may be nil. Its error comes from an instrument.
func New(config *Config) (*Telemetry, error) {
	var c Config
	if config != nil {
		c = *config
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.Sample == nil {
		c.Sample = func(squidmesh.RunID) bool { return true }
	}
	t := &Telemetry{tracer: c.TracerProvider.Tracer(scope), sample: c.Sample}
	var err error
	if t.metrics, err = newMetrics(c.MeterProvider.Meter(scope)); err != nil {
		return nil, fmt.Errorf("make instruments: %w", err)
	}
	return t, nil
}

// Observe implements [squidmesh.Observer].
func (t *Telemetry) Observe(ctx context.Context, o squidmesh.Observation) {
	t.metrics.observe(ctx, o)
	if t.sample(o.Run.ID) {
		t.trace(ctx, o)
	}
}

// ObserveDelivery implements [squidmesh.DeliveryObserver].
func (t *Telemetry) ObserveDelivery(ctx context.Context, o squidmesh.DeliveryObservation) {
	t.metrics.observeDelivery(ctx, o)
}

// ObserveFire implements [squidmesh.FireObserver].
func (t *Telemetry) ObserveFire(ctx context.Context, f flow.Fire) {
	t.metrics.observeFire(ctx, f)
}
