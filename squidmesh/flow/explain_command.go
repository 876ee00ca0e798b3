package flow

import (
	"time"
)

// Command is something that an operator can do about a run.
type Command string

// The commands.
const (
	CommandCancel     Command = "cancel"
	CommandUnblock    Command = "unblock"
	CommandApprove    Command = "approve"
	CommandReject     Command = "reject"
	CommandRetryUndo  Command = "retry_undo"
	CommandAcceptUndo Command = "accept_undo"
	CommandReplay     Command = "replay"
	// CommandReplayIrreversible is a replay that needs AllowIrreversible.
	CommandReplayIrreversible Command = "replay_irreversible"
)

// actions asks Decide about every command.
func actions(spec *Spec, s Snapshot, now time.Time) []Command {
	by := Decision{Actor: "explain"}
	var accepted []Command
	try := func(action Command, e Event) bool {
		_, err := Decide(spec, s, e, now)
		if err == nil {
			accepted = append(accepted, action)
		}
		return err == nil
	}
	try(CommandUnblock, Unblocked{by})
	try(CommandApprove, Approved{by})
	try(CommandReject, Rejected{by})
	for _, row := range openRows(spec, s) { // one by one, since a decision names its step when several are open
		if row.Phase == PhaseUndo && row.Status == StepPaused {
			by := Decision{Actor: "explain", Step: row.Name}
			try(CommandRetryUndo, UndoRetried{by})
			try(CommandAcceptUndo, UndoAccepted{by})
			break
		}
	}
	if !s.Run.Status.Terminal() {
		try(CommandCancel, Cancelled{Decision: by})
	}
	if !try(CommandReplay, Replayed{Decision: by}) {
		try(CommandReplayIrreversible, Replayed{Decision: by, AllowIrreversible: true})
	}
	return accepted
}
