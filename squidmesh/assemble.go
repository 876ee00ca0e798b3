package squidmesh

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/encode"
)

// assembleInput builds the input of a step from the run's data: of the payload and of the outputs of the sources, in their
// order, it takes the given keys. Values stay byte for byte as they were stored. A source without an output did not
// complete, or not yet.
func (s *Spec) assembleInput(keys, sources []string, payload json.RawMessage, outputs map[string]json.RawMessage) json.RawMessage {
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
		if st := s.step(name); st != nil && st.Output != "" {
			take(st.Output, output)
		} else {
			takeAll(output)
		}
	}
	return writeObject(values)
}

// unopened is the first of the values that an input is assembled from which could not be opened; nil if all could.
func unopened(sources []string, payload json.RawMessage, outputs map[string]json.RawMessage) json.RawMessage {
	if isSealed(payload) {
		return payload
	}
	for _, name := range sources {
		if isSealed(outputs[name]) {
			return outputs[name]
		}
	}
	return nil
}

// writeObject writes an object with sorted keys and its values as they are.
func writeObject(values map[string]json.RawMessage) json.RawMessage {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(key))
		b.WriteByte(':')
		b.Write(values[key])
	}
	b.WriteByte('}')
	return b.Bytes()
}

// plain reports whether a string is its own JSON between quotes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// quote writes a string as JSON.
func quote(s string) []byte {
	if plain(s) {
		return []byte(`"` + s + `"`)
	}
	quoted, _ := encode.JSON(s) // a string always encodes
	return quoted
}
