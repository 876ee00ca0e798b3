package squidmesh

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// graphOfSteps is a workflow of the dependency kind.
func graphOfSteps() Workflow {
	return Workflow{
		Name: "pick_and_pack",
		Triggers: []Trigger{
			Manual("order", Payload[order]()),
			Cron("nightly", "30 2 * * *", "Europe/Vienna", Payload[order](Defaults{"order_id": DefaultToday, "total": 0})),
		},
		Steps: []Step{
			{Name: "pick", Do: Func(returns[order, reservation]())},
			{Name: "label", Do: Func(returns[order, score]()), Queue: "printers"},
			{Name: "cool_down", Do: Wait(90 * time.Second), After: []string{"pick"}},
			{Name: "pack", Do: Func(returns[reservation, receipt]()), After: []string{"cool_down", "label"}, Output: "parcel"},
		},
	}
}

func TestCompile_GoldenSpecs(t *testing.T) {
	t.Parallel()
	for _, w := range []Workflow{checkout(), graphOfSteps()} {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			spec, err := Compile(w)
			require.NoError(t, err)
			compact, err := json.Marshal(spec)
			require.NoError(t, err)
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, compact, "", "\t"))
			got.WriteByte('\n')

			path := filepath.Join("..", "testdata", "specs", w.Name+".json")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String(),
				"a changed shape strands no run, but each pinned one keeps the old; if the change is meant, run go test ./squidmesh -update")

			var read Spec
			require.NoError(t, json.Unmarshal(want, &read))
			require.Equal(t, spec, &read)
			require.Equal(t, read.Shape(), flow.NewSpec(read.Workflow(), read.Description(), read.Triggers(), read.Steps()).Shape())
		})
	}
}

func TestCompile_ShapeIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	first, err := Compile(checkout())
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{32}$`, first.Shape())
	for range 1000 {
		spec, err := Compile(checkout())
		require.NoError(t, err)
		require.Equal(t, first.Shape(), spec.Shape())
		require.Equal(t, first.Steps(), spec.Steps())
	}
}

type otherTx struct{}

func TestCompile_ShapeCoversNoPolicies(t *testing.T) {
	t.Parallel()
	shape := func(change func(w *Workflow)) string {
		w := graphOfSteps()
		change(&w)
		spec, err := Compile(w)
		require.NoError(t, err)
		return spec.Shape()
	}
	same := shape(func(*Workflow) {})

	for name, change := range map[string]func(w *Workflow){
		"descriptions":    func(w *Workflow) { w.Description, w.Steps[0].Description = "x", "y" },
		"retry":           func(w *Workflow) { w.Steps[0].Retry = Constant(3, 0) },
		"timeout":         func(w *Workflow) { w.Steps[0].Timeout = time.Second },
		"queue":           func(w *Workflow) { w.Steps[1].Queue = "" },
		"priority":        func(w *Workflow) { w.Steps[1].Priority = 3 },
		"length of waits": func(w *Workflow) { w.Steps[2].Do = Wait(time.Hour) },
		"cron expression": func(w *Workflow) { w.Triggers[1].Cron, w.Triggers[1].TimeZone = "@daily", "" },
		"defaults":        func(w *Workflow) { w.Triggers[1].Payload = Payload[order](Defaults{"order_id": "x", "total": 1}) },
		"Go names of types": func(w *Workflow) {
			w.Steps[0].Do = Func(returns[struct {
				Number string `json:"order_id"`
				Sum    int64  `json:"total"`
			}, reservation]())
		},
	} {
		t.Run("same/"+name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, same, shape(change))
		})
	}

	for name, change := range map[string]func(w *Workflow){
		"workflow":        func(w *Workflow) { w.Name = "x" },
		"trigger":         func(w *Workflow) { w.Triggers[1].Name = "x" },
		"name":            func(w *Workflow) { w.Steps[1].Name, w.Steps[3].After = "x", []string{"cool_down", "x"} },
		"kind":            func(w *Workflow) { w.Steps[2].Do = Log(0, "x") },
		"dependencies":    func(w *Workflow) { w.Steps[3].After = []string{"cool_down"} },
		"output":          func(w *Workflow) { w.Steps[3].Output = "x" },
		"mark":            func(w *Workflow) { w.Steps[3].Irreversible = true },
		"undo":            func(w *Workflow) { w.Steps[3].Undo = Effect(does[none]()) },
		"what is read":    func(w *Workflow) { w.Steps[3].Do = Func(returns[none, receipt]()) },
		"what is written": func(w *Workflow) { w.Steps[3].Do = Func(returns[reservation, score]()) },
		"payload": func(w *Workflow) {
			w.Triggers[0].Payload = Payload[struct {
				order
				Gift *bool
			}]()
		},
	} {
		t.Run("other/"+name, func(t *testing.T) {
			t.Parallel()
			require.NotEqual(t, same, shape(change))
		})
	}
}

// One definition serves both databases, so their transaction types make no difference.
func TestCompile_ShapeIsFreeOfTheTransaction(t *testing.T) {
	t.Parallel()
	one, err := Compile(of(step("a", do(EffectTx(doesTx[none]())))))
	require.NoError(t, err)
	other, err := Compile(of(step("a", do(EffectTx[otherTx, none](nil)), func(st *Step) { st.Do.missing = false })))
	require.NoError(t, err)
	require.Equal(t, one, other)
}

// A graph of a thousand steps compiles at once; the log says how long it took.
func TestCompile_LargeGraphs(t *testing.T) {
	t.Parallel()
	var steps []Step
	var names []string
	for i := range 1000 {
		name := "s" + string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10))
		steps = append(steps, writes[int](name, output(name), after(names...)))
		names = append(names, name)
		if len(names) > 50 {
			names = names[1:]
		}
	}
	begin := time.Now()
	spec, err := Compile(of(steps...))
	require.NoError(t, err)
	require.Len(t, spec.Steps(), 1001)
	t.Logf("compiled in %s", time.Since(begin))
}
