package jsontype

import (
	"slices"
)

// ValueType is the type of the values of an opaque object.
func (t *Type) ValueType() Type {
	if t.Elem != nil {
		return *t.Elem
	}
	return Type{Kind: Any, Nullable: true}
}

// Reads is a key as the input reads it. What is opaque reads anything, and does without it.
func (t *Type) Reads(key string) Field {
	if f, ok := t.Field(key); ok {
		return f
	}
	return Field{Name: key, Type: t.ValueType()}
}

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

	problem, why string // of None: the code of the problem, and what stands in the way
}

// Field is one key of an object.
type Field struct {
	Name string `json:"name"`
	// Required: as input, the key must be there; as output, it is certain to be.
	Required bool `json:"required,omitempty"`
	Type     Type `json:"type"`
}

// The kinds of types. A None value has no JSON form; Compile accepts no such type.
const (
	Object  = "object"
	Array   = "array"
	String  = "string"
	Number  = "number"
	Integer = "integer"
	Boolean = "boolean"
	Any     = "any"
	None    = "none"
)

// The formats of strings and numbers. Those of integers are their widths.
const (
	DateTime      = "date-time"
	formatByte    = "byte"
	formatFloat32 = "float32"
	formatDecimal = "decimal"
)

// Field finds a field by its exact name.
func (t *Type) Field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Problem is the code of what keeps a type of kind [None] from having a JSON form; empty for all others.
func (t *Type) Problem() string { return t.problem }

// Why says what that is.
func (t *Type) Why() string { return t.why }

// Names are the names of the fields.
func (t *Type) Names() []string {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return names
}

// Unfit finds a part of the type that cannot be written or read; nil if there is none.
func (t *Type) Unfit() (path string, part *Type) {
	if t.Kind == None {
		return "", t
	}
	for i := range t.Fields {
		if path, part := t.Fields[i].Type.Unfit(); part != nil {
			return JoinPath(t.Fields[i].Name, path), part
		}
	}
	if t.Elem != nil {
		if path, part := t.Elem.Unfit(); part != nil {
			return JoinPath("[]", path), part
		}
	}
	return "", nil
}

// JoinPath puts a field or index in front of a path.
func JoinPath(first, rest string) string {
	if first == "" || rest == "" || rest[0] == '[' {
		return first + rest
	}
	return first + "." + rest
}

// Opaque reports whether the type does not say which keys its objects have.
func (t *Type) Opaque() bool {
	return t.Kind == Any || t.Kind == Object && t.Open
}

// LeavesOpen reports whether any part of the type is opaque as a whole.
func (t *Type) LeavesOpen() bool {
	return t.Kind == Any || t.Elem != nil && t.Elem.LeavesOpen() ||
		slices.ContainsFunc(t.Fields, func(f Field) bool { return f.Type.LeavesOpen() })
}

// String is the type in a problem's words.
func (t Type) String() string {
	switch {
	case t.Kind == Array && t.Elem != nil:
		return "array of " + t.Elem.String()
	case t.Kind == Object && t.Open:
		return "map"
	case t.Format != "":
		return t.Kind + " (" + t.Format + ")"
	default:
		return t.Kind
	}
}

var Anything = Type{Kind: Any, Nullable: true}
