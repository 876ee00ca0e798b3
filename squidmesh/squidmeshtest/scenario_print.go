package squidmeshtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// printTransition puts a transition on one line: what happened, the rows that it left, the run if its status changed, and
// the jobs.
func printTransition(t flow.Transition) string {
	entry := t.Audit[0]
	var data flow.AuditData
	if err := json.Unmarshal(entry.Data, &data); err != nil {
		return "unreadable audit data: " + err.Error()
	}
	var b strings.Builder
	b.WriteString(printEntry(entry, data))
	b.WriteString(":")
	for i, c := range t.Steps {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(" " + printRow(c.StepState, entry.At))
	}
	if len(t.Steps) == 0 {
		b.WriteString(" no row")
	}
	if data.RunStatus != "" || t.NewRun {
		fmt.Fprintf(&b, "; run %s", t.Run.Status)
	}
	if data.Verdict != "" {
		fmt.Fprintf(&b, "; verdict %s", data.Verdict)
	}
	if t.Interrupt {
		b.WriteString("; interrupt")
	}
	if t.Claim != nil && t.Claim.Cause != nil {
		fmt.Fprintf(&b, "; %s sees %s", printKey(t.Claim.StepKey), printFailure(t.Claim.Cause))
	}
	for _, job := range t.Jobs {
		fmt.Fprintf(&b, "; job %s #%d", printKey(job.StepKey), job.Attempt)
		if !job.DueAt.IsZero() {
			fmt.Fprintf(&b, " in %s", job.DueAt.Sub(job.Now))
		}
	}
	return b.String()
}

// printEntry says what an audit entry records.
func printEntry(e flow.AuditEntry, data flow.AuditData) string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	if e.Name != "" {
		b.WriteString(" " + printKey(e.StepKey))
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
		note("%s", sorted(e.Output))
	}
	if data.Route != "" {
		note("route %s", data.Route)
	}
	if data.Error != nil {
		note("%s", printFailure(data.Error))
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

// printRow puts a step row into a few words.
func printRow(row flow.StepState, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", printKey(row.StepKey), row.Status)
	if row.Attempt > 1 || row.Status == flow.StepScheduled || row.Status == flow.StepRunning {
		fmt.Fprintf(&b, " #%d", row.Attempt)
	}
	if row.DueAt.After(now) {
		fmt.Fprintf(&b, " in %s", row.DueAt.Sub(now))
	}
	for _, c := range []struct {
		count int
		name  string
	}{{row.Missing, "missing"}, {row.Failures, "failed"}, {row.Losses, "lost"}} {
		if c.count > 0 {
			fmt.Fprintf(&b, " (%d %s)", c.count, c.name)
		}
	}
	return b.String()
}

func printKey(key flow.StepKey) string {
	if key.Phase == flow.PhaseUndo {
		return "undo " + key.Name
	}
	return key.Name
}

func printFailure(e *flow.StepError) string {
	key := flow.StepKey{Name: e.Step, Phase: e.Phase}
	return fmt.Sprintf("%s #%d %s: %s", printKey(key), e.Attempt, e.Code, e.Message)
}

// sentinels are the errors that are printed by themselves, without what wraps them.
var sentinels = []error{
	flow.ErrNotFound, flow.ErrUnknownWorkflow, flow.ErrUnknownTrigger, flow.ErrKeyConflict,
	flow.ErrDispatch, flow.ErrInsideTransaction,
}

// printError puts an error into words that do not depend on the driver.
func printError(err error) string {
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			return sentinel.Error()
		}
	}
	var refused *flow.RefusedError
	if errors.As(err, &refused) && refused.Earlier != nil {
		plain := *refused
		plain.Earlier = nil // the core has no audit to look it up in
		return plain.Error()
	}
	return err.Error()
}
