package squidmesh

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// EarlierDecision is a decision that another one came too late for. See [RefusedError].
type EarlierDecision struct {
	Kind  AuditKind // what was decided, such as AuditApproved; AuditExpired if nobody did in time
	Step  string    // empty for AuditCancelled, which is about the whole run
	Actor string    // empty if nobody said
	At    time.Time
}

func (e *EarlierDecision) String() string {
	var what string
	switch e.Kind {
	case AuditCancelled:
		what = "the run was cancelled"
	case AuditExpired:
		what = e.Step + " expired"
	case AuditUndoRetried:
		what = "the undo of " + e.Step + " was retried"
	case AuditAccepted:
		what = "the undo of " + e.Step + " was accepted"
	default:
		what = e.Step + " was " + string(e.Kind)
	}
	if e.Actor != "" {
		what += " by " + e.Actor
	}
	return what + " at " + e.At.UTC().Format(time.RFC3339)
}

// tooLate adds to the refusal of a command the decision that came before, if there is one, and reads the run's audit for it. The error is
// that of reading, and leaves the refusal as it is. A cancel is refused because the run has ended, which takes nobody's decision.
func tooLate(command Event, refusal error, inspect func(*InspectOptions) (*Inspection, error)) error {
	var refused *RefusedError
	if _, cancel := command.(Cancelled); cancel || !errors.As(refusal, &refused) {
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
func (in *Inspection) earlier(command Event) *EarlierDecision {
	var last *EarlierDecision
	step := decisionOf(command).Step
	for _, e := range in.Audit {
		about := step == "" || step == e.Name || e.Name == "" && last == nil
		if about && in.settles(e, command) {
			last = &EarlierDecision{Kind: e.Kind, Step: e.Name, Actor: e.Actor, At: e.At}
		}
	}
	return last
}

// settles reports whether an entry ends what a command asks about, at the entry's step.
func (in *Inspection) settles(e AuditEntry, command Event) bool {
	switch command.(type) {
	case Approved, Rejected:
		return in.closes(e, KindApproval)
	case Unblocked:
		return in.closes(e, KindPause)
	case UndoRetried, UndoAccepted:
		return (e.Kind == AuditUndoRetried || e.Kind == AuditAccepted) && !in.undoOpen(decisionOf(command).Step)
	default:
		return false
	}
}

// closes reports whether an entry ends a decision of a kind, or all that are open, as a cancel does if nothing else has ended the run.
func (in *Inspection) closes(e AuditEntry, kind Kind) bool {
	switch e.Kind {
	case AuditApproved, AuditRejected, AuditUnblocked, AuditExpired:
		st := in.Spec.step(e.Name)
		return st != nil && st.Kind == kind
	case AuditCancelled:
		var data AuditData
		return json.Unmarshal(e.Data, &data) == nil && data.Verdict == VerdictCancelled
	default:
		return false
	}
}

// undoOpen reports whether the undo of a step, or any if none is named, awaits a decision: then a command was refused for another reason
// than its time.
func (in *Inspection) undoOpen(step string) bool {
	return slices.ContainsFunc(in.Steps, func(s StepInspection) bool {
		return s.Undo != nil && s.Undo.Status == StepPaused && (step == "" || step == s.Name)
	})
}
