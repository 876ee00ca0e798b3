package byhand

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// PrintEntry says what an audit entry records.
func PrintEntry(e flow.AuditEntry, data flow.AuditData) string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	if e.Name != "" {
		b.WriteString(" " + PrintKey(e.StepKey))
		if e.Attempt > 0 {
			fmt.Fprintf(&b, " #%d", e.Attempt)
		}
	}
	if e.Actor != "" {
		b.WriteString(" by " + e.Actor)
	}
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if data.Trigger != "" {
		note("trigger %s", data.Trigger)
	}
	if data.Replayed != "" {
		note("replay")
	}
	if e.Output != nil {
		note("%s", Sorted(e.Output))
	}
	if data.Route != "" {
		note("route %s", data.Route)
	}
	if data.Error != nil {
		note("%s", PrintFailure(data.Error))
	}
	if data.Target != "" {
		note("goes to %s", data.Target)
	}
	if data.Recovery != "" {
		note("for %s", data.Recovery)
	}
	if data.Compensate {
		note("compensate")
	}
	if data.Comment != "" {
		note("%s", data.Comment)
	}
	if len(notes) > 0 {
		b.WriteString(" (" + strings.Join(notes, "; ") + ")")
	}
	return b.String()
}

// PrintKey names a step, or its undo.
func PrintKey(key flow.StepKey) string {
	if key.Phase == flow.PhaseUndo {
		return "undo " + key.Name
	}
	return key.Name
}

// PrintFailure puts a failure into words that do not depend on where it happened.
func PrintFailure(e *flow.StepError) string {
	key := flow.StepKey{Name: e.Step, Phase: e.Phase}
	return fmt.Sprintf("%s #%d %s: %s", PrintKey(key), e.Attempt, e.Code, e.Message)
}

// Sorted rewrites JSON with sorted keys and without white space.
func Sorted(data json.RawMessage) json.RawMessage {
	var value any
	if len(data) == 0 || json.Unmarshal(data, &value) != nil {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return data
	}
	return text
}
