package squidmesh

import "slices"

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
	// Keys of an open object: the kind or format of integers that its keys must be, empty for any text.
	Keys string `json:"keys,omitempty"`
	// Elem of an array, or of the values of an open object.
	Elem *Type `json:"elem,omitempty"`
	// Format narrows a kind. Of strings: "date-time" for time.Time, "byte" for base64, and the kind or format of values that a
	// ",string" tag puts in quotes. Of integers: the width, such as "int32", where it is not that of int64. Of numbers: "float32", and
	// "decimal" for json.Number, which has as many digits as it likes. Empty otherwise.
	Format string `json:"format,omitempty"`

	problem, why string // of kindNone: the code of the problem, and what stands in the way
}

// Field is one key of an object.
type Field struct {
	Name string `json:"name"`
	// Required: as input, the key must be there; as output, it is certain to be.
	Required bool `json:"required,omitempty"`
	Type     Type `json:"type"`
}

// The kinds of types. A kindNone value has no JSON form; Compile accepts no such type.
const (
	kindObject  = "object"
	kindArray   = "array"
	kindString  = "string"
	kindNumber  = "number"
	kindInteger = "integer"
	kindBoolean = "boolean"
	kindAny     = "any"
	kindNone    = "none"
)

// The formats of strings and numbers. Those of integers are their widths.
const (
	formatDateTime = "date-time"
	formatByte     = "byte"
	formatFloat32  = "float32"
	formatDecimal  = "decimal"
)

// field finds a field by its exact name.
func (t *Type) field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// names are the names of the fields.
func (t *Type) names() []string {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return names
}

// unfit finds a part of the type that cannot be written or read; nil if there is none.
func (t *Type) unfit() (path string, part *Type) {
	if t.Kind == kindNone {
		return "", t
	}
	for i := range t.Fields {
		if path, part := t.Fields[i].Type.unfit(); part != nil {
			return joinPath(t.Fields[i].Name, path), part
		}
	}
	if t.Elem != nil {
		if path, part := t.Elem.unfit(); part != nil {
			return joinPath("[]", path), part
		}
	}
	return "", nil
}

// joinPath puts a field or index in front of a path.
func joinPath(first, rest string) string {
	if first == "" || rest == "" || rest[0] == '[' {
		return first + rest
	}
	return first + "." + rest
}

// opaque reports whether the type does not say which keys its objects have.
func (t *Type) opaque() bool {
	return t.Kind == kindAny || t.Kind == kindObject && t.Open
}

// leavesOpen reports whether any part of the type is opaque as a whole.
func (t *Type) leavesOpen() bool {
	return t.Kind == kindAny || t.Elem != nil && t.Elem.leavesOpen() ||
		slices.ContainsFunc(t.Fields, func(f Field) bool { return f.Type.leavesOpen() })
}

// String is the type in a problem's words.
func (t Type) String() string {
	switch {
	case t.Kind == kindArray && t.Elem != nil:
		return "array of " + t.Elem.String()
	case t.Kind == kindObject && t.Open:
		return "map"
	case t.Format != "":
		return t.Kind + " (" + t.Format + ")"
	default:
		return t.Kind
	}
}
