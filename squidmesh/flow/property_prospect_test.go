package flow_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// TestProperty_OutlookIsWhatHappens stops a run anywhere in a random history, puts a random edit of its workflow in the place of
// today's definition, and tries every way that the run can take from there.
func TestProperty_OutlookIsWhatHappens(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		f.maxSteps, f.children = min(f.maxSteps, 4), 3
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				definition := drawWorkflow(t, f)
				pinned, err := squidmesh.Compile(definition)
				if err != nil {
					t.Fatalf("Compile refuses a valid workflow: %v", err)
				}
				w := newWorld(t, pinned)
				w.play(oneOf(t, "mood", moods...))
				requireOutlook(t, w, drawToday(t, f, definition))
			})
		})
	}
}

// TestProperty_OutlookAtEveryStep looks at one history after each of its events.
func TestProperty_OutlookAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		f.maxSteps, f.children = min(f.maxSteps, 3), 2
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				definition := drawWorkflow(t, f)
				pinned, err := squidmesh.Compile(definition)
				if err != nil {
					t.Fatalf("Compile refuses a valid workflow: %v", err)
				}
				w := newWorld(t, pinned)
				today := drawToday(t, f, definition)
				cancelAt := number(t, "cancelled after", 0, 30)
				for i := 0; !w.snap.Run.Status.Terminal(); i++ {
					requireOutlook(t, w, today)
					if i == cancelAt {
						_, _ = w.decide(flow.Cancelled{Decision: flow.Decision{Actor: "operator"}, Compensate: true})
						continue
					}
					w.goOn()
				}
			})
		})
	}
}

// requireOutlook compares what is foreseen with all that can happen.
func requireOutlook(t *rapid.T, w *world, today *flow.Spec) {
	pinned := w.spec
	if today != nil {
		pinned = pinned.WithPolicy(today)
	}
	o := flow.PredictDeploy(pinned, today, w.snap)
	runnable, unfit := pinned.Functions(today)

	all := explorer{spec: pinned, now: w.now, runnable: w.knows(), anything: true}
	all.explore(t, w.snap)
	real := explorer{spec: pinned, now: w.now, runnable: runnable, unfit: unfit, anything: true}
	real.explore(t, w.snap)
	good := explorer{spec: pinned, now: w.now, runnable: runnable, unfit: unfit}
	good.explore(t, w.snap)

	lacks := map[flow.StepKey]flow.ReasonCode{}
	for _, l := range o.Lacks {
		lacks[l.StepKey] = l.Reason
		if !all.delivered[l.StepKey] {
			t.Fatalf("%v: no way leads to %v", o, l)
		}
	}
	for key := range all.delivered {
		if executes := pinned.Find(key.Name).Executes(key.Phase); executes && !runnable[key] && lacks[key] == "" {
			t.Fatalf("%v: a way leads to %v, which cannot be called", o, key)
		}
	}
	for key, reason := range real.refused {
		if string(lacks[key]) != reason {
			t.Fatalf("%v: %v comes again with %s", o, key, reason)
		}
	}
	ended := good.ended || w.snap.Run.Status.Terminal()
	if want := foreseen(pinned, today, len(real.refused) > 0, ended); o.Code != want {
		t.Fatalf("the outlook is %v, and what happens is %s", o, want)
	}
}

// foreseen is what should have been said of a run.
func foreseen(pinned, today *flow.Spec, refused, ended bool) flow.ProspectCode {
	switch {
	case !ended:
		return flow.ProspectWillWait
	case refused:
		return flow.ProspectMayWait
	case today != nil && today.Shape() == pinned.Shape():
		return flow.ProspectContinues
	default:
		return flow.ProspectFinishes
	}
}

// explorer tries all that can happen to a run, however often it is retried or handed back.
type explorer struct {
	spec            *flow.Spec
	now             time.Time
	runnable, unfit map[flow.StepKey]bool
	anything        bool // also what is bad: failures, cancels, deadlines

	seen      map[string]bool
	delivered map[flow.StepKey]bool   // functions that were asked for
	refused   map[flow.StepKey]string // and those that were not there
	ended     bool
}

func (x *explorer) explore(t *rapid.T, from flow.Snapshot) {
	x.seen, x.delivered, x.refused = map[string]bool{}, map[flow.StepKey]bool{}, map[flow.StepKey]string{}
	for queue := []flow.Snapshot{from}; len(queue) > 0; {
		s := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		place := x.place(s)
		if x.seen[place] {
			continue
		}
		x.seen[place] = true
		if s.Run.Status.Terminal() {
			x.ended = true
			continue
		}
		for _, e := range x.events(s) {
			at := x.now
			if c, ok := e.(flow.Claimed); ok {
				at = latest(at, s.Steps[c.StepKey].DueAt)
			}
			if c, ok := e.(flow.Expired); ok {
				at = latest(at, s.Steps[c.StepKey].DeadlineAt)
			}
			tr, err := flow.Decide(x.spec, s, e, at)
			if err != nil {
				continue // the run does not allow it
			}
			if c, ok := e.(flow.Claimed); ok {
				x.delivered[c.StepKey] = true
				if tr.Outcome.Kind == flow.OutcomeAgain {
					x.refused[c.StepKey] = tr.Outcome.Reason
				}
			}
			if !tr.Empty() {
				queue = append(queue, s.With(tr))
			}
		}
	}
}

// place is where a run stands, whatever led there.
func (x *explorer) place(s flow.Snapshot) string {
	place := make([]byte, 0, 256)
	place = append(append(append(place, s.Run.Status...), s.Run.Verdict...), '0'+byte(flow.Count(s.Run.Compensate)))
	for i := range x.spec.Steps() {
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			row := s.Steps[flow.StepKey{Name: x.spec.Steps()[i].Name, Phase: phase}]
			place = append(append(place, row.Status...), '0'+byte(row.Missing), '0'+byte(flow.Count(row.DeadlineAt.IsZero())))
		}
	}
	return string(place)
}

// events are what can happen next.
func (x *explorer) events(s flow.Snapshot) []flow.Event {
	var events []flow.Event
	by := flow.Decision{Actor: "explorer"}
	for i := range x.spec.Steps() {
		st := &x.spec.Steps()[i]
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			row, ok := s.Steps[flow.StepKey{Name: st.Name, Phase: phase}]
			if !ok || phase == flow.PhaseDo && st.Kind == flow.KindBlock {
				continue
			}
			a := flow.Attempted{StepKey: row.StepKey, Attempt: row.Attempt, Worker: row.Worker, Hold: row.StepKey}
			by.Step = row.Name
			switch row.Status {
			case flow.StepScheduled:
				if row.Missing == 0 {
					a.Worker, a.Runnable, a.Unfit = 1, x.callable(row.StepKey), x.unfit
					events = append(events, flow.Claimed{Attempted: a})
				}
			case flow.StepRunning:
				events = append(events, succeeded(st, a)...)
				if x.anything || s.Run.Verdict != flow.VerdictNone { // what is told to stop may fail
					events = append(events,
						flow.Failed{Attempted: a, Final: true, Error: flow.StepError{Code: flow.CodeError}}, flow.Released{Attempted: a})
				}
			case flow.StepPaused:
				if phase == flow.PhaseUndo {
					events = append(events, flow.UndoRetried{Decision: by}, flow.UndoAccepted{Decision: by})
					continue
				}
				events = append(events, flow.Approved{Decision: by}, flow.Rejected{Decision: by}, flow.Unblocked{Decision: by})
				if x.anything {
					events = append(events, flow.Expired{StepKey: row.StepKey, Attempt: row.Attempt})
				}
			}
		}
	}
	if x.anything {
		by.Step = ""
		events = append(events, flow.Cancelled{Decision: by}, flow.Cancelled{Decision: by, Compensate: true})
	}
	return events
}

// callable is the step alone, if it is: nothing continues, so that every row is seen waiting for its delivery.
func (x *explorer) callable(key flow.StepKey) map[flow.StepKey]bool {
	return map[flow.StepKey]bool{key: x.runnable[key]}
}

func succeeded(st *flow.StepSpec, a flow.Attempted) []flow.Event {
	if st.Kind != flow.KindChoose {
		return []flow.Event{flow.Succeeded{Attempted: a}}
	}
	var events []flow.Event
	for _, route := range slices.Sorted(maps.Keys(st.Routes)) {
		events = append(events, flow.Succeeded{Attempted: a, Route: route})
	}
	return events
}
