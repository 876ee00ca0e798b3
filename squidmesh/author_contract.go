package squidmesh

import (
	"reflect"
)

// Contract says what a run's input must be. The zero Contract accepts the empty object only. [Payload] makes one.
type Contract struct {
	typ      reflect.Type
	defaults Defaults
}

// Payload makes the contract that a run's input has the shape of T, a struct. Every value must have its field's type, and unknown
// fields are refused. A field may be missing if it is a pointer, is marked omitempty or omitzero, or has a default.
//
// A start decodes the input into a T once, to ask the types that read themselves, such as uuid.UUID or your own with UnmarshalText.
// These must answer at once, and give the same answer at any time.
func Payload[T any](defaults ...Defaults) Contract {
	c := Contract{typ: reflect.TypeFor[T](), defaults: Defaults{}}
	for _, d := range defaults {
		for k, v := range d {
			c.defaults[k] = v
		}
	}
	return c
}
