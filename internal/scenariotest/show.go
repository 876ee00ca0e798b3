package scenariotest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// showState prints where the run and all its steps stand.
func (s *stage) showState(*command) error {
	v, err := s.view()
	if err != nil {
		return err
	}
	s.printf("%s", printState(v))
	return nil
}

// printState is what all drivers agree on, real queues too: no times.
func printState(v View) string {
	var lines []string
	line := "run " + string(v.Run.Status)
	if v.Run.Verdict != "" && !v.Run.Status.Terminal() {
		line += ", verdict " + string(v.Run.Verdict)
	}
	if v.Run.Reason != nil {
		line += ", reason " + byhand.PrintFailure(v.Run.Reason)
	}
	lines = append(lines, line)
	for _, st := range v.Spec.Steps() {
		rows := rowsOf(v, st.Name)
		if len(rows) == 0 || v.Statuses[st.Name] != string(rows[0].Status) {
			lines = append(lines, fmt.Sprintf("  %s %s", st.Name, v.Statuses[st.Name]))
			continue
		}
		for _, row := range rows {
			line := fmt.Sprintf("  %s %s", byhand.PrintKey(row.StepKey), row.Status)
			if row.Attempt > 1 {
				line += fmt.Sprintf(" #%d", row.Attempt)
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func (s *stage) showAudit(*command) error {
	v, err := s.view()
	if err != nil {
		return err
	}
	for _, e := range v.Audit {
		var data flow.AuditData
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return err
		}
		s.printf("%d +%s %s", e.Seq, e.At.Sub(v.Run.CreatedAt), byhand.PrintEntry(e, data))
	}
	return nil
}

func (s *stage) showAttempts(*command) error {
	v, err := s.view()
	if err != nil {
		return err
	}
	for _, a := range byTime(v.Attempts) {
		line := fmt.Sprintf("%s #%d %s", byhand.PrintKey(a.StepKey), a.Attempt, a.Outcome)
		if a.Error != nil {
			line += fmt.Sprintf(" (%s: %s)", a.Error.Code, a.Error.Message)
		}
		s.printf("%s", line)
	}
	return nil
}

func (s *stage) showExplain(*command) error {
	v, err := s.view()
	if err != nil {
		return err
	}
	ex, now := v.Explanation, s.driver.Now()
	s.printf("%s: %s", ex.Code, s.anonymous(ex.Sentence))
	var facts []string
	for _, fact := range []struct {
		name string
		at   time.Time
	}{{"since", ex.Since}, {"until", ex.Until}} {
		if !fact.at.IsZero() {
			facts = append(facts, fmt.Sprintf("%s %s", fact.name, fact.at.Sub(now)))
		}
	}
	actions := make([]string, len(ex.Commands))
	for i, a := range ex.Commands {
		actions[i] = string(a)
	}
	s.printf("  %s; can %s", strings.Join(facts, ", "), strings.Join(actions, ", "))
	return nil
}

func (s *stage) showOutputs(*command) error {
	v, err := s.view()
	if err != nil {
		return err
	}
	for _, st := range v.Spec.Steps() {
		if output, ok := v.Outputs[st.Name]; ok {
			s.printf("%s %s", st.Name, byhand.Sorted(output))
		}
	}
	return nil
}

func (s *stage) showJobs(*command) error {
	if len(s.queue) == 0 {
		s.printf("none")
	}
	for _, job := range s.queue {
		key := flow.StepKey{Name: job.Delivery.Step}
		if job.Delivery.Kind == driver.DeliverCompensation {
			key.Phase = flow.PhaseUndo
		}
		line := fmt.Sprintf("%s #%d", byhand.PrintKey(key), job.Delivery.Attempt)
		if wait := job.DueAt.Sub(s.driver.Now()); wait > 0 {
			line += fmt.Sprintf(" in %s", wait)
		}
		s.printf("%s", line)
	}
	return nil
}
