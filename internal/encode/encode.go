// Package encode writes the JSON that is stored.
package encode

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// JSON encodes a value as json.Marshal does, with two differences. Methods of the value's pointer are called too, for json.Marshal cannot
// take the address of what it is given, and writes a big.Int as {}. And <, > and & stay what they are: the escapes, which only HTML
// needs, take six bytes for one. Those that a MarshalJSON of the value has made by itself are taken back.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(addressable(v)); err != nil {
		return nil, err
	}
	return unescapeHTML(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// addressable is a value, or a pointer to a copy of it, that encodes with the methods of its pointer.
func addressable(v any) any {
	value := reflect.ValueOf(v)
	switch value.Kind() {
	case reflect.Invalid, reflect.Pointer:
		return v
	}
	pointer := reflect.New(value.Type())
	pointer.Elem().Set(value)
	return pointer.Interface()
}

// unescapeHTML replaces \u003c, \u003e and \u0026 in valid JSON, in place.
func unescapeHTML(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u00`)) {
		return data
	}
	kept := data[:0]
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			kept = append(kept, data[i])
			continue
		}
		if plain, ok := htmlEscape(data[i:]); ok {
			kept = append(kept, plain)
			i += len(`u003c`)
			continue
		}
		kept = append(kept, data[i], data[i+1]) // of an escaped backslash both
		i++
	}
	return kept
}

// htmlEscape is the character of the escape that data begins with.
func htmlEscape(data []byte) (plain byte, ok bool) {
	if len(data) < len(`\u003c`) || data[1] != 'u' {
		return 0, false
	}
	switch string(bytes.ToLower(data[2:6])) {
	case "003c":
		return '<', true
	case "003e":
		return '>', true
	case "0026":
		return '&', true
	default:
		return 0, false
	}
}
