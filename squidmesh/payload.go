package squidmesh

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// PayloadError lists everything that is wrong with a run's input. Nothing was written.
type PayloadError struct {
	Trigger  string
	Problems []FieldProblem // at most 100
}

func (e *PayloadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("payload of trigger %q: %s", e.Trigger, p.Error())
	}
	return strings.Join(lines, "\n")
}

// FieldProblem is one thing that is wrong with a payload.
type FieldProblem struct {
	// Field is where, such as lines[2].isbn; empty for the payload as a whole.
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

// resolve checks a payload against the trigger's contract and fills in the defaults for absent keys. The result has sorted
// keys and no white space; numbers are as the caller wrote them. No payload is the empty one. A payload that does not fit
// is a [*PayloadError].
func (t TriggerSpec) resolve(payload json.RawMessage, now time.Time) (json.RawMessage, error) {
	if len(payload) == 0 {
		payload = json.RawMessage("{}")
	}
	doc, problems := parseJSON(payload)
	if len(problems) == 0 && doc.kind != '{' {
		problems = []FieldProblem{{"", "not_an_object", "it is " + doc.typeKind() + ", want object"}}
	}
	if len(problems) == 0 {
		problems = t.accepted().check(doc, "")
	}
	if len(problems) > 0 {
		return nil, &PayloadError{Trigger: t.Name, Problems: problems[:min(len(problems), maxProblems)]}
	}
	values := make(map[string]json.RawMessage, len(doc.members)+len(t.Defaults))
	for key, d := range t.Defaults {
		value, err := t.defaultValue(d, now)
		if err != nil {
			return nil, fmt.Errorf("default of payload field %s: %w", echo.Quote(key), err)
		}
		values[key] = value
	}
	for _, m := range doc.members {
		values[m.key] = m.value.canonical()
	}
	return writeObject(values), nil
}

// accepted is the contract as the caller meets it: what has a default may be left out.
func (t TriggerSpec) accepted() Type {
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

func (t TriggerSpec) defaultValue(d any, now time.Time) (json.RawMessage, error) {
	if literal, ok := d.(json.RawMessage); ok {
		return literal, nil
	}
	switch d {
	case Now:
		return quote(now.UTC().Format(time.RFC3339Nano)), nil
	case Today:
		zone, err := time.LoadLocation(t.TimeZone)
		if err != nil {
			return nil, err
		}
		return quote(now.In(zone).Format(time.DateOnly)), nil
	default:
		return nil, fmt.Errorf("there is no dynamic default %v", d)
	}
}

// canonicalHash hashes a JSON value so that neither the order of keys nor white space matters. A run's idempotency key is
// compared with the hash of the payload as the caller gave it, before defaults, which change with time.
func canonicalHash(value json.RawMessage) (string, error) {
	if len(value) == 0 {
		value = json.RawMessage("{}")
	}
	doc, problems := parseJSON(value)
	if len(problems) > 0 {
		return "", problems[0]
	}
	sum := sha256.Sum256(doc.canonical())
	return hex.EncodeToString(sum[:16]), nil
}
