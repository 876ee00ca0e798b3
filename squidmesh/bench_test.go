package squidmesh

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Compare with benchstat: go test -run - -bench . -count 10 ./squidmesh/... | tee old.txt

type benchOrder struct {
	Data string `json:"data"`
}

func benchStep(name string, after ...string) Step {
	return Step{Name: name, After: after, Do: Effect(func(context.Context, benchOrder) error { return nil })}
}

func benchWorkflow(name string, steps ...Step) Workflow {
	return Workflow{Name: name, Steps: steps, Triggers: []Trigger{Manual("manual", Payload[benchOrder]())}}
}

// benchLine is a spine whose steps each read what the one before has written.
func benchLine(length int) Workflow {
	steps := make([]Step, length)
	key := "data"
	for i := range steps {
		write := fmt.Sprintf("data%d", i)
		steps[i] = Step{
			Name: fmt.Sprintf("step%d", i), Input: []string{key}, Output: write,
			Do: Func(func(context.Context, map[string]string) (string, error) { return "", nil }),
		}
		if i > 0 {
			steps[i-1].Next = steps[i].Name
		}
		key = write
	}
	return benchWorkflow("line", steps...)
}

// benchLayers is a graph of layers of eight, each of whose steps waits for the whole layer before.
func benchLayers(size int) Workflow {
	var steps []Step
	var before, layer []string
	for i := range size {
		if i%8 == 0 {
			before, layer = layer, nil
		}
		steps = append(steps, benchStep(fmt.Sprintf("step%d", i), before...))
		layer = append(layer, steps[i].Name)
	}
	return benchWorkflow("layers", Step{Name: "graph", Parallel: steps})
}

// benchFan is a fan-out into one join.
func benchFan(width int) Workflow {
	var steps []Step
	var names []string
	for i := range width {
		steps = append(steps, benchStep(fmt.Sprintf("step%d", i)))
		names = append(names, steps[i].Name)
	}
	return benchWorkflow("fan", Step{Name: "graph", Parallel: append(steps, benchStep("join", names...))})
}

// benchBook is a run that is driven through its decisions, with nothing stored.
type benchBook struct {
	tb       testing.TB
	spec     *Spec
	snap     flow.Snapshot
	now      time.Time
	runnable map[flow.StepKey]bool
}

func benchRun(tb testing.TB, w Workflow) *benchBook {
	tb.Helper()
	spec, err := Compile(w)
	if err != nil {
		tb.Fatal(err)
	}
	b := &benchBook{tb: tb, spec: spec, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), runnable: map[flow.StepKey]bool{}}
	for _, st := range spec.Steps() {
		b.runnable[flow.StepKey{Name: st.Name, Phase: flow.PhaseDo}] = true
	}
	b.does(flow.Started{ID: uuid.UUID{1}, Trigger: "manual", Payload: json.RawMessage(`{"data":"x"}`)})
	return b
}

func (b *benchBook) does(e flow.Event) flow.Transition {
	b.tb.Helper()
	t, err := flow.Decide(b.spec, b.snap, e, b.now)
	if err != nil || t.Empty() {
		b.tb.Fatalf("%T: %v %+v", e, err, t.Outcome)
	}
	b.snap = b.snap.With(t)
	return t
}

// attempted is the first attempt of a step by the only worker, under a hold of its own.
func (b *benchBook) attempted(step string) flow.Attempted {
	key := flow.StepKey{Name: step, Phase: flow.PhaseDo}
	return flow.Attempted{StepKey: key, Attempt: 1, Worker: 1, Hold: key, Runnable: b.runnable}
}

// only is the snapshot that a decision is given: what ReadsOf names.
func (b *benchBook) only(e flow.Event) flow.Snapshot {
	reads := flow.ReadsOf(b.spec, b.snap.Run, e)
	if reads.All {
		return b.snap
	}
	part := flow.Snapshot{Run: b.snap.Run, Steps: map[flow.StepKey]flow.StepState{}}
	for _, key := range reads.Steps {
		if row, ok := b.snap.Steps[key]; ok {
			part.Steps[key] = row
		}
	}
	return part
}

func BenchmarkCompile(b *testing.B) {
	for _, w := range []Workflow{benchLine(10), benchLine(100), benchLayers(100), benchLayers(1000), benchFan(500)} {
		b.Run(fmt.Sprintf("workflow=%s/steps=%d", w.Name, max(len(w.Steps), len(w.Steps[0].Parallel))), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	bench := func(name string, book *benchBook, snap flow.Snapshot, e flow.Event) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := flow.Decide(book.spec, snap, e, book.now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	started := flow.Started{ID: uuid.UUID{2}, Trigger: "manual", Payload: json.RawMessage(`{"data":"x"}`)}
	output := json.RawMessage(`"` + strings.Repeat("x", 256) + `"`)

	line := benchRun(b, benchLine(10))
	bench("event=started/workflow=line", line, flow.Snapshot{}, started)
	claimed := flow.Claimed{Attempted: line.attempted("step0")}
	bench("event=claimed/workflow=line", line, line.only(claimed), claimed)
	line.does(claimed)
	succeeded := flow.Succeeded{Attempted: line.attempted("step0"), Output: output}
	bench("event=continued/workflow=line", line, line.only(succeeded), succeeded)
	succeeded.Runnable = nil
	bench("event=enqueued/workflow=line", line, line.only(succeeded), succeeded)
	failed := flow.Failed{Attempted: line.attempted("step0"), Error: StepError{Message: "no"}}
	bench("event=failed/workflow=line", line, line.only(failed), failed)

	for _, size := range []int{10, 100, 1000} {
		graph := benchRun(b, benchLayers(size))
		for i := range 8 {
			graph.does(flow.Claimed{Attempted: graph.attempted(fmt.Sprintf("step%d", i))})
		}
		e := flow.Succeeded{Attempted: graph.attempted("step0")}
		bench(fmt.Sprintf("event=succeeded/workflow=layers/steps=%d", size), graph, graph.only(e), e)
		for i := range 7 {
			graph.does(flow.Succeeded{Attempted: graph.attempted(fmt.Sprintf("step%d", i))})
		}
		e = flow.Succeeded{Attempted: graph.attempted("step7")}
		bench(fmt.Sprintf("event=joined/workflow=layers/steps=%d", size), graph, graph.only(e), e)
	}

	fan := benchRun(b, benchFan(500))
	bench("event=started/workflow=fan/steps=501", fan, flow.Snapshot{}, started)
	fan.does(flow.Claimed{Attempted: fan.attempted("step0")})
	e := flow.Succeeded{Attempted: fan.attempted("step0")}
	bench("event=succeeded/workflow=fan/steps=501", fan, fan.only(e), e)
	cancelled := flow.Cancelled{Decision: Decision{Actor: "a"}}
	bench("event=cancelled/workflow=fan/steps=501", fan, fan.only(cancelled), cancelled)
}

func BenchmarkResolve(b *testing.B) {
	type line struct {
		ISBN  string `json:"isbn"`
		Cents int    `json:"cents"`
	}
	type order struct {
		ID    string `json:"id"`
		Note  string `json:"note,omitempty"`
		Lines []line `json:"lines"`
	}
	spec, err := Compile(Workflow{
		Name: "resolve", Triggers: []Trigger{Manual("manual", Payload[order]())},
		Steps: []Step{{Name: "step", Do: Effect(func(context.Context, order) error { return nil })}},
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, lines := range []int{6, 106} { // about 256 bytes, and 4 KiB
		value := order{ID: "1001"}
		for range lines {
			value.Lines = append(value.Lines, line{"9780131103627", 4990})
		}
		payload, err := json.Marshal(value)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("bytes=%d", len(payload)), func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := resolve(spec.Triggers()[0], payload, time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAssembleInput(b *testing.B) {
	spec, err := Compile(benchLine(10))
	if err != nil {
		b.Fatal(err)
	}
	data := strings.Repeat("x", 256)
	payload := json.RawMessage(`{"data":"` + data + `"}`)
	outputs := map[string]json.RawMessage{"step4": json.RawMessage(`"` + data + `"`)}
	for _, name := range []string{"step0", "step5"} {
		st := spec.Find(name)
		b.Run("step="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				spec.Input(st.Keys, st.Sources, payload, outputs)
			}
		})
	}
}
