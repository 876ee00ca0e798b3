package flow

// Traits say more about an event than its rule in [Decide]: what it is about, who sends it, and how it is to be committed.
type Traits struct {
	// Stage is the kind of transaction that decides the event.
	Stage Stage

	// Attempted is the attempt that the event is about, and the worker that speaks. The worker is zero if an operator or a tick
	// speaks. The attempt is zero if the event is about the whole run.
	Attempted Attempted

	// Claims says that an attempt begins with the event. Ends says that attempts end: that has happened, whether or not it can be
	// written now, so writing it is tried until the service ends.
	Claims, Ends bool

	// Swept says that the event comes from a tick, which waits for no run. Whoever holds the run moves it, or is a frozen process
	// whose transaction the server ends. The next tick finds what is left.
	Swept bool

	// Shared says that the event may share a transaction with others. Such events come from deliveries, by the thousand, and wait
	// for nobody.
	Shared bool

	// Size is how many bytes of a result the event brings. All else that an event brings is small, except a start's payload.
	Size int

	// Reworded is the event with other free texts. Nil is for events that bring none, but for those of Decision.
	Reworded func(Rewording) Event

	// Command says that an operator asks for the event, and Decision says who and why. Other events have neither.
	Command  bool
	Decision Decision

	// Answers is the kind of step whose open decision the command ends. AnswersUndo says that the command decides about a failed
	// undo. A command with neither is about the whole run.
	Answers     Kind
	AnswersUndo bool
}

// Stage is a kind of transaction. Fault points are named after it.
type Stage string

// The stages.
const (
	StageStart     Stage = "start"
	StageClaim     Stage = "claim"
	StageApply     Stage = "apply" // the end of an attempt of a step
	StageUndo      Stage = "undo"  // the end of an attempt of an undo
	StageRelease   Stage = "release"
	StageTakeover  Stage = "takeover"
	StageRedeliver Stage = "redeliver"
	StageDecision  Stage = "decision"
)

// TraitsOf returns an event's row in the table below. Nil has none.
func TraitsOf(e Event) Traits { return e.traits() }

// MustBeKnown reports whether the runtime must find out what became of the event's COMMIT, however long that takes. An attempt that
// was claimed or ended unknown to anybody would be gone on with by nobody.
func (t Traits) MustBeKnown() bool { return t.Claims || t.Ends }

// GoesOn reports whether the worker of an attempt that ended would go on with a successor.
func (t Traits) GoesOn() bool { return t.Ends && t.Attempted.Runnable != nil }

// The table. A type is an Event only by its row here, so the compiler asks for the row of a new event. What a row does not name is
// false or zero.

// A start with a key may have to wait for whoever has taken it.
func (e Started) traits() Traits { return Traits{Stage: StageStart, Shared: e.Key == ""} }

func (e Claimed) traits() Traits {
	return Traits{Stage: StageClaim, Attempted: e.Attempted, Claims: true, Shared: true}
}

func (e Succeeded) traits() Traits {
	return Traits{Stage: endStage(e.Phase), Attempted: e.Attempted, Ends: true, Shared: true, Size: len(e.Output)}
}

func (e Failed) traits() Traits {
	return Traits{Stage: endStage(e.Phase), Attempted: e.Attempted, Ends: true, Shared: true, Reworded: e.reworded}
}

func (e Released) traits() Traits {
	return Traits{Stage: StageRelease, Attempted: e.Attempted, Ends: true, Shared: true, Reworded: e.reworded}
}

func (e Lost) traits() Traits { return Traits{Stage: StageTakeover, Ends: true, Swept: true} }

func (e Expired) traits() Traits {
	return Traits{Stage: StageDecision, Attempted: Attempted{StepKey: e.StepKey, Attempt: e.Attempt}, Ends: true, Swept: true}
}

func (e Redelivered) traits() Traits {
	return Traits{Stage: StageRedeliver, Attempted: Attempted{StepKey: e.StepKey, Attempt: e.Attempt}, Swept: true}
}

func (e Compensated) traits() Traits { return Traits{Stage: StageRedeliver} }

func (e Unblocked) traits() Traits {
	return Traits{Stage: StageDecision, Command: true, Decision: e.Decision, Answers: KindPause}
}

func (e Approved) traits() Traits {
	return Traits{Stage: StageDecision, Command: true, Decision: e.Decision, Answers: KindApproval}
}

func (e Rejected) traits() Traits {
	return Traits{Stage: StageDecision, Command: true, Decision: e.Decision, Answers: KindApproval}
}

func (e Cancelled) traits() Traits {
	return Traits{Stage: StageDecision, Command: true, Decision: e.Decision}
}

func (e UndoRetried) traits() Traits {
	return Traits{Stage: StageDecision, Command: true, Decision: e.Decision, AnswersUndo: true}
}

func (e UndoAccepted) traits() Traits {
	return Traits{Stage: StageDecision, Command: true, Decision: e.Decision, AnswersUndo: true}
}

func (e Replayed) traits() Traits {
	return Traits{Stage: StageDecision, Command: true, Decision: e.Decision}
}

func endStage(phase Phase) Stage {
	if phase == PhaseUndo {
		return StageUndo
	}
	return StageApply
}
