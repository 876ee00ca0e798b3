package encode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/text"
)

// Object writes an object with sorted keys and its values as they are.
func Object(values map[string]json.RawMessage) json.RawMessage {
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
		b.Write(Quote(key))
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

// Quote writes a string as JSON.
func Quote(s string) []byte {
	if plain(s) {
		return []byte(`"` + s + `"`)
	}
	quoted, _ := JSON(s) // a string always encodes
	return quoted
}

// Safely encodes values whose own methods may panic.
func Safely(v any) (data []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%T panicked: %s", v, text.Print(r))
		}
	}()
	return JSON(v)
}
