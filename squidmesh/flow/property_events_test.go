package flow_test

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// mood is how often what happens in a world.
type mood map[string]int

var moods = []mood{
	{"deliver": 8, "succeed": 8, "fail": 2, "release": 1, "declare": 1, "sweep": 2, "resolve": 4, "expire": 2, "cancel": 1, "command": 2, "duplicate": 1, "forge": 1, "zombie": 2, "drop": 1, "redeliver": 2, "compensated": 1, "clock": 3, "refuse": 1, "deploy": 1},
	{"deliver": 8, "succeed": 8, "fail": 1, "resolve": 4},
	{"deliver": 8, "succeed": 2, "fail": 8, "resolve": 4, "command": 2, "zombie": 1, "release": 2, "clock": 1},
	{"deliver": 8, "succeed": 4, "fail": 1, "resolve": 1, "expire": 5, "zombie": 3, "cancel": 1, "declare": 1, "sweep": 1},
	{"deliver": 8, "succeed": 2, "fail": 1, "declare": 6, "sweep": 7, "zombie": 3, "resolve": 3, "cancel": 1},
	{"deliver": 8, "succeed": 6, "fail": 1, "cancel": 4, "command": 2, "sweep": 2, "declare": 1, "resolve": 4, "release": 1, "zombie": 1},
	{"deliver": 8, "spoil": 8, "cancel": 1, "resolve": 1, "command": 1},
}

var undoMoods = []mood{
	{"deliver": 8, "spoil": 4, "fail": 4, "expire": 3, "resolve": 3, "command": 1, "compensated": 1, "declare": 1, "sweep": 1, "release": 1, "zombie": 1},
	{"deliver": 8, "spoil": 8, "resolve": 1, "command": 1},
	{"deliver": 8, "ruin": 9, "resolve": 2},
}

// acts are what may happen. Each does nothing where it cannot happen.
var acts = map[string]func(*world){
	"deliver":     (*world).actDeliver,
	"succeed":     (*world).actSucceed,
	"fail":        (*world).actFail,
	"release":     (*world).actRelease,
	"declare":     (*world).actDeclare,
	"sweep":       (*world).actSweep,
	"resolve":     (*world).actResolve,
	"expire":      (*world).actExpire,
	"cancel":      (*world).actCancel,
	"command":     (*world).actCommand,
	"duplicate":   (*world).actDuplicate,
	"forge":       (*world).actForge,
	"zombie":      (*world).actZombie,
	"drop":        (*world).actDrop,
	"redeliver":   (*world).actRedeliver,
	"compensated": (*world).actCompensated,
	"clock":       (*world).actClock,
	"refuse":      (*world).actRefuse,
	"deploy":      (*world).actDeploy,
	"spoil":       (*world).actSpoil,
	"ruin":        (*world).actRuin,
}

// choices lists the names of a mood's acts, each as often as it weighs.
func (m mood) choices() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		names = append(names, slices.Repeat([]string{name}, m[name])...)
	}
	return names
}

// play lets things happen.
func (w *world) play(m mood) {
	choices := m.choices()
	for range number(w.t, "events", 0, 60) {
		acts[oneOf(w.t, "act", choices...)](w)
	}
}

// drawRunnable is nil, or what a worker could go on with: all, or some.
func (w *world) drawRunnable(maybeNil bool) map[flow.StepKey]bool {
	if maybeNil && chance(w.t, 25, "continuation off") {
		return nil
	}
	known := w.knows()
	if chance(w.t, 15, "some unknown") {
		for i := range w.spec.Steps() {
			if chance(w.t, 50, "unknown") {
				delete(known, flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: flow.PhaseDo})
				delete(known, flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: flow.PhaseUndo})
			}
		}
	}
	return known
}

// drawUnfit is some of what is not runnable.
func (w *world) drawUnfit(runnable map[flow.StepKey]bool) map[flow.StepKey]bool {
	unfit := w.knows()
	for key := range w.knows() {
		if runnable[key] {
			delete(unfit, key)
		}
	}
	for i := range w.spec.Steps() {
		if len(unfit) > 0 && chance(w.t, 50, "unknown") {
			delete(unfit, flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: flow.PhaseDo})
			delete(unfit, flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: flow.PhaseUndo})
		}
	}
	return unfit
}

// drawStuck is mostly nothing, or steps of which too many calls do not end.
func (w *world) drawStuck() map[flow.StepKey]bool {
	if !chance(w.t, 10, "some stuck") {
		return nil
	}
	stuck := map[flow.StepKey]bool{}
	for i := range w.spec.Steps() {
		for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
			stuck[flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: phase}] = chance(w.t, 50, "stuck")
		}
	}
	return stuck
}

// drawWorker is most often a living one.
func (w *world) drawWorker() flow.WorkerID {
	if chance(w.t, 5, "any worker") {
		return flow.WorkerID(number(w.t, "worker", 1, int(w.next)-1))
	}
	return oneOf(w.t, "worker", w.workers...)
}

func (w *world) drawKey() flow.StepKey {
	i := number(w.t, "step", 0, len(w.spec.Steps())-1)
	return flow.StepKey{Name: w.spec.Steps()[i].Name, Phase: oneOf(w.t, "phase", flow.PhaseDo, flow.PhaseUndo)}
}

// actDeliver delivers any job, though most often the next one when it is due.
func (w *world) actDeliver() {
	if len(w.queue) == 0 {
		return
	}
	i := 0
	if chance(w.t, 20, "any job") {
		i = number(w.t, "job", 0, len(w.queue)-1)
	} else {
		for j, q := range w.queue {
			if q.at.Before(w.queue[i].at) {
				i = j
			}
		}
		w.now = latest(w.now, w.queue[i].at)
	}
	runnable := w.drawRunnable(false)
	w.deliver(i, flow.Attempted{Worker: w.drawWorker(), Runnable: runnable, Unfit: w.drawUnfit(runnable), Stuck: w.drawStuck()})
}

func (w *world) actSucceed() {
	if len(w.live) == 0 {
		return
	}
	i := number(w.t, "execution", 0, len(w.live)-1)
	w.end(i, w.drawSuccess(w.attempted(w.live[i], w.drawRunnable(true))))
}

func (w *world) drawSuccess(a flow.Attempted) flow.Succeeded {
	e := flow.Succeeded{Attempted: a, Output: json.RawMessage(oneOf(w.t, "output", "", `{"x":1}`))}
	if st := w.spec.Find(a.Name); st != nil && st.Kind == flow.KindChoose {
		e.Output = nil
		e.Route = oneOf(w.t, "route", append(slices.Sorted(maps.Keys(st.Routes)), "elsewhere")...)
	}
	return e
}

func (w *world) drawFailure(a flow.Attempted) flow.Failed {
	e := flow.Failed{Attempted: a, Error: flow.StepError{Code: flow.CodeError, Message: "it broke"}, Final: chance(w.t, 20, "final")}
	if chance(w.t, 20, "retry after") {
		after := oneOf(w.t, "after", 0, 2500*time.Microsecond, time.Minute, 40*time.Hour)
		e.RetryAfter = &after
	}
	return e
}

func (w *world) actFail() {
	if len(w.live) == 0 {
		return
	}
	i := number(w.t, "execution", 0, len(w.live)-1)
	w.end(i, w.drawFailure(w.attempted(w.live[i], w.drawRunnable(true))))
}

// actSpoil lets a step succeed, and an undo fail for good.
func (w *world) actSpoil() {
	if len(w.live) == 0 {
		return
	}
	i := number(w.t, "execution", 0, len(w.live)-1)
	a := w.attempted(w.live[i], w.drawRunnable(true))
	if a.Phase == flow.PhaseDo {
		w.end(i, w.drawSuccess(a))
		return
	}
	w.end(i, flow.Failed{Attempted: a, Error: flow.StepError{Code: flow.CodeError, Message: "it broke"}, Final: true})
}

// actRuin lets a step succeed, and an undo take its worker down.
func (w *world) actRuin() {
	if len(w.live) == 0 {
		return
	}
	i := number(w.t, "execution", 0, len(w.live)-1)
	c := w.live[i]
	if c.Phase == flow.PhaseDo {
		w.end(i, w.drawSuccess(w.attempted(c, w.drawRunnable(true))))
		return
	}
	w.live = slices.Delete(w.live, i, i+1)
	if slices.Contains(w.workers, c.Worker) {
		w.declare(c.Worker)
		w.sweep()
	}
}

func (w *world) actRelease() {
	if len(w.live) == 0 {
		return
	}
	i := number(w.t, "execution", 0, len(w.live)-1)
	w.end(i, flow.Released{Attempted: w.attempted(w.live[i], nil), Reason: "stop"})
}

// actDeclare declares a worker lost, most often one that is at work. Its attempts are taken over later.
func (w *world) actDeclare() {
	worker := oneOf(w.t, "worker", w.workers...)
	for _, c := range w.live {
		if slices.Contains(w.workers, c.Worker) {
			worker = c.Worker
		}
	}
	w.declare(worker)
}
