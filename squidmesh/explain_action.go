package squidmesh

import "time"

// RunAction is something an operator can do about a run now.
type RunAction string

// The actions.
const (
	ActionCancel     RunAction = "cancel"
	ActionUnblock    RunAction = "unblock"
	ActionApprove    RunAction = "approve"
	ActionReject     RunAction = "reject"
	ActionRetryUndo  RunAction = "retry_undo"
	ActionAcceptUndo RunAction = "accept_undo"
	ActionReplay     RunAction = "replay"
	// ActionReplayIrreversible is a replay that needs AllowIrreversible.
	ActionReplayIrreversible RunAction = "replay_irreversible"
)

// actions asks Decide about every command.
func actions(spec *Spec, s Snapshot, now time.Time) []RunAction {
	by := Decision{Actor: "explain"}
	var accepted []RunAction
	try := func(action RunAction, e Event) bool {
		_, err := Decide(spec, s, e, now)
		if err == nil {
			accepted = append(accepted, action)
		}
		return err == nil
	}
	try(ActionUnblock, Unblocked{by})
	try(ActionApprove, Approved{by})
	try(ActionReject, Rejected{by})
	for _, row := range openRows(spec, s) { // one by one, since a decision names its step when several are open
		if row.Phase == PhaseUndo && row.Status == StepPaused {
			by := Decision{Actor: "explain", Step: row.Name}
			try(ActionRetryUndo, UndoRetried{by})
			try(ActionAcceptUndo, UndoAccepted{by})
			break
		}
	}
	if !s.Run.Status.Terminal() {
		try(ActionCancel, Cancelled{Decision: by})
	}
	if !try(ActionReplay, Replayed{Decision: by}) {
		try(ActionReplayIrreversible, Replayed{Decision: by, AllowIrreversible: true})
	}
	return accepted
}
