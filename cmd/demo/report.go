package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// reported is a line of the report.
type reported struct {
	Order    string         `json:"order"`
	RunID    string         `json:"run_id"`
	Workflow string         `json:"workflow"`
	Status   string         `json:"status"`
	Reason   string         `json:"reason"`
	Steps    []reportedStep `json:"steps"`
}

// reportedStep is a step that the run has reached.
type reportedStep struct {
	Name     string `json:"name"`
	Status   string `json:"status"`
	Attempts int    `json:"attempts"`
	Undo     string `json:"undo,omitempty"` // status of the undo, if there was one
}

// say is where people read. With --json it is not where programs do.
func (p program) say() io.Writer {
	if p.options.json {
		return p.std.err
	}
	return p.std.out
}

// report prints what came of every order.
func (n *night[TTx]) report(outcomes []outcome, problems []string) error {
	lines := make([]reported, 0, len(n.refused)+len(outcomes))
	for _, r := range n.refused {
		lines = append(lines, reported{Order: r.Order, Workflow: "checkout", Status: "refused", Reason: r.Err.Error(), Steps: []reportedStep{}})
	}
	for _, out := range outcomes {
		lines = append(lines, out.reported())
	}
	write := n.table
	if n.options.json {
		write = n.objects
	}
	if err := write(lines); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	say := n.say()
	for _, problem := range problems {
		_, _ = fmt.Fprintf(say, "WRONG  %s\n", oneLine(problem))
	}
	verdict := "runs, payment ledger, stock, receipts and digest are as they must be"
	if len(problems) > 0 {
		verdict = fmt.Sprintf("%d things are not as they must be", len(problems))
	}
	_, err := fmt.Fprintf(say, "%d runs on %s: %s\n", len(outcomes), n.db.kind, verdict)
	return err
}

func (o outcome) reported() reported {
	r := reported{Order: o.Order, Workflow: o.Workflow, Status: "unknown", Steps: []reportedStep{}}
	if o.Err != nil {
		r.Reason = o.Err.Error()
	}
	if o.Run == nil {
		return r
	}
	r.RunID, r.Status = o.Run.Run.ID.String(), string(o.Run.Run.Status)
	if o.Err == nil {
		r.Reason = reason(o.Run.Run)
	}
	for _, st := range o.Run.Steps {
		if st.Do == nil || st.Kind == flow.KindBlock || st.Status == squidmesh.InspectSkipped {
			continue
		}
		step := reportedStep{Name: st.Name, Status: st.Status, Attempts: st.Do.Attempt}
		if st.Undo != nil {
			step.Undo = string(st.Undo.Status)
		}
		r.Steps = append(r.Steps, step)
	}
	return r
}

// objects prints one JSON object per line.
func (n *night[TTx]) objects(lines []reported) error {
	enc := json.NewEncoder(n.std.out)
	for _, line := range lines {
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// table prints one line per run.
func (n *night[TTx]) table(lines []reported) error {
	w := tabwriter.NewWriter(n.std.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nORDER\tWORKFLOW\tSTATUS\tREASON\tSTEPS")
	for _, line := range lines {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", oneLine(line.Order), line.Workflow, line.Status, oneLine(line.Reason), steps(line.Steps))
	}
	_, _ = fmt.Fprintln(w)
	return w.Flush()
}

// steps are the names of steps with what is remarkable about them: attempts beyond the first, an end that is no success, an undo.
func steps(all []reportedStep) string {
	words := make([]string, len(all))
	for i, st := range all {
		words[i] = st.Name
		if st.Attempts > 1 {
			words[i] += fmt.Sprintf("×%d", st.Attempts)
		}
		if st.Status != string(flow.StepCompleted) {
			words[i] += "!" + st.Status
		}
		if st.Undo != "" {
			words[i] += "~undo " + st.Undo
		}
	}
	return strings.Join(words, ", ")
}
