package flow

import (
	"fmt"
	"maps"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// Fit says whether a definition has the function that a step of a pinned shape needs, and whether it can be called there.
type Fit struct {
	Known   bool   // a function of that name and phase is there
	Differs string // what keeps it from being called; empty for nothing
}

func (f Fit) Runnable() bool { return f.Known && f.Differs == "" }

// Functions says how far a program can execute runs that are pinned to s. Today is its definition of the workflow, nil for none.
// Runnable has the steps and undos whose functions it has and can call. Unfit has those whose functions it has, but that do not
// fit. Waits, pauses, approvals and blocks need no function and are in neither.
func (s *Spec) Functions(today *Spec) (runnable, unfit map[StepKey]bool) {
	runnable, unfit = map[StepKey]bool{}, map[StepKey]bool{}
	for i := range s.steps {
		for _, phase := range []Phase{PhaseDo, PhaseUndo} {
			key := StepKey{s.steps[i].Name, phase}
			if !s.steps[i].Executes(phase) {
				continue
			}
			switch f := s.Fit(today, key); {
			case f.Runnable():
				runnable[key] = true
			case f.Known:
				unfit[key] = true
			}
		}
	}
	return runnable, unfit
}

// Executes reports whether a phase of the step is a function that a worker must have.
func (st *StepSpec) Executes(phase Phase) bool {
	if phase == PhaseUndo {
		return st.HasUndo
	}
	switch st.Kind {
	case KindFunc, KindFuncTx, KindChoose, KindLog:
		return true
	default:
		return false
	}
}

// Fit compares a function of the pinned shape s with that of today's definition, which may be nil. Functions are found by name, so
// a run can meet a function that was written for another shape. It fits if
//
//   - it is of the same kind,
//   - it can read what the pinned step is given,
//   - the pinned steps that read its result can read it, and it hides nothing that they read from others,
//   - it answers with no route that the pinned choice does not have.
func (s *Spec) Fit(today *Spec, key StepKey) Fit {
	if today == nil {
		return Fit{}
	}
	was, is := s.Find(key.Name), today.Find(key.Name)
	switch {
	case was == nil || is == nil || !is.Executes(key.Phase):
		return Fit{}
	case s.shape == today.shape:
		return Fit{Known: true}
	case key.Phase == PhaseUndo:
		return Fit{true, firstOf(
			kindDiffers(was.UndoKind, is.UndoKind),
			inputDiffers(was.UndoKeys, was.UndoInput, is.UndoInput),
		)}
	default:
		return Fit{true, firstOf(
			kindDiffers(was.Kind, is.Kind),
			inputDiffers(was.Keys, was.Input, is.Input),
			s.resultDiffers(was, is),
			routesDiffer(was, is),
		)}
	}
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func kindDiffers(was, is Kind) string {
	if was == is {
		return ""
	}
	return fmt.Sprintf("it is %s and was %s", is, was)
}

// inputDiffers compares what the pinned step is given, the keys that it reads as it reads them, with what the function reads.
func inputDiffers(keys []string, was, is *jsontype.Type) string {
	if is == nil {
		return ""
	}
	given := jsontype.Type{Kind: jsontype.Object}
	for _, key := range keys {
		given.Fields = append(given.Fields, was.Reads(key))
	}
	if s := jsontype.Disagreement("", given, *is); s != "" {
		return "of its input, " + s
	}
	return ""
}

// resultDiffers holds the function's result against all that the pinned shape reads of it.
func (s *Spec) resultDiffers(was, is *StepSpec) string {
	wrote, writes := WrittenFields(was.Output, was.Result), WrittenFields(was.Output, is.Result)
	for i := range s.steps {
		reader := &s.steps[i]
		for _, r := range []struct {
			who           string
			keys, sources []string
			input         *jsontype.Type
		}{
			{"step " + reader.Name, reader.Keys, reader.Sources, reader.Input},
			{"the undo of " + reader.Name, reader.UndoKeys, reader.UndoSources, reader.UndoInput},
		} {
			if !slices.Contains(r.sources, was.Name) {
				continue
			}
			for _, key := range r.keys {
				_, did := fieldNamed(wrote, key)
				written, does := fieldNamed(writes, key)
				if !did && does {
					return fmt.Sprintf("its result has key %s, which %s reads from elsewhere", echo.Quote(key), r.who)
				}
				if !did {
					continue
				}
				if d := jsontype.DisagreeingField("", written, does, r.input.Reads(key)); d != "" {
					return fmt.Sprintf("of its result, which %s reads, %s", r.who, d)
				}
			}
		}
	}
	return ""
}

func fieldNamed(fields []jsontype.Field, name string) (jsontype.Field, bool) {
	i := slices.IndexFunc(fields, func(f jsontype.Field) bool { return f.Name == name })
	if i < 0 {
		return jsontype.Field{}, false
	}
	return fields[i], true
}

func routesDiffer(was, is *StepSpec) string {
	for _, route := range slices.Sorted(maps.Keys(is.Routes)) {
		if _, ok := was.Routes[route]; !ok {
			return fmt.Sprintf("it may answer %s, which was no route", echo.Quote(route))
		}
	}
	return ""
}
