package squidmesh

import (
	"cmp"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

var (
	timeType        = reflect.TypeFor[time.Time]()
	numberType      = reflect.TypeFor[json.Number]()
	marshaler       = reflect.TypeFor[json.Marshaler]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// typeOf describes the JSON form of a Go type by the rules of encoding/json. What these leave open is any: interfaces,
// custom marshalers, and a type within itself.
func typeOf(t reflect.Type) Type {
	return typing{}.of(t)
}

// typing is the types that are being described, from the outside in.
type typing []reflect.Type

func (in typing) of(t reflect.Type) Type {
	if t.Kind() == reflect.Pointer && !slices.Contains(in, t) {
		elem := append(slices.Clip(in), t).of(t.Elem())
		elem.Nullable = true
		return elem
	}
	if known, ok := knownType(t); ok {
		return known
	}
	switch t.Kind() {
	case reflect.Bool:
		return Type{Kind: kindBoolean}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return Type{Kind: kindInteger, Format: integerFormat(t.Kind())}
	case reflect.Float32:
		return Type{Kind: kindNumber, Format: "float32"}
	case reflect.Float64:
		return Type{Kind: kindNumber}
	case reflect.String:
		return Type{Kind: kindString}
	case reflect.Interface:
		return Type{Kind: kindAny, Nullable: true}
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		if slices.Contains(in, t) {
			return Type{Kind: kindAny, Nullable: true}
		}
		return append(slices.Clip(in), t).composite(t)
	default: // channels, functions, complex numbers
		return Type{Kind: kindNone}
	}
}

// composite describes a type that has others inside; it is the last one of the receiver.
func (in typing) composite(t reflect.Type) Type {
	switch t.Kind() {
	case reflect.Slice:
		if isByte(t.Elem()) {
			return Type{Kind: kindString, Format: formatByte, Nullable: true}
		}
		elem := in.of(t.Elem())
		return Type{Kind: kindArray, Nullable: true, Elem: &elem}
	case reflect.Array:
		elem := in.of(t.Elem())
		return Type{Kind: kindArray, Elem: &elem}
	case reflect.Map:
		if !isMapKey(t.Key()) {
			return Type{Kind: kindNone}
		}
		elem := in.of(t.Elem())
		return Type{Kind: kindObject, Nullable: true, Open: true, Elem: &elem}
	default:
		return Type{Kind: kindObject, Fields: in.fields(t)}
	}
}

// knownType describes the types whose JSON form does not follow from their kind.
func knownType(t reflect.Type) (Type, bool) {
	switch {
	case t == timeType:
		return Type{Kind: kindString, Format: formatDateTime}, true
	case t == numberType:
		return Type{Kind: kindNumber}, true
	case t.Kind() == reflect.Interface:
		return Type{}, false
	case has(t, marshaler) || has(t, unmarshaler):
		return Type{Kind: kindAny, Nullable: true}, true
	case has(t, textMarshaler) || has(t, textUnmarshaler):
		return Type{Kind: kindString}, true
	default:
		return Type{}, false
	}
}

// has reports whether values of the type, or pointers to them, have the methods of the interface.
func has(t, methods reflect.Type) bool {
	return t.Implements(methods) || reflect.PointerTo(t).Implements(methods)
}

// isByte reports whether encoding/json writes slices of the type as base64.
func isByte(t reflect.Type) bool {
	return t.Kind() == reflect.Uint8 && !has(t, marshaler) && !has(t, textMarshaler)
}

// isMapKey reports whether encoding/json turns such keys of maps into strings.
func isMapKey(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uintptr || t.Kind() == reflect.String || has(t, textMarshaler)
}

func integerFormat(k reflect.Kind) string {
	switch k {
	case reflect.Int, reflect.Int64:
		return ""
	case reflect.Uint, reflect.Uintptr:
		return "uint64"
	default:
		return k.String()
	}
}

// candidate is a struct field that would have a JSON name. Where several would have the same, encoding/json takes the
// shallowest one, or the only tagged one among the shallowest, or none.
type candidate struct {
	Field
	index  []int
	tagged bool
}

func (c candidate) rank() int {
	if c.tagged {
		return 0
	}
	return 1
}

func (in typing) fields(t reflect.Type) []Field {
	var candidates []candidate
	in.collect(t, nil, false, nil, &candidates)
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), len(a.index)-len(b.index), a.rank()-b.rank())
	})
	var dominant []candidate
	for i := 0; i < len(candidates); {
		n := 1
		for i+n < len(candidates) && candidates[i+n].Name == candidates[i].Name {
			n++
		}
		first := candidates[i]
		if n == 1 || len(first.index) < len(candidates[i+1].index) || first.tagged && !candidates[i+1].tagged {
			dominant = append(dominant, first)
		}
		i += n
	}
	slices.SortFunc(dominant, func(a, b candidate) int { return slices.Compare(a.index, b.index) })
	var fields []Field
	for _, c := range dominant {
		fields = append(fields, c.Field)
	}
	return fields
}

// collect gathers the candidates of a struct and of the structs embedded in it. Optional says that the struct stands
// behind an embedded pointer, which may be nil.
func (in typing) collect(t reflect.Type, index []int, optional bool, within []reflect.Type, into *[]candidate) {
	if slices.Contains(within, t) {
		return
	}
	within = append(slices.Clip(within), t)
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if sf.Tag.Get("json") == "-" {
			continue
		}
		if !validTag(name) {
			name = ""
		}
		elem := sf.Type
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		at := append(slices.Clip(index), i)
		if sf.Anonymous {
			if !sf.IsExported() && elem.Kind() != reflect.Struct {
				continue
			}
			if name == "" && elem.Kind() == reflect.Struct {
				in.collect(elem, at, optional || sf.Type.Kind() == reflect.Pointer, within, into)
				continue
			}
		} else if !sf.IsExported() {
			continue
		}
		typ := in.of(sf.Type)
		if hasOption(options, "string") {
			typ = quoted(typ, elem.Kind())
		}
		omitted := hasOption(options, "omitempty") || hasOption(options, "omitzero")
		*into = append(*into, candidate{
			Field: Field{
				Name:     cmp.Or(name, sf.Name),
				Required: !optional && !omitted && sf.Type.Kind() != reflect.Pointer,
				Type:     typ,
			},
			index:  at,
			tagged: name != "",
		})
	}
}

// quoted is the form of a scalar under the ",string" option. Other kinds ignore it.
func quoted(t Type, k reflect.Kind) Type {
	switch k {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return Type{Kind: kindString, Nullable: t.Nullable, Format: t.Kind}
	default:
		return t
	}
}

func hasOption(options, option string) bool {
	return slices.Contains(strings.Split(options, ","), option)
}

// validTag is encoding/json's rule for names in tags; other names count as none.
func validTag(s string) bool {
	for _, r := range s {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return s != ""
}
