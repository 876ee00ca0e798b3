package squidmesh

import (
	"reflect"
)

// Contract says what a run's input must be. The zero Contract accepts only the empty object. See [Payload].
type Contract struct {
	typ      reflect.Type
	defaults Defaults
}

// Payload is the contract that a run's input has the shape of T, a struct: no unknown fields, no field missing that is neither a
// pointer nor marked omitempty or omitzero nor given a default, every value of its field's type. A start decodes it into a T once, to ask
// the types that read themselves, such as uuid.UUID or your own with UnmarshalText. They must answer at once, and the same at any time.
func Payload[T any](defaults ...Defaults) Contract {
	c := Contract{typ: reflect.TypeFor[T](), defaults: Defaults{}}
	for _, d := range defaults {
		for k, v := range d {
			c.defaults[k] = v
		}
	}
	return c
}
