package flow_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// TestProperty_RulesHoldInEveryHistory lets anything happen to random workflows, in any order, and holds each decision to every
// rule. Then everything goes well, and the run must end.
func TestProperty_RulesHoldInEveryHistory(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(t, drawSpec(t, f))
				w.play(oneOf(t, "mood", moods...))
				w.heal()
			})
		})
	}
}

// TestProperty_RulesHoldWhenMuchIsToBeUndone is the same from the middle of a run on that went well and is then cancelled.
func TestProperty_RulesHoldWhenMuchIsToBeUndone(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		if f.undo < 50 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(t, drawSpec(t, f))
				for range number(t, "good events", 2, 14) {
					if !w.snap.Run.Status.Terminal() {
						w.goOn()
					}
				}
				_, _ = w.decide(flow.Cancelled{Decision: flow.Decision{Actor: "operator"}, Compensate: true})
				w.play(oneOf(t, "mood", undoMoods...))
				w.heal()
			})
		})
	}
}

// TestProperty_EveryRunEnds has nothing but good ends, from the start.
func TestProperty_EveryRunEnds(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(t, drawSpec(t, f))
				w.heal()
				if status := w.snap.Run.Status; status != flow.RunCompleted {
					t.Fatalf("everything went well, and the run is %s", status)
				}
			})
		})
	}
}

// TestProperty_RulesAreKnown keeps rules from being written and forgotten.
func TestProperty_RulesAreKnown(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range slices.Concat(rules, standing) {
		if r.name == "" || r.check == nil || seen[r.name] {
			t.Errorf("rule %q has no name or no check, or is listed twice", r.name)
		}
		seen[r.name] = true
	}
}
