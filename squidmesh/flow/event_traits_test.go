package flow_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// traitRow is an event with an attempt or a decision in it, where it has a place for one, and what the table must say of it, besides how it
// is reworded.
type traitRow struct {
	event flow.Event
	want  flow.Traits
}

func traitRows() []traitRow {
	do := flow.Attempted{
		StepKey: flow.StepKey{Name: "a", Phase: flow.PhaseDo}, Attempt: 3, Worker: 7, Runnable: map[flow.StepKey]bool{},
	}
	undo := do
	undo.Phase = flow.PhaseUndo
	about := flow.Attempted{StepKey: do.StepKey, Attempt: 3} // nobody speaks for it
	by := flow.Decision{Actor: "ann", Step: "a"}

	return []traitRow{
		{flow.Started{Payload: json.RawMessage(`{}`)}, flow.Traits{Stage: "start", Shared: true}},
		{flow.Started{Key: "order 7"}, flow.Traits{Stage: "start"}},
		{flow.Claimed{Attempted: do}, flow.Traits{Stage: "claim", Attempted: do, Claims: true, Shared: true}},
		{flow.Succeeded{Attempted: do, Output: json.RawMessage(`[1]`)}, flow.Traits{Stage: "apply", Attempted: do, Ends: true, Shared: true, Size: 3}},
		{flow.Succeeded{Attempted: undo}, flow.Traits{Stage: "undo", Attempted: undo, Ends: true, Shared: true}},
		{flow.Failed{Attempted: do}, flow.Traits{Stage: "apply", Attempted: do, Ends: true, Shared: true}},
		{flow.Failed{Attempted: undo}, flow.Traits{Stage: "undo", Attempted: undo, Ends: true, Shared: true}},
		{flow.Released{Attempted: do}, flow.Traits{Stage: "release", Attempted: do, Ends: true, Shared: true}},
		{flow.Lost{Worker: 7}, flow.Traits{Stage: "takeover", Ends: true, Swept: true}},
		{flow.Expired{StepKey: do.StepKey, Attempt: 3}, flow.Traits{Stage: "decision", Attempted: about, Ends: true, Swept: true}},
		{flow.Redelivered{StepKey: do.StepKey, Attempt: 3}, flow.Traits{Stage: "redeliver", Attempted: about, Swept: true}},
		{flow.Compensated{}, flow.Traits{Stage: "redeliver"}},
		{flow.Unblocked{Decision: by}, flow.Traits{Stage: "decision", Command: true, Decision: by, Answers: flow.KindPause}},
		{flow.Approved{Decision: by}, flow.Traits{Stage: "decision", Command: true, Decision: by, Answers: flow.KindApproval}},
		{flow.Rejected{Decision: by}, flow.Traits{Stage: "decision", Command: true, Decision: by, Answers: flow.KindApproval}},
		{flow.Cancelled{Decision: by}, flow.Traits{Stage: "decision", Command: true, Decision: by}},
		{flow.UndoRetried{Decision: by}, flow.Traits{Stage: "decision", Command: true, Decision: by, AnswersUndo: true}},
		{flow.UndoAccepted{Decision: by}, flow.Traits{Stage: "decision", Command: true, Decision: by, AnswersUndo: true}},
		{flow.Replayed{Decision: by}, flow.Traits{Stage: "decision", Command: true, Decision: by}},
	}
}

func TestTraits_EveryEventHasItsRow(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range traitRows() {
		got := flow.TraitsOf(row.event)
		got.Reworded = nil // no two functions are equal
		require.Equal(t, row.want, got, "%T", row.event)
		seen[reflect.TypeOf(row.event).Name()] = true
	}
	require.Equal(t, eventNames(t), slices.Sorted(maps.Keys(seen)), "an event lacks its row above")
}

// The compiler asks for the traits of every event, but not for a case in Decide.
func TestTraits_DecideHasARuleForEveryEvent(t *testing.T) {
	t.Parallel()
	var ruled []string
	for _, decl := range functions(t) {
		if decl.Recv != nil || decl.Name.Name != "Decide" {
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if clause, ok := n.(*ast.CaseClause); ok {
				for _, of := range clause.List {
					ruled = append(ruled, of.(*ast.Ident).Name)
				}
			}
			return true
		})
	}
	slices.Sort(ruled)
	require.Equal(t, eventNames(t), ruled)
}

// eventNames are the types of the package that implement Event, in order.
func eventNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, decl := range functions(t) {
		if decl.Recv == nil || decl.Name.Name != "traits" {
			continue
		}
		name, ok := decl.Recv.List[0].Type.(*ast.Ident)
		require.True(t, ok, "events are values: no pointer has traits")
		names = append(names, name.Name)
	}
	require.NotEmpty(t, names)
	slices.Sort(names)
	return names
}

// functions are those of the package, and its methods.
func functions(t *testing.T) []*ast.FuncDecl {
	t.Helper()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var all []*ast.FuncDecl
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok {
				all = append(all, function)
			}
		}
	}
	return all
}
