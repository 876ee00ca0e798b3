package squidmesh

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// maxDecodeText bounds what is told of the words of a type that refuses a value.
const maxDecodeText = 256

// decodeCheck tells why a payload, or a part of one, does not decode.
type decodeCheck func(payload []byte) error

// decodes checks by reading into the contract's own type, as a step of that type will. Types that read themselves (a uuid.UUID, a
// netip.Addr, whatever has an UnmarshalText or UnmarshalJSON) take less than [Type] can say, and this is the only way to ask them.
func (c Contract) decodes() decodeCheck {
	if c.typ == nil {
		return func([]byte) error { return nil }
	}
	typ := readType(c.typ)
	unmarshal := unmarshalFor(&typ)
	return func(payload []byte) (err error) {
		defer func() { // it is their code, in the caller's goroutine
			if r := recover(); r != nil {
				err = fmt.Errorf("panicked: %s", printed(r))
			}
		}()
		return unmarshal(payload, reflect.New(c.typ).Interface())
	}
}

// undecodable lists the parts of a payload that do not decode, given the error of the whole. The error of a type that reads itself does
// not say where it was, so parts are decoded apart.
func undecodable(t *Type, doc jsonValue, decodes decodeCheck, err error) []FieldProblem {
	s := decodeSearch{decodes: decodes}
	s.within(t, doc, err, "", "")
	return s.problems
}

// decodeSearch halves objects and arrays until it has the values that do not decode, or its list is full.
type decodeSearch struct {
	problemList
	decodes decodeCheck
}

// within looks into a value that stands between head and tail, and with which they do not decode.
func (s *decodeSearch) within(t *Type, v jsonValue, err error, head, tail string) {
	found := len(s.problems)
	// What stays open is read by a type of its own, which may want all of it. And if the value is not to blame, its key is.
	if begin, end, ok := brackets(v); ok && t.Kind != kindAny && s.decodes([]byte(head+begin+end+tail)) == nil {
		var parts []jsonValue
		for _, part := range v.parts() {
			parts = append(parts, part)
		}
		s.among(t, parts, 0, head+begin, end+tail)
	}
	if len(s.problems) == found {
		s.report("wrong_format", "it cannot be decoded: "+oneLine(err))
	}
}

// among looks for those of the parts of an object or array, the first of which has that index, that do not decode.
func (s *decodeSearch) among(t *Type, parts []jsonValue, index int, head, tail string) {
	if len(parts) == 0 || s.full() {
		return
	}
	var b strings.Builder
	b.WriteString(head)
	for i, part := range parts {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(part.prefix())
		b.Write(part.canonical())
	}
	b.WriteString(tail)
	err := s.decodes([]byte(b.String()))
	switch {
	case err == nil:
	case len(parts) > 1:
		half := len(parts) / 2
		s.among(t, parts[:half], index, head, tail)
		s.among(t, parts[half:], index+half, head, tail)
	case t.Kind == kindArray:
		s.push(pathStep{index: index})
		s.within(t.Elem, parts[0], err, head, tail)
		s.pop()
	default:
		key := parts[0].key()
		typ := t.Elem
		if f, ok := t.field(key); ok {
			typ = &f.Type
		}
		s.push(pathStep{key: key, index: -1})
		s.within(typ, parts[0], err, head+parts[0].prefix(), tail)
		s.pop()
	}
}

// oneLine is what an error of a user's type says, as a part of a line.
func oneLine(err error) string {
	return strings.ReplaceAll(clean(errorText(err), maxDecodeText), "\n", `\n`)
}

// prefix is the key of a member with its colon; empty for an element.
func (v jsonValue) prefix() string {
	if v.node().key == (span{}) {
		return ""
	}
	return string(quote(v.key())) + ":"
}

// brackets are those of an object or array.
func brackets(v jsonValue) (begin, end string, ok bool) {
	switch v.kind() {
	case '{':
		return "{", "}", true
	case '[':
		return "[", "]", true
	default:
		return "", "", false
	}
}

// decodesDefault asks the contract's type about the default of a field. What a dynamic one will be is told by examples.
func decodesDefault(t TriggerSpec, key string, value any, decodes decodeCheck) error {
	examples := []any{value}
	if value == any(Now) || value == any(Today) {
		examples = nil
		for _, at := range []time.Time{time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC), time.Date(2006, 1, 2, 15, 4, 5, 678901000, time.UTC)} {
			example, err := defaultValue(t, value, at)
			if err != nil {
				return nil // a time zone that has been told of
			}
			examples = append(examples, example)
		}
	}
	for _, example := range examples {
		literal, _ := example.(json.RawMessage)
		if err := decodes(writeObject(map[string]json.RawMessage{key: literal})); err != nil {
			return fmt.Errorf("%s cannot be decoded: %s", clean(string(literal), maxDecodeText), oneLine(err))
		}
	}
	return nil
}
