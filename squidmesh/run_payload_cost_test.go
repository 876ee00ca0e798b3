package squidmesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// costly are payloads that fill what is taken with what is dear to check.
func costly() map[string]json.RawMessage {
	var misses strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&misses, `"customer_addrss_%05d":1,`, i)
	}
	key := strings.Repeat("k", 4000)
	return map[string]json.RawMessage{
		"near misses": json.RawMessage(`{` + misses.String() + `"open":1}`),
		"long keys":   json.RawMessage(`{"open":` + strings.Repeat(`{"`+key+`":`, 60) + `[` + strings.Repeat(`"\u0000",`, 500) + `0]` + strings.Repeat(`}`, 61)),
		"numbers":     json.RawMessage(`{"open":[` + strings.Repeat("1,", 130_000) + `1]}`),
	}
}

func costlyTrigger() flow.TriggerSpec {
	t := flow.TriggerSpec{Name: "t", Payload: jsontype.Type{Kind: jsontype.Object, Fields: []jsontype.Field{{Name: "open", Required: true, Type: jsontype.Anything}}}}
	for i := range 20 {
		t.Payload.Fields = append(t.Payload.Fields, jsontype.Field{Name: fmt.Sprintf("customer_address_%05d", i*500), Required: false, Type: jsontype.Type{Kind: jsontype.Integer}})
	}
	return t
}

// What a payload costs is bounded by its size, whatever is in it, and so is what is told of it. Not parallel: it counts what is allocated.
func TestAccept_CostsLittle(t *testing.T) {
	trigger := costlyTrigger()
	for name, payload := range costly() {
		require.Less(t, len(payload), jsontype.MaxSize, name)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := acceptPayload(trigger, payload, Contract{}.decodes())
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(24<<20), name)
		if err != nil {
			var wrong *PayloadError
			require.True(t, errors.As(err, &wrong))
			require.LessOrEqual(t, len(wrong.Problems), jsontype.MaxProblems)
			require.LessOrEqual(t, len(err.Error()), jsontype.MaxProblemText+100, name)
		}
	}
}

func BenchmarkAccept_Costly(b *testing.B) {
	trigger := costlyTrigger()
	for name, payload := range costly() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = acceptPayload(trigger, payload, Contract{}.decodes())
			}
		})
	}
}
