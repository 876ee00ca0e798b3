package squidmeshtest

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Stubs are actions that replace those of a workflow, by the names of their steps.
type Stubs struct {
	Do   map[string]squidmesh.Action
	Undo map[string]squidmesh.Action
}

// Stub returns the workflow with other actions in some of its steps. The original stays as it is.
//
// With it a workflow whose FuncTx steps take the program's own transaction, such as pgx.Tx, runs on a kit in memory without being
// generic over the transaction: give a [squidmesh.Func] of the same input and output for each [squidmesh.FuncTx]. Test the stubbed
// functions on the database; see [NewOn].
//
// Stub fails the test if a step does not exist, or has nothing in that place. [Kit.On] injects faults and results of single
// attempts.
func Stub(t testing.TB, workflow squidmesh.Workflow, stubs Stubs) squidmesh.Workflow {
	t.Helper()
	s := stubbing{do: maps.Clone(stubs.Do), undo: maps.Clone(stubs.Undo)}
	workflow.Steps = s.steps(workflow.Steps)
	for _, left := range []struct {
		place string
		names map[string]squidmesh.Action
	}{{"Do", s.do}, {"Undo", s.undo}} {
		if len(left.names) > 0 {
			t.Fatalf("squidmeshtest: workflow %s has no step with %s of the name %v", workflow.Name, left.place, slices.Sorted(maps.Keys(left.names)))
		}
	}
	return workflow
}

// stubbing is what is still to be put somewhere.
type stubbing struct{ do, undo map[string]squidmesh.Action }

func (s stubbing) steps(original []squidmesh.Step) []squidmesh.Step {
	steps := slices.Clone(original)
	for i := range steps {
		st := &steps[i]
		st.Do = take(s.do, st.Name, st.Do)
		st.Undo = take(s.undo, st.Name, st.Undo)
		if st.Parallel != nil {
			st.Parallel = s.steps(st.Parallel)
		}
	}
	return steps
}

// take is the stub of that name, which is used up by it, if there is one and something that it stands for.
func take(stubs map[string]squidmesh.Action, name string, original squidmesh.Action) squidmesh.Action {
	stub, ok := stubs[name]
	if !ok || reflect.ValueOf(original).IsZero() {
		return original
	}
	delete(stubs, name)
	return stub
}
