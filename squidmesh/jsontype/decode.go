package jsontype

import (
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/text"
)

// DecodeCheck returns why a payload, or a part of one, does not decode.
type DecodeCheck func(payload []byte) error

// Undecodable lists the parts of a payload that do not decode, given the error of the whole. The error of a type that reads itself
// does not say where it was, so each part is decoded by itself.
func Undecodable(t *Type, doc Value, decodes DecodeCheck, err error) []FieldProblem {
	s := decodeSearch{decodes: decodes}
	s.within(t, doc, err, "", "")
	return s.problems
}

// decodeSearch halves objects and arrays until it has the values that do not decode, or its list is full.
type decodeSearch struct {
	problemList
	decodes DecodeCheck
}

// within looks into a value that stands between head and tail, and with which they do not decode.
func (s *decodeSearch) within(t *Type, v Value, err error, head, tail string) {
	found := len(s.problems)
	// What stays open is read by a type of its own, which may want all of it. And if the value is not to blame, its key is.
	if begin, end, ok := brackets(v); ok && t.Kind != Any && s.decodes([]byte(head+begin+end+tail)) == nil {
		var parts []Value
		for _, part := range v.Parts() {
			parts = append(parts, part)
		}
		s.among(t, parts, 0, head+begin, end+tail)
	}
	if len(s.problems) == found {
		s.report("wrong_format", "it cannot be decoded: "+text.OneLine(err))
	}
}

// among looks for those of the parts of an object or array, the first of which has that index, that do not decode.
func (s *decodeSearch) among(t *Type, parts []Value, index int, head, tail string) {
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
		b.Write(part.Canonical())
	}
	b.WriteString(tail)
	err := s.decodes([]byte(b.String()))
	switch {
	case err == nil:
	case len(parts) > 1:
		half := len(parts) / 2
		s.among(t, parts[:half], index, head, tail)
		s.among(t, parts[half:], index+half, head, tail)
	case t.Kind == Array:
		s.push(pathStep{index: index})
		s.within(t.Elem, parts[0], err, head, tail)
		s.pop()
	default:
		key := parts[0].Key()
		typ := t.Elem
		if f, ok := t.Field(key); ok {
			typ = &f.Type
		}
		s.push(pathStep{key: key, index: -1})
		s.within(typ, parts[0], err, head+parts[0].prefix(), tail)
		s.pop()
	}
}

// brackets are those of an object or array.
func brackets(v Value) (begin, end string, ok bool) {
	switch v.Kind() {
	case '{':
		return "{", "}", true
	case '[':
		return "[", "]", true
	default:
		return "", "", false
	}
}
