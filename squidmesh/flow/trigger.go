package flow

import (
	"time"
)

// TriggerKey identifies a trigger.
type TriggerKey struct {
	Workflow string `json:"workflow"`
	Trigger  string `json:"trigger"`
}

func (k TriggerKey) String() string { return k.Workflow + "/" + k.Trigger }

// TriggerState is the row of a cron trigger. The row is what fires. A process that starts writes its own definition into it, and
// the last definition written holds for all processes.
type TriggerState struct {
	TriggerKey
	Expression string  `json:"expression"`
	TimeZone   string  `json:"time_zone"`
	Missed     Missed  `json:"missed"`
	CatchUp    int     `json:"catch_up,omitzero"`
	Overlap    Overlap `json:"overlap"`

	// NextAt is the next window; zero if there is none.
	NextAt time.Time `json:"next_at,omitzero"`
	Paused bool      `json:"paused"`
	// ChangedAt is when the trigger was last paused or resumed. Actor and Comment are what [squidmesh.TriggerParams] said then. All
	// are zero if nobody has done either since migration 009.
	ChangedAt time.Time `json:"changed_at,omitzero"`
	Actor     string    `json:"actor,omitzero"`
	Comment   string    `json:"comment,omitzero"`
	// PrunedTo is the newest of the windows that had begun and whose fire or run has been deleted. It is zero if there is none.
	PrunedTo time.Time `json:"pruned_to,omitzero"`
}

// FireState says what became of a window.
type FireState string

// The states of a fire; the last three are final.
const (
	FirePending FireState = "pending" // its delivery is on the way
	FireQueued  FireState = "queued"  // waits for the end of an earlier run
	FireStarted FireState = "started" // a run was started
	FireSkipped FireState = "skipped" // by a policy
	FireRefused FireState = "refused" // no run can be started: see Reason
)

// Open reports whether the fire may still start a run.
func (s FireState) Open() bool { return s == FirePending || s == FireQueued }

// Fire is the row of one window of a trigger. A window has at most one row, and the row starts at most one run.
type Fire struct {
	TriggerKey

	// Key is unique in the trigger. It is the wall-clock minute of the window with its zone, or the instant for "@every" and fires
	// by hand.
	Key      string `json:"key"`
	SignalID string `json:"signal_id"` // unique in the trigger, too

	WindowAt  time.Time `json:"window_at"`
	WindowEnd time.Time `json:"window_end,omitzero"` // the next window; zero if there is none
	State     FireState `json:"state"`
	Reason    string    `json:"reason,omitzero"` // why it was skipped, refused or queued
	RunID     RunID     `json:"run_id,omitzero"` // of the run that it started
	FiredAt   time.Time `json:"fired_at"`

	// Actor and Comment are what [squidmesh.TriggerParams] said, if somebody fired by hand.
	Actor   string `json:"actor,omitzero"`
	Comment string `json:"comment,omitzero"`

	// RunStatus is where the run stands. It is empty if there is no run, or no longer.
	RunStatus RunStatus `json:"run_status,omitzero"`

	// LookAt is when the sweep looks after an open fire. Sent is how often it was delivered, and JobID is the last delivery's job.
	LookAt time.Time `json:"look_at,omitzero"`
	Sent   int       `json:"sent,omitzero"`
	JobID  string    `json:"job_id,omitzero"`
}
