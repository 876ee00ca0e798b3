// Package marked finds the texts of a value that a function leaves as they are, for tests that no text may be forgotten.
package marked

import (
	"encoding/json"
	"reflect"
)

// Mark is what [Fill] puts into every text. As a document it is a string.
const Mark = `"marked"`

// Fill marks every string and every document of a struct that v points to, and of what its fields hold: it makes one element of a slice, and
// what a pointer may point to. Strings of a type of their own are values of a vocabulary and stay, like maps, and fields that are not exported.
func Fill(v any) { fill(reflect.ValueOf(v).Elem()) }

func fill(v reflect.Value) {
	switch {
	case isDocument(v.Type()):
		v.SetBytes([]byte(Mark))
	case isText(v.Type()):
		v.SetString(Mark)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case v.Kind() == reflect.Struct:
		for _, field := range fieldsOf(v.Type()) {
			fill(v.FieldByIndex(field.Index))
		}
	}
}

// Left are the paths of the texts of a struct that are marked.
func Left(v any) []string { return left(nil, "", reflect.ValueOf(v)) }

func left(found []string, path string, v reflect.Value) []string {
	switch {
	case isDocument(v.Type()) && string(v.Bytes()) == Mark, isText(v.Type()) && v.String() == Mark:
		found = append(found, path)
	case isDocument(v.Type()):
	case v.Kind() == reflect.Pointer && !v.IsNil():
		found = left(found, path, v.Elem())
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			found = left(found, path, v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for _, field := range fieldsOf(v.Type()) {
			name := field.Name
			if path != "" {
				name = path + "." + name
			}
			found = left(found, name, v.FieldByIndex(field.Index))
		}
	}
	return found
}

func fieldsOf(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for i := range t.NumField() {
		if field := t.Field(i); field.IsExported() {
			fields = append(fields, field)
		}
	}
	return fields
}

func isText(t reflect.Type) bool { return t == reflect.TypeFor[string]() }

func isDocument(t reflect.Type) bool { return t == reflect.TypeFor[json.RawMessage]() }
