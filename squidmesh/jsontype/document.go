package jsontype

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/text"
)

// prefix is the key of a member with its colon; empty for an element.
func (v Value) prefix() string {
	if v.node().key == (span{}) {
		return ""
	}
	return string(encode.Quote(v.Key())) + ":"
}

// The limits of what is taken from callers. PostgreSQL would refuse NUL and lone surrogates, and nests less deeply than
// encoding/json.
const (
	MaxSize         = 256 << 10
	maxPayloadDepth = 64
)

// jsonDoc is parsed JSON. Unlike what encoding/json makes of it, it keeps numbers and the order of keys, and repeated keys have been
// reported. It is one text and one list of what stands where in it, so that a value of many parts costs little more than its text.
type jsonDoc struct {
	text  string
	nodes []jsonNode
}

// jsonNode is a value of a document. Those that it holds follow it.
type jsonNode struct {
	kind byte  // the first byte: { [ " t f n, a digit or -
	size int32 // of nodes: this one, and those that it holds
	key  span  // of a member of an object, with its quotes
	at   span  // of what is no object or array
}

// span is a part of a document's text.
type span struct{ start, end int32 }

// Value is a value within a document.
type Value struct {
	doc *jsonDoc
	at  int
}

func (v Value) node() *jsonNode { return &v.doc.nodes[v.at] }

func (v Value) Kind() byte { return v.node().kind }

// raw is a text, a number or a literal as it was written.
func (v Value) raw() string { return v.doc.slice(v.node().at) }

// text is a text as it is meant.
func (v Value) text() string { return unquote(v.raw()) }

// Key returns the key of a member.
func (v Value) Key() string { return unquote(v.doc.slice(v.node().key)) }

func (d *jsonDoc) slice(s span) string { return d.text[s.start:s.end] }

// Parts returns the members of an object or the elements of an array, numbered.
func (v Value) Parts() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		end := v.at + int(v.node().size)
		for i, at := 0, v.at+1; at < end; i++ {
			part := Value{v.doc, at}
			if !yield(i, part) {
				return
			}
			at += int(part.node().size)
		}
	}
}

// unquote reads a JSON string whose syntax has been checked.
func unquote(raw string) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	_ = json.Unmarshal([]byte(raw), &s)
	return s
}

// Parse parses one value and lists what JSON that we store must not have.
func Parse(data []byte) (Value, []FieldProblem) {
	if len(data) > MaxSize {
		return Value{}, []FieldProblem{{"", "too_large", strconv.Itoa(len(data)) + " bytes are more than " + strconv.Itoa(MaxSize)}}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Value{}, []FieldProblem{{"", "invalid_json", err.Error()}}
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return Value{}, []FieldProblem{{"", "trailing_data", "more follows after the end of the value"}}
	}
	return Walk(value)
}

// Walk is Parse for a value whose size and syntax have been checked.
func Walk(value []byte) (Value, []FieldProblem) {
	p := jsonParser{doc: &jsonDoc{text: string(value)}}
	p.value(span{})
	return Value{doc: p.doc}, p.problems
}

// jsonParser walks over JSON whose syntax has been checked.
type jsonParser struct {
	problemList
	doc     *jsonDoc
	at      int
	stopped bool // the value nests too deeply, the walk was given up
}

// next skips white space and separators and returns the byte that follows.
func (p *jsonParser) next() byte {
	for strings.IndexByte(" \t\r\n,:", p.doc.text[p.at]) >= 0 {
		p.at++
	}
	return p.doc.text[p.at]
}

func (p *jsonParser) value(key span) {
	kind, at := p.next(), len(p.doc.nodes)
	if len(p.doc.nodes) == cap(p.doc.nodes) {
		p.doc.nodes = slices.Grow(p.doc.nodes, max(4, len(p.doc.nodes)))
	}
	p.doc.nodes = append(p.doc.nodes, jsonNode{kind: kind, key: key})
	start := p.at
	switch kind {
	case '{', '[':
		if len(p.path) >= maxPayloadDepth {
			p.problems = p.problems[:min(len(p.problems), MaxProblems-1)] // it must be told
			p.report("too_deep", "objects and arrays nest deeper than "+strconv.Itoa(maxPayloadDepth))
			p.stopped = true
		} else if kind == '{' {
			p.object()
		} else {
			p.array()
		}
	case '"':
		p.text()
	default:
		for p.at < len(p.doc.text) && strings.IndexByte(" \t\r\n,:]}", p.doc.text[p.at]) < 0 {
			p.at++
		}
	}
	node := &p.doc.nodes[at]
	node.size = int32(len(p.doc.nodes) - at)
	if kind != '{' && kind != '[' {
		node.at = span{int32(start), int32(p.at)}
	}
}

func (p *jsonParser) array() {
	p.at++
	for i := 0; p.next() != ']'; i++ {
		p.push(pathStep{index: i})
		p.value(span{})
		if p.stopped {
			return
		}
		p.pop()
	}
	p.at++
}

func (p *jsonParser) object() {
	p.at++
	var seen keySet
	for p.next() != '}' {
		at := p.text()
		key := unquote(p.doc.slice(at))
		p.push(pathStep{key: key, index: -1})
		if !seen.add(key) {
			p.report("duplicate_key", "the key stands here more than once")
		}
		p.value(at)
		if p.stopped {
			return
		}
		p.pop()
	}
	p.at++
}

// keySet is a set of keys, most often of few.
type keySet struct {
	few  []string
	many map[string]bool
}

// add reports whether the key is new.
func (s *keySet) add(key string) bool {
	switch {
	case s.many != nil:
		if s.many[key] {
			return false
		}
		s.many[key] = true
	case slices.Contains(s.few, key):
		return false
	case len(s.few) < 16:
		s.few = append(s.few, key)
	default:
		s.many = map[string]bool{key: true}
		for _, k := range s.few {
			s.many[k] = true
		}
	}
	return true
}

// text passes over a string, be it a value or a key.
func (p *jsonParser) text() span {
	start := p.at
	for p.at++; p.doc.text[p.at] != '"'; p.at++ {
		if p.doc.text[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
	raw := p.doc.text[start:p.at]
	if !utf8.ValidString(raw) {
		p.report("invalid_utf8", "the text is not UTF-8")
	}
	if strings.IndexByte(raw, '\\') >= 0 {
		nul, lone := escapes(raw)
		if nul {
			p.report("nul_character", `\u0000 cannot be stored`)
		}
		if lone {
			p.report("lone_surrogate", `a \ud800 to \udfff that is no half of a pair is no character`)
		}
	}
	return span{int32(start), int32(p.at)}
}

// escapes looks for escapes that stand for no character that can be stored.
func escapes(raw string) (nul, lone bool) {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		r := hexRune(raw[i+1:])
		i += 4
		nul = nul || r == 0
		if !utf16.IsSurrogate(r) {
			continue
		}
		if strings.HasPrefix(raw[i+1:], `\u`) && utf16.DecodeRune(r, hexRune(raw[i+3:])) != utf8.RuneError {
			i += 6
			continue
		}
		lone = true
	}
	return nul, lone
}

func hexRune(hex string) rune {
	n, _ := strconv.ParseUint(hex[:4], 16, 16)
	return rune(n)
}

// Canonical returns the value with sorted keys and no white space. Numbers stay as they were written.
func (v Value) Canonical() []byte {
	w := jsonWriter{text: func(s string) string { return s }}
	w.value(v)
	return w.b.Bytes()
}

// Mended is Canonical with the texts as [text.Clean] writes them. If several members have one key, the last one stays, as with most
// readers.
func (v Value) Mended() []byte {
	w := jsonWriter{text: func(s string) string { return text.Clean(s, MaxSize) }}
	w.value(v)
	return w.b.Bytes()
}

type jsonWriter struct {
	b    bytes.Buffer
	text func(string) string
}

func (w *jsonWriter) value(v Value) {
	switch v.Kind() {
	case '{':
		w.object(v)
	case '[':
		w.b.WriteByte('[')
		for i, elem := range v.Parts() {
			if i > 0 {
				w.b.WriteByte(',')
			}
			w.value(elem)
		}
		w.b.WriteByte(']')
	case '"':
		w.b.Write(encode.Quote(w.text(v.text())))
	default:
		w.b.WriteString(v.raw())
	}
}

func (w *jsonWriter) object(v Value) {
	type member struct {
		key   string
		value Value
	}
	var members []member
	for _, m := range v.Parts() {
		members = append(members, member{w.text(m.Key()), m})
	}
	slices.SortStableFunc(members, func(x, y member) int { return strings.Compare(x.key, y.key) })
	w.b.WriteByte('{')
	first := true
	for i, m := range members {
		if i+1 < len(members) && members[i+1].key == m.key {
			continue
		}
		if !first {
			w.b.WriteByte(',')
		}
		first = false
		w.b.Write(encode.Quote(m.key))
		w.b.WriteByte(':')
		w.value(m.value)
	}
	w.b.WriteByte('}')
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// pathKey is a key as a part of a path: in brackets and quotes if it could be misread, and cut if it is long.
func pathKey(key string) string {
	if len(key) <= echo.Max && plainKey.MatchString(key) {
		return key
	}
	return "[" + echo.Quote(key) + "]"
}
