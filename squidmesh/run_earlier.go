package squidmesh

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// tooLate adds to the refusal of a command the decision that came before, if there is one, and reads the run's audit for it. The error is
// that of reading, and leaves the refusal as it is. A cancel is refused because the run has ended, which takes nobody's decision.
func tooLate(command flow.Event, refusal error, inspect func(*InspectOptions) (*Inspection, error)) error {
	var refused *RefusedError
	if traits := flow.TraitsOf(command); traits.Answers == "" && !traits.AnswersUndo || !errors.As(refusal, &refused) {
		return nil
	}
	in, err := inspect(&InspectOptions{History: true})
	if err != nil {
		return err
	}
	refused.Earlier = in.earlier(command)
	return nil
}

// earlier is the last decision that a command comes too late for; nil if there is none, or if what it is about is open still. If the
// command names a step, a later cancel is not what decided that.
func (in *Inspection) earlier(command flow.Event) *flow.EarlierDecision {
	var last *flow.EarlierDecision
	step := flow.TraitsOf(command).Decision.Step
	for _, e := range in.Audit {
		about := step == "" || step == e.Name || e.Name == "" && last == nil
		if about && in.settles(e, command) {
			last = &flow.EarlierDecision{Kind: e.Kind, Step: e.Name, Actor: e.Actor, At: e.At}
		}
	}
	return last
}

// settles reports whether an entry ends what a command asks about, at the entry's step.
func (in *Inspection) settles(e flow.AuditEntry, command flow.Event) bool {
	traits := flow.TraitsOf(command)
	if traits.AnswersUndo {
		return (e.Kind == flow.AuditUndoRetried || e.Kind == flow.AuditAccepted) && !in.undoOpen(traits.Decision.Step)
	}
	return traits.Answers != "" && in.closes(e, traits.Answers)
}

// closes reports whether an entry ends a decision of a kind, or all that are open, as a cancel does if nothing else has ended the run.
func (in *Inspection) closes(e flow.AuditEntry, kind flow.Kind) bool {
	switch e.Kind {
	case flow.AuditApproved, flow.AuditRejected, flow.AuditUnblocked, flow.AuditExpired:
		st := in.Spec.Find(e.Name)
		return st != nil && st.Kind == kind
	case flow.AuditCancelled:
		var data flow.AuditData
		return json.Unmarshal(e.Data, &data) == nil && data.Verdict == flow.VerdictCancelled
	default:
		return false
	}
}

// undoOpen reports whether the undo of a step, or any if none is named, awaits a decision: then a command was refused for another reason
// than its time.
func (in *Inspection) undoOpen(step string) bool {
	return slices.ContainsFunc(in.Steps, func(s StepInspection) bool {
		return s.Undo != nil && s.Undo.Status == flow.StepPaused && (step == "" || step == s.Name)
	})
}
