package oteladapter

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// SpanContext returns the context of a run's root span, in any process. Use it for links to a run, for example from the span of a
// caller that started the run with StartRunTx.
func SpanContext(run squidmesh.RunID) trace.SpanContext {
	h := fnv.New64a()
	_, _ = h.Write(run[:])
	var root trace.SpanID
	binary.BigEndian.PutUint64(root[:], h.Sum64()|1) // zero would be no id
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(run), SpanID: root, TraceFlags: trace.FlagsSampled, Remote: true,
	})
}

// Ratio samples a share of all runs, from 0 to 1. The answer depends on the run's id only.
func Ratio(share float64) func(run squidmesh.RunID) bool {
	return func(run squidmesh.RunID) bool {
		random := binary.BigEndian.Uint64(run[8:]) << 8 >> 8 // 56 bits of an id that has more
		return float64(random) < share*math.Exp2(56)
	}
}

// IDs is an IDGenerator for OpenTelemetry's SDK. Its ids are random, except that root spans of runs get the id that their other
// spans name as their parent.
type IDs struct{}

type rootKey struct{}

// NewIDs returns the ids of the first span of a trace.
func (IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	binary.BigEndian.PutUint64(id[:8], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()|1)
	return id, IDs{}.NewSpanID(ctx, id)
}

// NewSpanID returns the id of a span within a trace.
func (IDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if run, ok := ctx.Value(rootKey{}).(squidmesh.RunID); ok {
		return SpanContext(run).SpanID()
	}
	var id trace.SpanID
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1)
	return id
}
