package squidmesh

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// PayloadError lists everything that is wrong with a run's input. Nothing was written.
type PayloadError struct {
	Trigger  string
	Problems []FieldProblem // at most 100
}

// Error has a line for each of the problems, as far as 8 KiB go.
func (e *PayloadError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		line := fmt.Sprintf("payload of trigger %q: %s\n", e.Trigger, p.Error())
		if i > 0 && b.Len()+len(line) > maxProblemText {
			fmt.Fprintf(&b, "and %d more\n", len(e.Problems)-i)
			break
		}
		b.WriteString(line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (*PayloadError) errorCode() string { return "invalid_payload" }

// FieldProblem is one thing that is wrong with a payload.
type FieldProblem struct {
	// Field is where, such as lines[2].isbn; empty for the payload as a whole. Of a path of more than 256 bytes it is the beginning
	// and the end.
	Field string

	// Code is stable: unknown_field, missing_field, wrong_type, wrong_format, out_of_range, null, duplicate_key, nul_character,
	// invalid_utf8, lone_surrogate, too_deep, too_large, not_an_object, invalid_json or trailing_data.
	Code string

	// Detail is what is wrong and, if something is close, what was probably meant.
	Detail string
}

func (p FieldProblem) Error() string {
	if p.Field == "" {
		return p.Detail
	}
	return p.Field + ": " + p.Detail
}

// accepted is a payload that fits its contract, still without defaults.
type accepted struct {
	values map[string]json.RawMessage
	size   int // of what the caller gave

	// hash is that of the payload as the caller gave it, before defaults, which change with time; neither the order of keys nor white
	// space matters. A run's idempotency key is compared with it.
	hash string
}

// acceptPayload checks a payload against the trigger's contract, and that the contract's own type reads it. No payload is the empty one. A
// payload that does not fit is a [*PayloadError].
func acceptPayload(t TriggerSpec, payload json.RawMessage, decodes decodeCheck) (accepted, error) {
	if len(payload) == 0 {
		payload = json.RawMessage("{}")
	}
	doc, problems := parseJSON(payload)
	if len(problems) == 0 && doc.kind() != '{' {
		problems = []FieldProblem{{"", "not_an_object", "it is " + doc.typeKind() + ", want object"}}
	}
	if len(problems) == 0 {
		taken := callersType(t)
		problems = taken.check(doc)
	}
	if len(problems) > 0 {
		return accepted{}, &PayloadError{Trigger: t.Name, Problems: problems}
	}
	a := accepted{values: map[string]json.RawMessage{}, size: len(payload)}
	for _, m := range doc.parts() {
		a.values[m.key()] = m.canonical()
	}
	canonical := writeObject(a.values)
	if err := decodes(canonical); err != nil {
		return accepted{}, &PayloadError{Trigger: t.Name, Problems: undecodable(&t.Payload, doc, decodes, err)}
	}
	sum := sha256.Sum256(canonical)
	a.hash = hex.EncodeToString(sum[:16])
	return a, nil
}

// fillPayload adds the defaults of absent keys. The result has sorted keys and no white space; numbers are as the caller wrote them.
func fillPayload(t TriggerSpec, a accepted, now time.Time) (json.RawMessage, error) {
	values := maps.Clone(a.values)
	for key, d := range t.Defaults {
		if _, given := values[key]; given {
			continue
		}
		value, err := defaultValue(t, d, now)
		if err != nil {
			return nil, fmt.Errorf("default of payload field %s: %w", echo.Quote(key), err)
		}
		values[key] = value
	}
	return writeObject(values), nil
}

// callersType is the contract as the caller meets it: what has a default may be left out.
func callersType(t TriggerSpec) Type {
	accepted := t.Payload
	accepted.Fields = make([]Field, len(t.Payload.Fields))
	for i, f := range t.Payload.Fields {
		if _, ok := t.Defaults[f.Name]; ok {
			f.Required = false
		}
		accepted.Fields[i] = f
	}
	return accepted
}

func defaultValue(t TriggerSpec, d any, now time.Time) (json.RawMessage, error) {
	if literal, ok := d.(json.RawMessage); ok {
		return literal, nil
	}
	switch d {
	case Now:
		return quote(now.UTC().Format(time.RFC3339Nano)), nil
	case Today:
		zone, err := loadZone(t.TimeZone)
		if err != nil {
			return nil, err
		}
		return quote(now.In(zone).Format(time.DateOnly)), nil
	default:
		return nil, fmt.Errorf("there is no dynamic default %v", d)
	}
}
