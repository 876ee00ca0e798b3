package jsontype

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
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

// AsWritten describes what encoding/json writes of values of a Go type, and AsRead what it reads into them. They differ if a type
// has methods for one of the two only. What they cannot see is any: interfaces, custom marshalers, and a type within itself. What
// encoding/json cannot write, or cannot read again, is none.
func AsWritten(t reflect.Type) Type { return typing{written: true}.of(t) }

func AsRead(t reflect.Type) Type { return typing{}.of(t) }

// typing is the description of a type, on its way from the outside in.
type typing struct {
	written bool
	// inMap says that a written value stands in a map: encoding/json cannot take its address, and so passes over methods of its pointer.
	inMap bool
	types []reflect.Type // that are being described
}

func (d typing) of(t reflect.Type) Type {
	if t.Kind() == reflect.Pointer && !slices.Contains(d.types, t) {
		d.inMap = false
		elem := d.within(t).of(t.Elem())
		elem.Nullable = true
		return elem
	}
	if known, ok := d.known(t); ok {
		return known
	}
	switch t.Kind() {
	case reflect.Bool:
		return Type{Kind: Boolean}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return Type{Kind: Integer, Format: integerFormat(t.Kind())}
	case reflect.Float32:
		return Type{Kind: Number, Format: formatFloat32}
	case reflect.Float64:
		return Type{Kind: Number}
	case reflect.String:
		return Type{Kind: String}
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		if slices.Contains(d.types, t) {
			return Anything
		}
		return d.within(t).composite(t)
	default: // channels, functions, complex numbers
		return d.formless("%s has no JSON form", t)
	}
}

// formless is what can be neither written nor read.
func (d typing) formless(format string, args ...any) Type {
	if d.written {
		return cannotWrite(format, args...)
	}
	return cannotRead(format, args...)
}

func (d typing) within(t reflect.Type) typing {
	d.types = append(slices.Clip(d.types), t)
	return d
}

// composite describes a type that has others inside; it is the last one of the receiver.
func (d typing) composite(t reflect.Type) Type {
	switch t.Kind() {
	case reflect.Slice:
		if isByte(t.Elem()) {
			return Type{Kind: String, Format: formatByte, Nullable: true}
		}
		d.inMap = false
		elem := d.of(t.Elem())
		return Type{Kind: Array, Nullable: true, Elem: &elem}
	case reflect.Array:
		elem := d.of(t.Elem())
		return Type{Kind: Array, Elem: &elem}
	case reflect.Map:
		if !d.isMapKey(t.Key()) {
			return d.formless("keys of type %s have no JSON form", t.Key())
		}
		d.inMap = true
		elem := d.of(t.Elem())
		return Type{Kind: Object, Nullable: true, Open: true, Keys: d.mapKeys(t.Key()), Elem: &elem}
	default:
		return Type{Kind: Object, Fields: d.fields(t)}
	}
}

// known describes the types whose JSON form does not follow from their kind.
func (d typing) known(t reflect.Type) (Type, bool) {
	switch {
	case t == timeType:
		return Type{Kind: String, Format: DateTime}, true
	case t == numberType:
		return Type{Kind: Number, Format: formatDecimal}, true
	case t.Kind() == reflect.Interface:
		return d.knownInterface(t), true
	case d.written:
		return d.writesItself(t)
	default:
		return readsItself(t)
	}
}

// knownInterface describes an interface. One that has methods takes no value that is read.
func (d typing) knownInterface(t reflect.Type) Type {
	switch {
	case t.NumMethod() == 0, d.written && t.Implements(marshaler):
		return Anything
	case d.written && t.Implements(textMarshaler):
		return Type{Kind: String, Nullable: true}
	default:
		return cannotRead("what is in an interface with methods such as %s does not read back: use a struct, a string or json.RawMessage", t)
	}
}

func (d typing) writesItself(t reflect.Type) (Type, bool) {
	for _, form := range []struct {
		methods reflect.Type
		typ     Type
	}{{marshaler, Anything}, {textMarshaler, Type{Kind: String}}} {
		switch {
		case t.Implements(form.methods):
			return form.typ, true
		case !reflect.PointerTo(t).Implements(form.methods):
		case d.inMap:
			return cannotWrite("%s writes itself by methods of its pointer, which encoding/json does not call for values in a map: make it a map of *%s", t, t), true
		default:
			return form.typ, true
		}
	}
	return Type{}, false
}

func readsItself(t reflect.Type) (Type, bool) {
	pointer := reflect.PointerTo(t)
	switch {
	case pointer.Implements(unmarshaler):
		return Anything, true
	case pointer.Implements(textUnmarshaler):
		return Type{Kind: String}, true
	case has(t, marshaler):
		return cannotRead("%s has MarshalJSON and no UnmarshalJSON, so what it writes does not read back", t), true
	case has(t, textMarshaler):
		return cannotRead("%s has MarshalText and no UnmarshalText, so what it writes does not read back", t), true
	default:
		return Type{}, false
	}
}

// cannotWrite and cannotRead make the types of what Compile refuses, with the reason.
func cannotWrite(format string, args ...any) Type {
	return Type{Kind: None, problem: "unencodable_type", why: fmt.Sprintf(format, args...)}
}

func cannotRead(format string, args ...any) Type {
	return Type{Kind: None, problem: "unreadable_type", why: fmt.Sprintf(format, args...)}
}

// has reports whether values of the type, or pointers to them, have the methods of the interface.
func has(t, methods reflect.Type) bool {
	return t.Implements(methods) || reflect.PointerTo(t).Implements(methods)
}

// isByte reports whether encoding/json writes slices of the type as base64.
func isByte(t reflect.Type) bool {
	return t.Kind() == reflect.Uint8 && !has(t, marshaler) && !has(t, textMarshaler)
}

// isMapKey reports whether encoding/json makes such keys of maps from strings, or strings from them.
func (d typing) isMapKey(t reflect.Type) bool {
	number := t.Kind() >= reflect.Int && t.Kind() <= reflect.Uintptr
	switch {
	case t.Kind() == reflect.String:
		return true
	case d.written:
		return number || t.Implements(textMarshaler)
	default:
		return reflect.PointerTo(t).Implements(textUnmarshaler) || number && !t.Implements(textMarshaler)
	}
}

// mapKeys is what the keys of a map are limited to.
func (d typing) mapKeys(t reflect.Type) string {
	if t.Kind() == reflect.String || has(t, textMarshaler) || has(t, textUnmarshaler) {
		return ""
	}
	return cmp.Or(integerFormat(t.Kind()), Integer)
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

func (d typing) fields(t reflect.Type) []Field {
	var candidates []candidate
	d.collect(t, nil, false, nil, &candidates)
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
func (d typing) collect(t reflect.Type, index []int, optional bool, within []reflect.Type, into *[]candidate) {
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
				embedded, behind := d, sf.Type.Kind() == reflect.Pointer
				embedded.inMap = d.inMap && !behind
				embedded.collect(elem, at, optional || behind, within, into)
				continue
			}
		} else if !sf.IsExported() {
			continue
		}
		typ := d.of(sf.Type)
		if hasOption(options, "string") {
			typ = d.quoted(typ, elem)
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

// quoted is the form of a scalar under the ",string" option. Other kinds ignore it, and so do types that write themselves; those that
// read themselves are handed what is in the quotes, which is not what they wrote.
func (d typing) quoted(typ Type, t reflect.Type) Type {
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
	default:
		return typ
	}
	if _, own := d.known(t); own && t != numberType {
		if d.written || typ.Kind == None {
			return typ
		}
		return cannotRead(`%s reads itself, which the option ",string" would hinder: leave the option out`, t)
	}
	return Type{Kind: String, Nullable: typ.Nullable, Format: cmp.Or(typ.Format, typ.Kind)}
}

// inQuotes is the scalar that a format of strings puts in quotes.
func inQuotes(format string) (Type, bool) {
	switch format {
	case "", DateTime, formatByte:
		return Type{}, false
	case Boolean, String, Integer, Number:
		return Type{Kind: format}, true
	case formatFloat32, formatDecimal:
		return Type{Kind: Number, Format: format}, true
	default:
		return Type{Kind: Integer, Format: format}, true
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
