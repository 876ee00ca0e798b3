package flow_test

import (
	"maps"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/difference"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// heal lets everything go well from now on, and requires that the run ends soon. Only what the world itself lost, or what
// was due too far ahead, is delivered by a sweep.
func (w *world) heal() {
	w.refuse = false
	bound := 10 + 6*len(w.spec.Steps())
	for i := 0; !w.snap.Run.Status.Terminal(); i++ {
		if i > bound {
			w.t.Fatalf("every run ends: %d events after everything went well the run is still %s", i, w.snap.Run.Status)
		}
		w.goOn()
	}
	for worker := flow.WorkerID(1); worker < w.next; worker++ {
		if w.cut[worker] && !w.lost[worker] {
			w.declare(worker)
		}
	}
	w.sweep()
	folded, err := flow.Fold(w.spec, w.audit)
	if broken := difference.Of(w.snap, folded); err != nil || broken != "" {
		w.t.Fatalf("the audit as a whole: %v %s", err, broken)
	}
	if len(w.holds) > 0 {
		w.t.Fatalf("holds balance: the run has ended and %v are still held", w.holds)
	}
}

// goOn lets the next thing happen, and go well.
func (w *world) goOn() {
	w.sweep()
	switch {
	case w.snap.Run.Status.Terminal():
	case w.finishOne(), w.decideOne(), w.deliverOne(), w.redeliverOne():
	default:
		w.t.Fatalf("every run ends: the run is %s and nothing can move it", w.snap.Run.Status)
	}
}

func (w *world) finishOne() bool {
	for i, c := range w.live {
		row := w.snap.Steps[c.StepKey]
		if row.Status != flow.StepRunning || row.Attempt != c.Attempt || row.Worker != c.Worker || w.lost[c.Worker] {
			continue
		}
		e := flow.Succeeded{Attempted: w.attempted(c, w.knows())}
		if st := w.spec.Find(c.Name); st.Kind == flow.KindChoose && c.Phase == flow.PhaseDo {
			e.Route = slices.Min(slices.Collect(maps.Keys(st.Routes)))
		}
		w.end(i, e)
		return true
	}
	return false
}

func (w *world) decideOne() bool {
	for i := range w.spec.Steps() {
		st := &w.spec.Steps()[i]
		by := flow.Decision{Actor: "healer", Step: st.Name}
		var e flow.Event
		switch {
		case w.snap.Steps[flow.StepKey{Name: st.Name, Phase: flow.PhaseUndo}].Status == flow.StepPaused:
			e = flow.UndoAccepted{Decision: by}
		case w.snap.Steps[flow.StepKey{Name: st.Name, Phase: flow.PhaseDo}].Status != flow.StepPaused:
			continue
		case st.Kind == flow.KindApproval:
			e = flow.Approved{Decision: by}
		default:
			e = flow.Unblocked{Decision: by}
		}
		if _, err := w.decide(e); err != nil {
			w.t.Fatalf("open decisions can be taken: %v", err)
		}
		return true
	}
	return false
}

func (w *world) deliverOne() bool {
	current := func(q queued) bool {
		row := w.snap.Steps[q.StepKey]
		return row.Status == flow.StepScheduled && row.Attempt == q.Attempt && row.Missing == 0
	}
	next := -1
	for i, q := range w.queue {
		if current(q) && (next < 0 || q.at.Before(w.queue[next].at)) {
			next = i
		}
	}
	if next < 0 {
		return false
	}
	w.now = latest(w.now, w.queue[next].at)
	w.deliver(next, flow.Attempted{Worker: w.workers[0], Runnable: w.knows()})
	return true
}

func (w *world) redeliverOne() bool {
	for i := range w.spec.Steps() {
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			row := w.snap.Steps[flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: phase}]
			if row.Status != flow.StepScheduled || row.Missing > 0 || !w.missing[sending{row.StepKey, row.Attempt}] {
				continue
			}
			w.now = latest(w.now, row.DueAt.Add(-flow.JobHorizon))
			_, err := w.decide(flow.Redelivered{StepKey: row.StepKey, Attempt: row.Attempt, JobID: row.JobID})
			return err == nil
		}
	}
	return false
}
