package squidmesh

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
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
				pinned, err := Compile(definition)
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
				pinned, err := Compile(definition)
				if err != nil {
					t.Fatalf("Compile refuses a valid workflow: %v", err)
				}
				w := newWorld(t, pinned)
				today := drawToday(t, f, definition)
				cancelAt := number(t, "cancelled after", 0, 30)
				for i := 0; !w.snap.Run.Status.Terminal(); i++ {
					requireOutlook(t, w, today)
					if i == cancelAt {
						_, _ = w.decide(Cancelled{Decision: Decision{Actor: "operator"}, Compensate: true})
						continue
					}
					w.goOn()
				}
			})
		})
	}
}

// requireOutlook compares what is foreseen with all that can happen.
func requireOutlook(t *rapid.T, w *world, today *Spec) {
	pinned := w.spec
	if today != nil {
		pinned = pinned.WithPolicy(today)
	}
	o := Foresee(pinned, today, w.snap)
	runnable, unfit := pinned.Functions(today)

	all := explorer{spec: pinned, now: w.now, runnable: w.knows(), anything: true}
	all.explore(t, w.snap)
	real := explorer{spec: pinned, now: w.now, runnable: runnable, unfit: unfit, anything: true}
	real.explore(t, w.snap)
	good := explorer{spec: pinned, now: w.now, runnable: runnable, unfit: unfit}
	good.explore(t, w.snap)

	lacks := map[StepKey]ReasonCode{}
	for _, l := range o.Lacks {
		lacks[l.StepKey] = l.Reason
		if !all.delivered[l.StepKey] {
			t.Fatalf("%v: no way leads to %v", o, l)
		}
	}
	for key := range all.delivered {
		if executes := pinned.step(key.Name).executes(key.Phase); executes && !runnable[key] && lacks[key] == "" {
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
func foreseen(pinned, today *Spec, refused, ended bool) OutlookCode {
	switch {
	case !ended:
		return OutlookWillWait
	case refused:
		return OutlookMayWait
	case today != nil && today.shape == pinned.shape:
		return OutlookContinues
	default:
		return OutlookFinishes
	}
}

// explorer tries all that can happen to a run, however often it is retried or handed back.
type explorer struct {
	spec            *Spec
	now             time.Time
	runnable, unfit map[StepKey]bool
	anything        bool // also what is bad: failures, cancels, deadlines

	seen      map[string]bool
	delivered map[StepKey]bool   // functions that were asked for
	refused   map[StepKey]string // and those that were not there
	ended     bool
}

func (x *explorer) explore(t *rapid.T, from Snapshot) {
	x.seen, x.delivered, x.refused = map[string]bool{}, map[StepKey]bool{}, map[StepKey]string{}
	for queue := []Snapshot{from}; len(queue) > 0; {
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
			if c, ok := e.(Claimed); ok {
				at = latest(at, s.Steps[c.StepKey].DueAt)
			}
			if c, ok := e.(Expired); ok {
				at = latest(at, s.Steps[c.StepKey].DeadlineAt)
			}
			tr, err := Decide(x.spec, s, e, at)
			if err != nil {
				continue // the run does not allow it
			}
			if c, ok := e.(Claimed); ok {
				x.delivered[c.StepKey] = true
				if tr.Outcome.Kind == Again {
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
func (x *explorer) place(s Snapshot) string {
	place := make([]byte, 0, 256)
	place = append(append(append(place, s.Run.Status...), s.Run.Verdict...), '0'+byte(count(s.Run.Compensate)))
	for i := range x.spec.steps {
		for _, phase := range []Phase{PhaseDo, PhaseUndo} {
			row := s.Steps[StepKey{x.spec.steps[i].Name, phase}]
			place = append(append(place, row.Status...), '0'+byte(row.Missing), '0'+byte(count(row.DeadlineAt.IsZero())))
		}
	}
	return string(place)
}

// events are what can happen next.
func (x *explorer) events(s Snapshot) []Event {
	var events []Event
	by := Decision{Actor: "explorer"}
	for i := range x.spec.steps {
		st := &x.spec.steps[i]
		for _, phase := range []Phase{PhaseDo, PhaseUndo} {
			row, ok := s.Steps[StepKey{st.Name, phase}]
			if !ok || phase == PhaseDo && st.Kind == KindBlock {
				continue
			}
			a := Attempted{StepKey: row.StepKey, Attempt: row.Attempt, Worker: row.Worker, Hold: row.StepKey}
			by.Step = row.Name
			switch row.Status {
			case StepScheduled:
				if row.Missing == 0 {
					a.Worker, a.Runnable, a.Unfit = 1, x.callable(row.StepKey), x.unfit
					events = append(events, Claimed{Attempted: a})
				}
			case StepRunning:
				events = append(events, succeeded(st, a)...)
				if x.anything || s.Run.Verdict != VerdictNone { // what is told to stop may fail
					events = append(events, Failed{Attempted: a, Final: true, Error: StepError{Code: CodeError}}, Released{Attempted: a})
				}
			case StepPaused:
				if phase == PhaseUndo {
					events = append(events, UndoRetried{by}, UndoAccepted{by})
					continue
				}
				events = append(events, Approved{by}, Rejected{by}, Unblocked{by})
				if x.anything {
					events = append(events, Expired{StepKey: row.StepKey, Attempt: row.Attempt})
				}
			}
		}
	}
	if x.anything {
		by.Step = ""
		events = append(events, Cancelled{Decision: by}, Cancelled{Decision: by, Compensate: true})
	}
	return events
}

// callable is the step alone, if it is: nothing continues, so that every row is seen waiting for its delivery.
func (x *explorer) callable(key StepKey) map[StepKey]bool {
	return map[StepKey]bool{key: x.runnable[key]}
}

func succeeded(st *StepSpec, a Attempted) []Event {
	if st.Kind != KindChoose {
		return []Event{Succeeded{Attempted: a}}
	}
	var events []Event
	for _, route := range slices.Sorted(maps.Keys(st.Routes)) {
		events = append(events, Succeeded{Attempted: a, Route: route})
	}
	return events
}
