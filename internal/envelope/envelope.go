// Package envelope knows sealed values from plain ones by how they begin.
package envelope

import (
	"encoding/json"
)

// Envelope is what stands in a JSON column instead of a value.
type Envelope struct {
	Sealed struct {
		Key  string `json:"key"`
		Data []byte `json:"data"`
	} `json:"$sealed"`
}

// KeyOf is the id of the key that an envelope names; empty for what only looks like one.
func KeyOf(sealed json.RawMessage) string {
	var e Envelope
	_ = json.Unmarshal(sealed, &e)
	return e.Sealed.Key
}

// Reserved is said of users' values that look like envelopes.
const Reserved = `an object whose first key is "$sealed" is reserved for what a codec seals: wrap it in another object`

const Start = `{"$sealed":`

// Is reports whether a value is an envelope. Objects whose first key is "$sealed" are reserved for that:
// a result that is one is refused.
func Is[T ~string | ~[]byte](value T) bool {
	return len(value) > len(Start) && string(value[:len(Start)]) == Start
}
