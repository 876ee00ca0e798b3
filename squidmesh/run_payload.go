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
	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/schedule"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// PayloadError lists everything that is wrong with a run's input. Nothing was written.
type PayloadError struct {
	Trigger  string
	Problems []jsontype.FieldProblem // at most 100
}

// Error has a line for each of the problems, as far as 8 KiB go.
func (e *PayloadError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		line := fmt.Sprintf("payload of trigger %q: %s\n", e.Trigger, p.Error())
		if i > 0 && b.Len()+len(line) > jsontype.MaxProblemText {
			fmt.Fprintf(&b, "and %d more\n", len(e.Problems)-i)
			break
		}
		b.WriteString(line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (*PayloadError) ErrorCode() string { return "invalid_payload" }

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
func acceptPayload(t flow.TriggerSpec, payload json.RawMessage, decodes jsontype.DecodeCheck) (accepted, error) {
	if len(payload) == 0 {
		payload = json.RawMessage("{}")
	}
	doc, problems := jsontype.Parse(payload)
	if len(problems) == 0 && doc.Kind() != '{' {
		problems = []jsontype.FieldProblem{{Field: "", Code: "not_an_object", Detail: "it is " + doc.TypeKind() + ", want object"}}
	}
	if len(problems) == 0 {
		taken := callersType(t)
		problems = taken.Check(doc)
	}
	if len(problems) > 0 {
		return accepted{}, &PayloadError{Trigger: t.Name, Problems: problems}
	}
	a := accepted{values: map[string]json.RawMessage{}, size: len(payload)}
	for _, m := range doc.Parts() {
		a.values[m.Key()] = m.Canonical()
	}
	canonical := encode.Object(a.values)
	if err := decodes(canonical); err != nil {
		return accepted{}, &PayloadError{Trigger: t.Name, Problems: jsontype.Undecodable(&t.Payload, doc, decodes, err)}
	}
	sum := sha256.Sum256(canonical)
	a.hash = hex.EncodeToString(sum[:16])
	return a, nil
}

// fillPayload adds the defaults of absent keys. The result has sorted keys and no white space; numbers are as the caller wrote them.
func fillPayload(t flow.TriggerSpec, a accepted, now time.Time) (json.RawMessage, error) {
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
	return encode.Object(values), nil
}

// callersType is the contract as the caller meets it: what has a default may be left out.
func callersType(t flow.TriggerSpec) jsontype.Type {
	accepted := t.Payload
	accepted.Fields = make([]jsontype.Field, len(t.Payload.Fields))
	for i, f := range t.Payload.Fields {
		if _, ok := t.Defaults[f.Name]; ok {
			f.Required = false
		}
		accepted.Fields[i] = f
	}
	return accepted
}

func defaultValue(t flow.TriggerSpec, d any, now time.Time) (json.RawMessage, error) {
	if literal, ok := d.(json.RawMessage); ok {
		return literal, nil
	}
	switch d {
	case DefaultNow:
		return encode.Quote(now.UTC().Format(time.RFC3339Nano)), nil
	case DefaultToday:
		zone, err := schedule.LoadZone(t.TimeZone)
		if err != nil {
			return nil, err
		}
		return encode.Quote(now.In(zone).Format(time.DateOnly)), nil
	default:
		return nil, fmt.Errorf("there is no dynamic default %v", d)
	}
}
