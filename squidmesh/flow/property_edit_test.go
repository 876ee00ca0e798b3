package flow_test

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// needy is the input of a function that wants what no older run has.
type needy struct{ A string }

func wanting(context.Context, needy) error { return nil }

// edit is a definition that somebody works on between two versions of the program.
type edit struct {
	t     *rapid.T
	f     flavour
	w     squidmesh.Workflow
	fresh int // steps that were added
}

// drawToday is the definition of the next version: as it was, gone, or with a few changes that Compile takes.
func drawToday(t *rapid.T, f flavour, w squidmesh.Workflow) *flow.Spec {
	if chance(t, 5, "workflow is gone") {
		return nil
	}
	today, err := squidmesh.Compile(w)
	if err != nil {
		t.Fatalf("Compile refuses a valid workflow: %v", err)
	}
	fresh := 0
	for range number(t, "edits", 0, 4) {
		e := &edit{t: t, f: f, w: copied(w), fresh: fresh}
		oneOf(t, "edit", (*edit).remove, (*edit).rename, (*edit).alter, (*edit).alter, (*edit).alterUndo, (*edit).alterUndo, (*edit).add, (*edit).reroute)(e)
		if !f.whole {
			e.w.Steps = onlyReached(e.w.Steps)
		}
		if spec, err := squidmesh.Compile(e.w); err == nil {
			w, today, fresh = e.w, spec, e.fresh
		}
	}
	return today
}

// copied is a workflow that shares nothing with the one that is edited.
func copied(w squidmesh.Workflow) squidmesh.Workflow {
	w.Triggers = slices.Clone(w.Triggers)
	w.Steps = copiedSteps(w.Steps)
	return w
}

func copiedSteps(steps []squidmesh.Step) []squidmesh.Step {
	steps = slices.Clone(steps)
	for i := range steps {
		steps[i].Parallel = copiedSteps(steps[i].Parallel)
		steps[i].After = slices.Clone(steps[i].After)
		steps[i].Routes = maps.Clone(steps[i].Routes)
	}
	return steps
}

// list draws the spine or the children of a block.
func (e *edit) list() *[]squidmesh.Step {
	lists := []*[]squidmesh.Step{&e.w.Steps}
	for i := range e.w.Steps {
		if len(e.w.Steps[i].Parallel) > 0 {
			lists = append(lists, &e.w.Steps[i].Parallel)
		}
	}
	return oneOf(e.t, "list", lists...)
}

func (e *edit) step() *squidmesh.Step {
	list := *e.list()
	return &list[number(e.t, "step", 0, len(list)-1)]
}

// remove takes a step away; what led to it leads on to what follows.
func (e *edit) remove() {
	list := e.list()
	if len(*list) == 1 {
		return
	}
	i := number(e.t, "step", 0, len(*list)-1)
	gone := (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	to := gone.Next
	if to == "" {
		to = flow.Complete
	}
	for i := range *list {
		st := &(*list)[i]
		st.After = slices.DeleteFunc(st.After, func(name string) bool { return name == gone.Name })
		renameIn(st, gone.Name, to)
	}
}

func renameIn(st *squidmesh.Step, from, to string) {
	for _, target := range []*string{&st.Next, &st.OnError} {
		if *target == from {
			*target = to
		}
	}
	for route, target := range st.Routes {
		if target == from {
			st.Routes[route] = to
		}
	}
	for i := range st.After {
		if st.After[i] == from {
			st.After[i] = to
		}
	}
}

func (e *edit) name() string {
	e.fresh++
	return fmt.Sprintf("n%d", e.fresh)
}

func (e *edit) rename() {
	list := e.list()
	i := number(e.t, "step", 0, len(*list)-1)
	from, to := (*list)[i].Name, e.name()
	(*list)[i].Name = to
	for i := range *list {
		renameIn(&(*list)[i], from, to)
	}
}

// alter changes what a step does: the kind or the contract of its function, or the routes that it answers with.
func (e *edit) alter() {
	st := e.step()
	switch st.Do.Kind() {
	case flow.KindFunc, flow.KindFuncTx:
		st.Do = oneOf(e.t, "function", squidmesh.Effect(nothing), squidmesh.EffectTx(nothingTx), squidmesh.Effect(wanting))
		e.w.Triggers[0] = squidmesh.Manual("manual", squidmesh.Payload[needy]())
	case flow.KindChoose:
		if chance(e.t, 50, "another route") {
			st.Routes["r9"] = flow.Complete
		} else {
			delete(st.Routes, oneOf(e.t, "route", slices.Sorted(maps.Keys(st.Routes))...))
		}
	case flow.KindWait, flow.KindLog:
		st.Do = squidmesh.Effect(nothing)
	case flow.KindPause:
		st.Do, st.Timeout, st.OnError = squidmesh.Effect(nothing), 0, ""
	}
}

func (e *edit) alterUndo() {
	if st := e.step(); st.Do.Kind() == flow.KindFunc || st.Do.Kind() == flow.KindFuncTx {
		st.Undo = oneOf(e.t, "undo", squidmesh.Action{}, squidmesh.Effect(nothing), squidmesh.EffectTx(nothingTx), squidmesh.Effect(wanting))
		st.UndoRetry, st.UndoTimeout, st.Irreversible, st.NotCompensatable = flow.Retry{}, 0, false, false
		e.w.Triggers[0] = squidmesh.Manual("manual", squidmesh.Payload[needy]())
	}
}

// add puts a step between two others, or beside them.
func (e *edit) add() {
	list := e.list()
	i := number(e.t, "behind", 0, len(*list)-1)
	st := squidmesh.Step{Name: e.name(), Do: squidmesh.Effect(nothing)}
	if before := &(*list)[i]; list == &e.w.Steps && !e.f.whole {
		st.Next, before.Next = before.Next, st.Name
	} else {
		st.After = []string{before.Name}
	}
	*list = slices.Insert(*list, i+1, st)
}

func (e *edit) reroute() {
	if e.f.whole {
		return
	}
	i := number(e.t, "step", 0, len(e.w.Steps)-1)
	st, targets := &e.w.Steps[i], []string{flow.Complete}
	for _, later := range e.w.Steps[i+1:] {
		targets = append(targets, later.Name)
	}
	target := oneOf(e.t, "target", targets...)
	switch {
	case st.Do.Kind() == flow.KindChoose:
		st.Routes[oneOf(e.t, "route", slices.Sorted(maps.Keys(st.Routes))...)] = target
	case chance(e.t, 50, "on error"):
		st.OnError = target
	default:
		st.Next = target
	}
}
