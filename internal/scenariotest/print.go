package scenariotest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
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
	b.WriteString(byhand.PrintEntry(entry, data))
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
		fmt.Fprintf(&b, "; %s sees %s", byhand.PrintKey(t.Claim.StepKey), byhand.PrintFailure(t.Claim.Cause))
	}
	for _, job := range t.Jobs {
		fmt.Fprintf(&b, "; job %s #%d", byhand.PrintKey(job.StepKey), job.Attempt)
		if !job.DueAt.IsZero() {
			fmt.Fprintf(&b, " in %s", job.DueAt.Sub(job.Now))
		}
	}
	return b.String()
}

// printRow puts a step row into a few words.
func printRow(row flow.StepState, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", byhand.PrintKey(row.StepKey), row.Status)
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
