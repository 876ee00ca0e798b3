package scenariotest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// book is what the committed transitions add up to, run by run.
type book struct {
	pages  map[flow.RunID]*page
	newest flow.RunID
}

// page is one run.
type page struct {
	snapshot flow.Snapshot
	outputs  map[string]json.RawMessage
	attempts []flow.AttemptRecord
	audit    []flow.AuditEntry
}

func newBook() *book { return &book{pages: map[flow.RunID]*page{}} }

// apply enters a committed transition.
func (b *book) apply(t flow.Transition) {
	p := b.pages[t.Run.ID]
	if p == nil {
		p = &page{outputs: map[string]json.RawMessage{}}
		b.pages[t.Run.ID] = p
		b.newest = t.Run.ID
	}
	payload := p.snapshot.Run.Payload
	p.snapshot = p.snapshot.With(t)
	if !t.NewRun {
		p.snapshot.Run.Payload = payload // which transitions need not carry
	}
	p.attempts = append(p.attempts, t.Attempts...)
	p.audit = append(p.audit, t.Audit...)
	for _, e := range t.Audit {
		if e.Output != nil && e.Phase == flow.PhaseDo {
			p.outputs[e.Name] = e.Output
		}
	}
}

// view is a page as the driver would show it.
func (p *page) view() View {
	return View{
		Run: p.snapshot.Run, Steps: p.snapshot.Steps, Outputs: p.outputs, Attempts: p.attempts, Audit: p.audit,
	}
}

// agrees compares what is stored with what was committed: Load after Apply is Snapshot.With.
func (b *book) agrees(stored View) error {
	p := b.pages[stored.Run.ID]
	if p == nil {
		return fmt.Errorf("a run is stored that no transition started")
	}
	want, got := normal(p.view()), normal(stored)
	var problems report
	assert.Equal(&problems, want.Run, got.Run, "the run's row")
	assert.Equal(&problems, want.Steps, got.Steps, "the step rows")
	assert.Equal(&problems, want.Outputs, got.Outputs, "the outputs")
	assert.Equal(&problems, want.Attempts, got.Attempts, "the attempts")
	assert.Equal(&problems, want.Audit, got.Audit, "the audit")
	problems.check(stored)
	if len(problems) > 0 {
		return fmt.Errorf("what is stored is not what was committed: %s", bytes.Join(problems, []byte("\n")))
	}
	return nil
}

// report gathers what assertions say.
type report [][]byte

// Errorf is how testify reports.
func (r *report) Errorf(format string, args ...any) {
	*r = append(*r, fmt.Appendf(nil, format, args...))
}

// check tests what must hold of any run: its counters count its rows, and its audit has no gaps and no steps back.
func (r *report) check(v View) {
	open, retrying := 0, 0
	for _, st := range v.Spec.Steps() {
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			row := v.Steps[flow.StepKey{Name: st.Name, Phase: phase}]
			if st.Kind == flow.KindBlock {
				continue
			}
			switch {
			case row.Status == flow.StepScheduled && row.Missing == 0:
				open++
				if row.Failures > 0 {
					retrying++
				}
			case row.Status == flow.StepRunning, row.Status == flow.StepPaused:
				open++
			}
			assert.False(r, v.Run.Status.Terminal() && row.Status == flow.StepRunning, "%s runs after the end", st.Name)
		}
	}
	assert.Equal(r, open, v.Run.Open, "Run.Open")
	assert.Equal(r, retrying, v.Run.Retrying, "Run.Retrying")
	assert.Equal(r, v.Run.Status.Terminal(), !v.Run.FinishedAt.IsZero(), "Run.FinishedAt")
	assert.True(r, !v.Run.Status.Terminal() || open == 0, "rows are open after the end")
	for i, e := range v.Audit {
		assert.Equal(r, i+1, e.Seq, "audit numbers")
		assert.False(r, i > 0 && e.At.Before(v.Audit[i-1].At), "audit times")
	}
	assert.Equal(r, len(v.Audit), v.Run.Seq, "Run.Seq")
	r.fold(v)
}

// fold tests that the rows are what the audit adds up to.
func (r *report) fold(v View) {
	folded, err := flow.Fold(v.Spec, v.Audit)
	if !assert.NoError(r, err) {
		return
	}
	said := normal(View{Run: folded.Run, Steps: folded.Steps})
	v = normal(v)
	v.Run.KeyHash, v.Run.Payload = "", nil
	assert.Equal(r, v.Run, said.Run, "the run by its audit")
	assert.Len(r, said.Steps, len(v.Steps), "the rows by the audit")
	for key, row := range v.Steps {
		row.JobID, row.Queue = "", ""
		if !row.DueAt.After(v.Run.LastAt) {
			row.DueAt = time.Time{}
		}
		if row.Status != flow.StepPaused {
			row.DeadlineAt = time.Time{}
		}
		assert.Equal(r, row, said.Steps[key], "the row of %s by the audit", byhand.PrintKey(key))
	}
}

// normal makes views comparable: times in UTC, JSON compact with sorted keys, nothing instead of empty.
func normal(v View) View {
	v.Run.Payload = byhand.Sorted(v.Run.Payload)
	for _, at := range []*time.Time{&v.Run.WindowAt, &v.Run.WindowEnd, &v.Run.ReceivedAt, &v.Run.CreatedAt, &v.Run.LastAt, &v.Run.FinishedAt} {
		*at = at.UTC()
	}
	v.Run.Reason = utcError(v.Run.Reason)
	v.Steps = maps.Clone(v.Steps)
	for key, row := range v.Steps {
		for _, at := range []*time.Time{&row.DueAt, &row.DeadlineAt, &row.StartedAt, &row.FinishedAt} {
			*at = at.UTC()
		}
		v.Steps[key] = row
	}
	v.Outputs = maps.Clone(v.Outputs)
	for key, output := range v.Outputs {
		v.Outputs[key] = byhand.Sorted(output)
	}
	v.Attempts = byTime(v.Attempts)
	for i := range v.Attempts {
		a := &v.Attempts[i]
		a.StartedAt, a.EndedAt, a.Error = a.StartedAt.UTC(), a.EndedAt.UTC(), utcError(a.Error)
	}
	v.Audit = append([]flow.AuditEntry{}, v.Audit...)
	for i := range v.Audit {
		e := &v.Audit[i]
		e.At, e.Data, e.Output = e.At.UTC(), byhand.Sorted(e.Data), byhand.Sorted(e.Output)
	}
	return v
}

// byTime sorts attempts by their ends, and those of one moment, which have no order of their own, by name.
func byTime(attempts []flow.AttemptRecord) []flow.AttemptRecord {
	return slices.SortedStableFunc(slices.Values(attempts), func(a, b flow.AttemptRecord) int {
		return cmp.Or(a.EndedAt.Compare(b.EndedAt), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Attempt, b.Attempt))
	})
}

func utcError(e *flow.StepError) *flow.StepError {
	if e == nil {
		return nil
	}
	c := *e
	c.At = c.At.UTC()
	return &c
}

// rowsOf lists the rows of a step in both phases.
func rowsOf(v View, name string) []flow.StepState {
	var rows []flow.StepState
	for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
		if row, ok := v.Steps[flow.StepKey{Name: name, Phase: phase}]; ok {
			rows = append(rows, row)
		}
	}
	return slices.Clip(rows)
}
