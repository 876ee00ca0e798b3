package flow_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// flavour is what a family of random workflows is rich in, in percent.
type flavour struct {
	name      string
	block     int // of the spine's steps
	decision  int // of the spine's other steps: approval, pause or choice
	wait      int // of the remaining ones
	undo      int // of what executes
	onError   int
	whole     bool // After steps only
	oneRoad   bool // one queue and one priority, so that workers go on
	maxSteps  int
	children  int // of a block; zero is 5
	maxTries  int
	irreverse int // of what executes and has no undo
}

var flavours = []flavour{
	{name: "Mixed", block: 25, decision: 30, wait: 20, undo: 40, onError: 40, maxSteps: 6, maxTries: 3, irreverse: 20},
	{name: "Blocks", block: 70, decision: 10, wait: 15, undo: 40, onError: 50, oneRoad: true, maxSteps: 3, maxTries: 2},
	{name: "Sagas", block: 30, decision: 10, wait: 5, undo: 85, onError: 10, oneRoad: true, maxSteps: 5, maxTries: 2},
	{name: "Decisions", block: 10, decision: 75, wait: 10, undo: 50, onError: 50, maxSteps: 6, maxTries: 2, irreverse: 40},
	{name: "Graphs", wait: 10, undo: 50, whole: true, maxSteps: 7, maxTries: 2, irreverse: 20},
}

// propertyTx stands for a transaction; nothing is ever executed here.
type propertyTx struct{}

func nothing(context.Context, struct{}) error { return nil }

func nothingTx(context.Context, propertyTx, struct{}) error { return nil }

func nowhere(context.Context, struct{}) (string, error) { return "", nil }

// even draws from 0 to 1023, each as often as the others. Rapid's own integers are small most often, which would make
// long lists of choices useless.
var even = rapid.Custom(func(t *rapid.T) int {
	n := 0
	for range 10 {
		n = n<<1 | flow.Count(rapid.Bool().Draw(t, "bit"))
	}
	return n
})

func number(t *rapid.T, label string, from, upTo int) int {
	return from + even.Draw(t, label)*(upTo-from+1)>>10
}

func chance(t *rapid.T, percent int, label string) bool {
	return number(t, label, 0, 99) >= 100-percent
}

func oneOf[T any](t *rapid.T, label string, values ...T) T {
	return values[number(t, label, 0, len(values)-1)]
}

func pick[T any](t *rapid.T, label string, values []T) (T, bool) {
	if len(values) == 0 {
		var none T
		return none, false
	}
	return values[number(t, label, 0, len(values)-1)], true
}

// drawSpec makes a random workflow and compiles it. All of them are valid, so a refusal is a failure.
func drawSpec(t *rapid.T, f flavour) *flow.Spec {
	w := drawWorkflow(t, f)
	spec, err := squidmesh.Compile(w)
	if err != nil {
		t.Fatalf("Compile refuses a valid workflow: %v\n%+v", err, w.Steps)
	}
	return spec
}

func drawWorkflow(t *rapid.T, f flavour) squidmesh.Workflow {
	w := squidmesh.Workflow{Name: "random", Triggers: []squidmesh.Trigger{squidmesh.Manual("manual", squidmesh.Contract{})}}
	if f.whole {
		w.Steps = drawChildren(t, f, "g", max(2, number(t, "steps", 2, f.maxSteps)))
	} else {
		w.Steps = drawSpine(t, f)
	}
	return w
}

// drawSpine makes steps that lead forwards, and leaves out those that nothing leads to.
func drawSpine(t *rapid.T, f flavour) []squidmesh.Step {
	n := number(t, "steps", 1, f.maxSteps)
	steps := make([]squidmesh.Step, n)
	for i := range steps {
		steps[i] = drawSpineStep(t, f, i, n)
	}
	return onlyReached(steps)
}

// onlyReached leaves out the steps that nothing leads to. All lead forwards.
func onlyReached(steps []squidmesh.Step) []squidmesh.Step {
	reached := map[string]bool{steps[0].Name: true}
	return slices.DeleteFunc(steps, func(st squidmesh.Step) bool {
		if !reached[st.Name] {
			return true
		}
		reached[st.Next], reached[st.OnError] = true, true
		for _, target := range st.Routes {
			reached[target] = true
		}
		return false
	})
}

func spineName(i int) string { return fmt.Sprintf("s%d", i) }

// drawTarget is a later step, most often the next one, or the end.
func drawTarget(t *rapid.T, i, n int) string {
	switch {
	case i+1 < n && !chance(t, 25, "leap"):
		return spineName(i + 1)
	case i+2 < n && !chance(t, 30, "end"):
		return spineName(number(t, "target", i+2, n-1))
	default:
		return flow.Complete
	}
}

func drawSpineStep(t *rapid.T, f flavour, i, n int) squidmesh.Step {
	st := squidmesh.Step{Name: spineName(i)}
	routed := func() {
		st.Next = drawTarget(t, i, n)
		if chance(t, f.onError, "on error") {
			st.OnError = drawTarget(t, i, n)
			st.Recovery = oneOf(t, "recovery", flow.RecoveryNone, flow.RecoveryUndo, flow.RecoveryCompensation)
		}
	}
	switch {
	case chance(t, f.block, "block"):
		st.Parallel = drawChildren(t, f, st.Name+"_", number(t, "children", 1, cmp.Or(f.children, 5)))
		routed()
	case chance(t, f.decision, "decision"):
		switch oneOf(t, "sort of decision", flow.KindApproval, flow.KindChoose, flow.KindPause) {
		case flow.KindApproval:
			st.Do, st.Output = squidmesh.Approval(), "approval_"+st.Name
			st.Next, st.OnError = drawTarget(t, i, n), drawTarget(t, i, n)
			st.Timeout = oneOf(t, "open for", 0, time.Minute, 90*24*time.Hour)
		case flow.KindPause:
			st.Do, st.Next = squidmesh.Pause(), drawTarget(t, i, n)
			st.Timeout = oneOf(t, "open for", 0, time.Minute, 90*24*time.Hour)
			if st.Timeout > 0 && chance(t, f.onError, "on error") {
				st.OnError = drawTarget(t, i, n)
			}
		default:
			st.Do, st.Routes = squidmesh.Choose(nowhere), map[string]string{}
			for r := range number(t, "routes", 1, 3) {
				st.Routes[fmt.Sprintf("r%d", r)] = drawTarget(t, i, n)
			}
			if chance(t, f.onError, "on error") {
				st.OnError = drawTarget(t, i, n)
			}
			drawPolicy(t, f, &st)
		}
	default:
		drawWork(t, f, &st)
		routed()
	}
	return st
}

// drawChildren makes steps that wait for each other without a cycle, in any order.
func drawChildren(t *rapid.T, f flavour, prefix string, n int) []squidmesh.Step {
	children := make([]squidmesh.Step, n)
	waits := false
	for i := range children {
		st := squidmesh.Step{Name: fmt.Sprintf("%s%c", prefix, 'a'+i)}
		drawWork(t, f, &st)
		for j := range i {
			if chance(t, 40, "after") || f.whole && !waits && i == n-1 && j == 0 {
				st.After = append(st.After, children[j].Name)
				waits = true
			}
		}
		children[i] = st
	}
	return rapid.Permutation(children).Draw(t, "order")
}

// drawWork makes a step that executes, logs or waits.
func drawWork(t *rapid.T, f flavour, st *squidmesh.Step) {
	switch {
	case chance(t, f.wait, "wait"):
		st.Do = squidmesh.Wait(oneOf(t, "duration", time.Millisecond, 5*time.Second, 30*time.Hour))
		if !f.oneRoad {
			st.Queue = oneOf(t, "queue", "", "slow")
		}
		return
	case chance(t, 5, "log"):
		st.Do = squidmesh.Log(slog.LevelInfo, "here")
	default:
		st.Do = oneOf(t, "function", squidmesh.Effect(nothing), squidmesh.EffectTx(nothingTx))
		drawUndo(t, f, st)
	}
	drawPolicy(t, f, st)
}

func drawUndo(t *rapid.T, f flavour, st *squidmesh.Step) {
	switch {
	case chance(t, f.undo, "undo"):
		st.Undo = oneOf(t, "undo function", squidmesh.Effect(nothing), squidmesh.EffectTx(nothingTx))
		st.UndoRetry = drawRetry(t, f)
		st.UndoTimeout = oneOf(t, "undo timeout", 0, time.Minute)
	case chance(t, f.irreverse, "irreversible"):
		st.Irreversible = true
	case chance(t, f.irreverse, "not compensatable"):
		st.NotCompensatable = true
	}
}

func drawPolicy(t *rapid.T, f flavour, st *squidmesh.Step) {
	st.Retry = drawRetry(t, f)
	st.Timeout = oneOf(t, "timeout", 0, time.Second)
	if st.Do.Kind() != flow.KindLog {
		st.MaxLosses = oneOf(t, "losses", 0, 0, 0, 1, 2)
	}
	if !f.oneRoad {
		st.Queue = oneOf(t, "queue", "", "", "slow")
		st.Priority = oneOf(t, "priority", 0, 0, 1, 3)
	}
}

func drawRetry(t *rapid.T, f flavour) flow.Retry {
	tries := number(t, "tries", 0, f.maxTries)
	if tries == 0 {
		return flow.Retry{}
	}
	return flow.Retry{
		MaxAttempts: tries,
		Base:        oneOf(t, "base", 0, time.Second, 1500*time.Microsecond, 13*time.Hour),
		Max:         oneOf(t, "max", 0, 20*time.Hour),
		Jitter:      oneOf(t, "jitter", 0, 0.1, 1.0),
	}
}
