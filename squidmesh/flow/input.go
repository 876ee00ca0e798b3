package flow

import (
	"encoding/json"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/encode"
)

// Input builds the input of a step from the run's data: of the payload and of the outputs of the sources, in their
// order, it takes the given keys. Values stay byte for byte as they were stored. A source without an output did not
// complete, or not yet.
func (s *Spec) Input(keys, sources []string, payload json.RawMessage, outputs map[string]json.RawMessage) json.RawMessage {
	if len(keys) == 0 {
		return json.RawMessage("{}")
	}
	values := make(map[string]json.RawMessage, len(keys))
	take := func(key string, value json.RawMessage) {
		if slices.Contains(keys, key) {
			values[key] = value
		}
	}
	takeAll := func(object json.RawMessage) {
		var members map[string]json.RawMessage
		if json.Unmarshal(object, &members) == nil {
			for key, value := range members {
				take(key, value)
			}
		}
	}
	takeAll(payload)
	for _, name := range sources {
		output, ok := outputs[name]
		if !ok || len(output) == 0 {
			continue
		}
		if st := s.Find(name); st != nil && st.Output != "" {
			take(st.Output, output)
		} else {
			takeAll(output)
		}
	}
	return encode.Object(values)
}
