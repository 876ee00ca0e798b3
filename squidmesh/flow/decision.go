package flow

import (
	"encoding/json"
	"time"
)

// ApprovalResult is the output of an approval step.
type ApprovalResult struct {
	Decision  string          `json:"decision"` // approved or rejected
	Actor     string          `json:"actor,omitempty"`
	Comment   string          `json:"comment,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	DecidedAt time.Time       `json:"decided_at"`
}

// EarlierDecision is the decision because of which a later one was refused. See [RefusedError].
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

// Decision says who decides something about a run, and why.
type Decision struct {
	// Actor is who decides. Approve and reject require it. It has at most 200 bytes of printable characters.
	Actor string
	// Comment is free text of at most 4 KiB.
	Comment string
	// Metadata is any JSON object of at most 16 KiB. It is nested at most 64 deep, and has no repeated keys or NUL characters.
	Metadata json.RawMessage
	// Step says which decision is meant if several are open. Empty means the only one.
	Step string
}
