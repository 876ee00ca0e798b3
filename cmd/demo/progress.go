package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// progress prints a line for what happens to runs that a person would want to know. It is the runtime's observer: it takes
// observations quickly and tells them from a goroutine of its own.
type progress[TTx any] struct {
	night *night[TTx]
	out   io.Writer

	mu       sync.Mutex
	observed chan squidmesh.Observation
	closed   bool
	done     chan struct{}
}

func newProgress[TTx any](n *night[TTx]) *progress[TTx] {
	p := &progress[TTx]{night: n, out: n.say(), observed: make(chan squidmesh.Observation, 4096), done: make(chan struct{})}
	go p.tell()
	return p
}

// Observe implements [squidmesh.Observer]. Rather than hold up work it forgets.
func (p *progress[TTx]) Observe(_ context.Context, o squidmesh.Observation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	select {
	case p.observed <- o:
	default:
	}
}

// close prints what has been observed, and ends.
func (p *progress[TTx]) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.observed)
	}
	p.mu.Unlock()
	<-p.done
}

func (p *progress[TTx]) tell() {
	defer close(p.done)
	for o := range p.observed {
		what, detail := p.news(o)
		if what == "" {
			continue
		}
		_, _ = fmt.Fprintf(p.out, "  %s  %-18s  %-11s %s\n", o.Entry.At.Local().Format(time.TimeOnly), label(o.Run), what, detail)
	}
}

// news is what to print of an observation; empty for nothing.
func (p *progress[TTx]) news(o squidmesh.Observation) (what, detail string) {
	data := o.Data
	if o.Run.Status.Terminal() && data.RunStatus == o.Run.Status {
		return string(o.Run.Status), p.ending(o.Run)
	}
	switch o.Entry.Kind {
	case flow.AuditRetried:
		return "retrying", p.retry(o, data)
	case flow.AuditLost:
		return "taken over", fmt.Sprintf("%s: its worker died in attempt %d", o.Entry.Name, o.Entry.Attempt)
	case flow.AuditReleased:
		return "given back", fmt.Sprintf("%s, attempt %d", o.Entry.Name, o.Entry.Attempt)
	case flow.AuditUndoFailed:
		return "stuck", fmt.Sprintf("undo of %s: %s", o.Entry.Name, oneLine(data.Error.Message))
	}
	for _, r := range data.Reached {
		if r.Status == flow.StepPaused {
			detail := fmt.Sprintf("%s: %s", r.Step, p.question(o.Run.ID))
			if !p.night.options.headless() {
				detail += fmt.Sprintf("   (approve %[1]s NOTE, or reject %[1]s NOTE)", orderOf(o.Run))
			}
			return "waiting", detail
		}
	}
	return "", ""
}

// ending tells how a run ended.
func (p *progress[TTx]) ending(run squidmesh.Run) string {
	in, err := p.night.rt.InspectRun(context.Background(), run.ID, nil)
	if err != nil {
		return oneLine(err.Error())
	}
	var parts []string
	if run.Reason != nil {
		parts = append(parts, fmt.Sprintf("%s: %s", run.Reason.Step, oneLine(run.Reason.Message)))
	}
	if undone := undoneSteps(in); len(undone) > 0 {
		parts = append(parts, "undone: "+strings.Join(undone, ", "))
	}
	if run.Status == squidmesh.RunCompleted {
		n := 0
		for _, st := range in.Steps {
			if st.Kind != flow.KindBlock && st.Status == string(flow.StepCompleted) {
				n++
			}
		}
		parts = append(parts, fmt.Sprintf("%d steps in %s", n, run.FinishedAt.Sub(run.CreatedAt).Round(10*time.Millisecond)))
	}
	return strings.Join(parts, "; ")
}

// undoneSteps are the steps that were taken back, in the order in which they were.
func undoneSteps(in *squidmesh.Inspection) []string {
	var undos []flow.StepState
	for _, st := range in.Steps {
		if st.Undo != nil && st.Undo.Status == flow.StepCompleted {
			undos = append(undos, *st.Undo)
		}
	}
	slices.SortFunc(undos, func(a, b flow.StepState) int { return a.DoneSeq - b.DoneSeq })
	names := make([]string, len(undos))
	for i, u := range undos {
		names[i] = u.Name
	}
	return names
}

// retry tells when a step is tried again, and why.
func (p *progress[TTx]) retry(o squidmesh.Observation, data flow.AuditData) string {
	s := fmt.Sprintf("%s failed in attempt %d", o.Entry.Name, o.Entry.Attempt)
	for _, r := range data.Reached {
		if r.Step == o.Entry.Name && r.DueAt != nil {
			s = fmt.Sprintf("%s again in %s, attempt %d", r.Step, r.DueAt.Sub(o.Entry.At).Round(10*time.Millisecond), r.Attempt)
		}
	}
	if data.Error != nil {
		s += ": " + oneLine(data.Error.Message)
	}
	return s
}

// question is what a person has to decide about a run.
func (p *progress[TTx]) question(id squidmesh.RunID) string {
	in, err := p.night.rt.InspectRun(context.Background(), id, &squidmesh.InspectOptions{History: true})
	if err != nil {
		return oneLine(err.Error())
	}
	for _, st := range in.Steps {
		var seen struct {
			Reasons []string `json:"reasons"`
		}
		if st.Name == "score" && json.Unmarshal(st.Output, &seen) == nil && len(seen.Reasons) > 0 {
			return oneLine(strings.Join(seen.Reasons, ", "))
		}
	}
	var asked struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(in.Run.Payload, &asked)
	return oneLine(asked.Reason)
}
