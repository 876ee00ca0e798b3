package squidmesh

// Type describes a JSON value as far as Go types tell. It is what the data-flow proof compares and what payloads are checked
// against.
type Type struct {
	// Kind is object, array, string, number, integer, boolean, or any for opaque values.
	Kind string `json:"kind"`
	// Nullable says that null is accepted (a pointer, slice or map).
	Nullable bool `json:"nullable,omitempty"`
	// Fields of an object, in declaration order. An object without Fields and with Open takes any key (a map).
	Fields []Field `json:"fields,omitempty"`
	Open   bool    `json:"open,omitempty"`
	// Elem of an array, or of the values of an open object.
	Elem *Type `json:"elem,omitempty"`
	// Format narrows a string: "date-time" for time.Time. Empty otherwise.
	Format string `json:"format,omitempty"`
}

// Field is one key of an object.
type Field struct {
	Name string `json:"name"`
	// Required: as input, the key must be there; as output, it is certain to be.
	Required bool `json:"required,omitempty"`
	Type     Type `json:"type"`
}

// field finds a field by its exact name.
func (t *Type) field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}
