package flow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Drawings show the steps with their descriptions, blocks around their children, routes with their answers, and error routes
// dashed. A drawing of a run colours each step by its status. A step without a row is waiting, or skipped once the run has ended.

// Mermaid draws the workflow as a Mermaid flowchart.
func (s *Spec) Mermaid() string {
	return mermaid{s, nil}.draw("")
}

// DOT draws the workflow in the language of Graphviz.
func (s *Spec) DOT() string {
	return dot{s, nil}.draw("")
}

// MermaidRun draws a run of the spec as a Mermaid flowchart. Steps are its rows.
func MermaidRun(spec *Spec, run Run, steps []StepState) string {
	return mermaid{spec, statuses(spec, run, steps)}.draw(runTitle(run))
}

// DOTRun draws a run of the spec in the language of Graphviz. Steps are its rows.
func DOTRun(spec *Spec, run Run, steps []StepState) string {
	return dot{spec, statuses(spec, run, steps)}.draw(runTitle(run))
}

func runTitle(run Run) string {
	return fmt.Sprintf("run %s: %s", run.ID, run.Status)
}

// statusColors are the colours of what a step can be in a drawing of a run, in the order of its life.
var statusColors = []struct{ status, color string }{
	{"waiting", "#ffffff"},
	{"scheduled", "#dbe9f6"},
	{"running", "#9ecae1"},
	{"paused", "#fdd0a2"},
	{"completed", "#a1d99b"},
	{"failed", "#fc9272"},
	{"cancelled", "#bdbdbd"},
	{"undoing", "#dadaeb"},
	{"undone", "#bcbddc"},
	{"skipped", "#f0f0f0"},
}

func statusColor(status string) string {
	for _, c := range statusColors {
		if c.status == status {
			return c.color
		}
	}
	return "#ffffff"
}

// statuses says of every step how a drawing shows it. The row of an undo tells more than that of the step itself.
func statuses(spec *Spec, run Run, steps []StepState) map[string]string {
	status := make(map[string]string, len(spec.steps))
	for _, st := range spec.steps {
		status[st.Name] = "waiting"
		if run.Status.Terminal() {
			status[st.Name] = "skipped"
		}
	}
	undone := map[string]bool{}
	for _, row := range steps {
		switch {
		case row.Phase == PhaseUndo && row.Status == StepCompleted:
			status[row.Name] = "undone"
		case row.Phase == PhaseUndo && row.Status == StepFailed:
			status[row.Name] = string(StepFailed)
		case row.Phase == PhaseUndo:
			status[row.Name] = "undoing"
		case !undone[row.Name]:
			status[row.Name] = string(row.Status)
		}
		undone[row.Name] = undone[row.Name] || row.Phase == PhaseUndo
	}
	return status
}

// link is an arrow of a drawing.
type link struct {
	from, to, label string
	failure         bool
}

// links are the arrows between steps, and to Complete.
func (s *Spec) links() []link {
	var links []link
	for _, st := range s.steps {
		for _, dep := range st.After {
			links = append(links, link{from: dep, to: st.Name})
		}
		for _, route := range slices.Sorted(maps.Keys(st.Routes)) {
			links = append(links, link{from: st.Name, to: st.Routes[route], label: route})
		}
		if st.Next != "" {
			links = append(links, link{from: st.Name, to: st.Next})
		}
		if st.OnError != "" {
			links = append(links, link{from: st.Name, to: st.OnError, label: st.errorLabel(), failure: true})
		}
	}
	return links
}

func (st StepSpec) errorLabel() string {
	switch {
	case st.Kind == KindApproval:
		return "rejected"
	case st.Recovery != RecoveryNone:
		return "error: " + string(st.Recovery)
	default:
		return "error"
	}
}

// lines are the text in a step's box.
func (st StepSpec) lines() []string {
	lines := []string{st.Name}
	if st.Description != "" {
		lines = append(lines, st.Description)
	}
	switch {
	case st.Kind == KindWait:
		lines = append(lines, "wait "+st.Policy.Wait.String())
	case st.Kind == KindPause || st.Kind == KindApproval:
		lines = append(lines, string(st.Kind))
	case st.HasUndo:
		lines = append(lines, "undo")
	case st.Irreversible:
		lines = append(lines, "irreversible")
	}
	return lines
}

// onLines writes a drawing line by line.
type onLines struct{ strings.Builder }

func (b *onLines) line(depth int, format string, args ...any) {
	b.WriteString(strings.Repeat("    ", depth))
	fmt.Fprintf(b, format, args...)
	b.WriteByte('\n')
}
