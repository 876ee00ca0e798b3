package jsontype

import (
	"slices"
)

// ValueType returns the type of the values of an opaque object.
func (t *Type) ValueType() Type {
	if t.Elem != nil {
		return *t.Elem
	}
	return Type{Kind: Any, Nullable: true}
}

// Reads returns how the input reads a key. An opaque type reads any key, and does without it.
func (t *Type) Reads(key string) Field {
	if f, ok := t.Field(key); ok {
		return f
	}
	return Field{Name: key, Type: t.ValueType()}
}

// Type describes a JSON value as far as Go types tell. The data-flow proof compares types, and payloads are checked against them.
type Type struct {
	// Kind is object, array, string, number, integer, boolean, or any for opaque values.
	Kind string `json:"kind"`
	// Nullable says that null is accepted, as by a pointer, slice or map.
	Nullable bool `json:"nullable,omitempty"`
	// Fields are the fields of an object, in declaration order. An object without Fields and with Open takes any key, as a map
	// does.
	Fields []Field `json:"fields,omitempty"`
	Open   bool    `json:"open,omitempty"`
	// Keys is the kind or format of integers that the keys of an open object must be. Empty means any text.
	Keys string `json:"keys,omitempty"`
	// Elem is the type of an array's elements, or of the values of an open object.
	Elem *Type `json:"elem,omitempty"`
	// Format narrows a kind. A string has "date-time" for time.Time, "byte" for base64, or the kind or format of values that a
	// ",string" tag puts in quotes. An integer has its width, such as "int32", unless that is int64's. A number has "float32", or
	// "decimal" for json.Number, which has as many digits as it likes. Otherwise it is empty.
	Format string `json:"format,omitempty"`

	problem, why string // of None: the code of the problem, and what stands in the way
}

// Field is one key of an object.
type Field struct {
	Name string `json:"name"`
	// Required means that the key must be there in an input, and is certain to be there in an output.
	Required bool `json:"required,omitempty"`
	Type     Type `json:"type"`
}

// The kinds of types. A value of kind None has no JSON form. Compile accepts no such type.
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

// Problem returns the code of the reason why a type of kind [None] has no JSON form. It is empty for all other kinds.
func (t *Type) Problem() string { return t.problem }

// Why says what that is.
func (t *Type) Why() string { return t.why }

// Names returns the names of the fields.
func (t *Type) Names() []string {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return names
}

// Unfit finds a part of the type that cannot be written or read. It returns nil if there is none.
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

// LeavesOpen reports whether the type or a part of it is opaque as a whole.
func (t *Type) LeavesOpen() bool {
	return t.Kind == Any || t.Elem != nil && t.Elem.LeavesOpen() ||
		slices.ContainsFunc(t.Fields, func(f Field) bool { return f.Type.LeavesOpen() })
}

// String returns the type in the words of a problem.
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
