package squidmesh

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// The limits of what is taken from callers. PostgreSQL would refuse NUL and lone surrogates, and nests less deeply than
// encoding/json.
const (
	maxPayloadSize  = 256 << 10
	maxPayloadDepth = 64
	maxProblems     = 100 // listed of one payload
)

// jsonValue is a parsed JSON value. Unlike what encoding/json makes of one, it keeps numbers and the order of keys, and
// repeated keys have been reported.
type jsonValue struct {
	kind    byte   // the first byte: { [ " t f n, a digit or -
	raw     []byte // of numbers and literals, as written
	text    string // of strings
	members []jsonMember
	elems   []jsonValue
}

type jsonMember struct {
	key   string
	value jsonValue
}

// parseJSON parses one value and lists what no JSON that we store may have.
func parseJSON(data []byte) (jsonValue, []FieldProblem) {
	if len(data) > maxPayloadSize {
		return jsonValue{}, []FieldProblem{{"", "too_large", strconv.Itoa(len(data)) + " bytes are more than " + strconv.Itoa(maxPayloadSize)}}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return jsonValue{}, []FieldProblem{{"", "invalid_json", err.Error()}}
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return jsonValue{}, []FieldProblem{{"", "trailing_data", "more follows after the end of the value"}}
	}
	return walkJSON(value)
}

// walkJSON is parseJSON for one value whose size and syntax have been checked.
func walkJSON(value []byte) (jsonValue, []FieldProblem) {
	p := jsonParser{data: value}
	parsed := p.value("", 1)
	return parsed, p.problems
}

// jsonParser walks over JSON whose syntax has been checked.
type jsonParser struct {
	data     []byte
	at       int
	problems []FieldProblem
	stopped  bool // the value nests too deeply, the walk was given up
}

func (p *jsonParser) report(path, code, detail string) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, FieldProblem{path, code, detail})
	}
}

// next skips white space and separators and returns the byte that follows.
func (p *jsonParser) next() byte {
	for p.at < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[p.at]) >= 0 {
		p.at++
	}
	return p.data[p.at]
}

func (p *jsonParser) value(path string, depth int) jsonValue {
	v := jsonValue{kind: p.next()}
	if (v.kind == '{' || v.kind == '[') && depth > maxPayloadDepth {
		p.report(path, "too_deep", "objects and arrays nest deeper than "+strconv.Itoa(maxPayloadDepth))
		p.stopped = true
		return v
	}
	switch v.kind {
	case '{':
		p.object(&v, path, depth)
	case '[':
		p.at++
		for p.next() != ']' {
			v.elems = append(v.elems, p.value(joinPath(path, "["+strconv.Itoa(len(v.elems))+"]"), depth+1))
			if p.stopped {
				return v
			}
		}
		p.at++
	case '"':
		v.text = p.text(path)
	default:
		start := p.at
		for p.at < len(p.data) && strings.IndexByte(" \t\r\n,:]}", p.data[p.at]) < 0 {
			p.at++
		}
		v.raw = p.data[start:p.at]
	}
	return v
}

func (p *jsonParser) object(v *jsonValue, path string, depth int) {
	p.at++
	seen := map[string]bool{}
	for p.next() != '}' {
		key := p.text(path)
		at := joinPath(path, pathKey(key))
		if seen[key] {
			p.report(at, "duplicate_key", "the key stands here more than once")
		}
		seen[key] = true
		v.members = append(v.members, jsonMember{key, p.value(at, depth+1)})
		if p.stopped {
			return
		}
	}
	p.at++
}

// text reads a string, be it a value or a key.
func (p *jsonParser) text(path string) string {
	start := p.at
	for p.at++; p.data[p.at] != '"'; p.at++ {
		if p.data[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
	raw := p.data[start:p.at]
	if !utf8.Valid(raw) {
		p.report(path, "invalid_utf8", "the text is not UTF-8")
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	nul, lone := escapes(raw)
	if nul {
		p.report(path, "nul_character", `\u0000 cannot be stored`)
	}
	if lone {
		p.report(path, "lone_surrogate", `a \ud800 to \udfff that is no half of a pair is no character`)
	}
	var s string
	_ = json.Unmarshal(raw, &s) // its syntax has been checked
	return s
}

// escapes looks for escapes that stand for no character that can be stored.
func escapes(raw []byte) (nul, lone bool) {
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
		if bytes.HasPrefix(raw[i+1:], []byte(`\u`)) && utf16.DecodeRune(r, hexRune(raw[i+3:])) != utf8.RuneError {
			i += 6
			continue
		}
		lone = true
	}
	return nul, lone
}

func hexRune(hex []byte) rune {
	n, _ := strconv.ParseUint(string(hex[:4]), 16, 16)
	return rune(n)
}

// canonical writes the value with sorted keys and no white space. Numbers stay as they were written.
func (v jsonValue) canonical() []byte {
	var b bytes.Buffer
	v.write(&b)
	return b.Bytes()
}

func (v jsonValue) write(b *bytes.Buffer) {
	switch v.kind {
	case '{':
		b.WriteByte('{')
		for i, m := range slices.SortedFunc(slices.Values(v.members), func(x, y jsonMember) int { return strings.Compare(x.key, y.key) }) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(quote(m.key))
			b.WriteByte(':')
			m.value.write(b)
		}
		b.WriteByte('}')
	case '[':
		b.WriteByte('[')
		for i, elem := range v.elems {
			if i > 0 {
				b.WriteByte(',')
			}
			elem.write(b)
		}
		b.WriteByte(']')
	case '"':
		b.Write(quote(v.text))
	default:
		b.Write(v.raw)
	}
}

// cleaned is the value with the texts in it as [clean] writes them.
func (v jsonValue) cleaned() jsonValue {
	v.text = clean(v.text, maxPayloadSize)
	v.members, v.elems = slices.Clone(v.members), slices.Clone(v.elems)
	for i, m := range v.members {
		v.members[i] = jsonMember{clean(m.key, maxPayloadSize), m.value.cleaned()}
	}
	for i, elem := range v.elems {
		v.elems[i] = elem.cleaned()
	}
	return v
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// pathKey is a key as a part of a path: in brackets and quotes if it could be misread, and cut if it is long.
func pathKey(key string) string {
	if len(key) <= echo.Max && plainKey.MatchString(key) {
		return key
	}
	return "[" + echo.Quote(key) + "]"
}
