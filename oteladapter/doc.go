// Package oteladapter tells OpenTelemetry what squidmesh does: one trace per run, with a span for every attempt, and metrics. It
// depends on OpenTelemetry's API only. The program chooses SDK and exporters.
//
//	telemetry, err := oteladapter.New(nil)
//	...
//	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
//		Observer: telemetry, Intercept: telemetry.Intercept, ...
//	})
//
// # Traces
//
// A run's trace id is its run id without the dashes, so whoever has one finds the other. All processes know it, so nothing of the
// trace is stored. Below the run these have spans:
//
//   - its start, linked to the caller's span
//   - every attempt of a step, linked to the span of the job that it ran under, if the queue's client is traced
//   - every attempt that was lost with its worker
//   - every decision, for as long as it was open
//
// A step's context carries its span. So spans of the step's own are its children, and runs that it starts are linked to it.
//
// The process that ends a run writes the run's own span. All other spans name it as their parent, so the SDK must let it have its
// id: pass [IDs] to the SDK's WithIDGenerator. Without it traces are complete but lack a root.
//
// [Config.Sample] decides whether a run is sampled, the same in all processes. A sampler based on the parent, the SDK's default,
// follows it.
//
// Spans carry what the runtime tells its observers: no payloads, no results, and errors as [squidmesh.Config.Redact] left them.
package oteladapter
