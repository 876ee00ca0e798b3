package squidmesh

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Missed says what becomes of the windows that passed while no process was there to fire them.
//
// A window that is due for no more than five seconds is not missed, and neither is the newest one for a minute. Of those that are
// not fired, the newest is recorded as skipped.
type Missed string

// The policies for missed windows.
const (
	MissedLatest  Missed = ""         // the newest one fires, however late; the others do not
	MissedSkip    Missed = "skip"     // none fires
	MissedCatchUp Missed = "catch_up" // the newest ones fire, oldest first, at most [Trigger.CatchUp] of them; see [Overlap], too
)

// Overlap says what becomes of a window when a run that an earlier one of the same trigger started has not ended.
//
// Windows that [MissedCatchUp] catches up fire all at once, so they overlap: [OverlapSkip] then starts a run for the first of them and
// [OverlapQueueOne] for the first two, and the others are skipped while those runs are at work.
type Overlap string

// The policies for overlapping windows. Runs that were started by other means do not count.
const (
	OverlapAllow    Overlap = ""          // another run starts
	OverlapSkip     Overlap = "skip"      // the window starts no run
	OverlapQueueOne Overlap = "queue_one" // the window waits for that run's end; while one waits, later ones are skipped
)

// maxCatchUp bounds [Trigger.CatchUp].
const maxCatchUp = 1000

// TriggerKey names a trigger.
type TriggerKey struct {
	Workflow string `json:"workflow"`
	Trigger  string `json:"trigger"`
}

func (k TriggerKey) String() string { return k.Workflow + "/" + k.Trigger }

// TriggerState is the row of a cron trigger. It is what fires: a process that starts writes its own definition into it, and the
// definition written last holds for all.
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
	// ChangedAt is when the trigger was paused or resumed last, Actor and Comment are what [TriggerParams] said then. All are zero if
	// nobody has done either since migration 009.
	ChangedAt time.Time `json:"changed_at,omitzero"`
	Actor     string    `json:"actor,omitzero"`
	Comment   string    `json:"comment,omitzero"`
	// PrunedTo is the newest window whose fire or run has been deleted after it had begun; zero if none has.
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

// open reports whether the fire may still start a run.
func (s FireState) open() bool { return s == FirePending || s == FireQueued }

// Fire is the row of one window of a trigger: at most one exists for a window, and it starts at most one run.
type Fire struct {
	TriggerKey

	// Key is unique in the trigger: the wall-clock minute of the window with its zone; for "@every" and fires by hand the
	// instant.
	Key      string `json:"key"`
	SignalID string `json:"signal_id"` // unique in the trigger, too

	WindowAt  time.Time `json:"window_at"`
	WindowEnd time.Time `json:"window_end,omitzero"` // the next window; zero if there is none
	State     FireState `json:"state"`
	Reason    string    `json:"reason,omitzero"` // why it was skipped, refused or queued
	RunID     RunID     `json:"run_id,omitzero"` // of the run that it started
	FiredAt   time.Time `json:"fired_at"`

	// Actor and Comment are what [TriggerParams] said of a fire by hand.
	Actor   string `json:"actor,omitzero"`
	Comment string `json:"comment,omitzero"`

	// RunStatus is where the run stands; empty if there is none, or no more.
	RunStatus RunStatus `json:"run_status,omitzero"`

	// LookAt is when the sweep looks after a fire that is open; Sent counts its deliveries, JobID is the last one.
	LookAt time.Time `json:"look_at,omitzero"`
	Sent   int       `json:"sent,omitzero"`
	JobID  string    `json:"job_id,omitzero"`
}

// TriggerQuery selects trigger rows.
type TriggerQuery struct {
	// Keys are the triggers. Nil selects all, or those of Workflow.
	Keys     []TriggerKey
	Workflow string

	// Lock waits for the rows and locks them.
	Lock bool

	// DueBy selects of Keys those that are not paused and due by then, most overdue first, at most Limit; it locks them and
	// leaves out what somebody else holds.
	DueBy time.Time
	Limit int
}

// FireQuery selects fires of the triggers Keys, by exactly one of its other fields.
type FireQuery struct {
	Keys []TriggerKey

	// SignalID selects the fire with that signal, and locks it.
	SignalID string

	// LookBy selects the fires that the sweep should have looked after by then, longest first, at most Limit; it locks them and
	// leaves out what somebody else holds.
	LookBy time.Time
	Limit  int

	// Newest selects that many fires of each trigger, newest window first, without locks.
	Newest int

	// Ahead selects what a window that starts then may have to wait for, of each trigger at most one of either: a fire whose run has
	// not ended, and after it a fire that is queued for an earlier window. It takes no locks.
	Ahead time.Time

	// Commented selects those fires of one trigger that have a comment, in the order of their keys, behind the key After, at most Limit,
	// without locks.
	Commented bool
	After     string
}

// CronChange is what one transaction writes about triggers, in this order.
type CronChange struct {
	// Register inserts the triggers that are not there yet, and leaves the others as they are.
	Register []TriggerState

	// Defined writes Expression, TimeZone, Missed, CatchUp, Overlap and NextAt.
	Defined []TriggerState

	// Triggers writes NextAt.
	Triggers []TriggerState

	// Operated writes NextAt, Paused, ChangedAt, Actor and Comment.
	Operated []TriggerState

	// NewFires inserts fires whose key and signal are both new in their trigger.
	NewFires []Fire

	// Fires writes State, Reason, RunID, LookAt, Sent and JobID.
	Fires []Fire
}

// signalID derives the id of a window: the same for all who deliver it.
func signalID(key TriggerKey, w Window) string {
	return "sha256:" + digestOf(key.Workflow, key.Trigger, w.StartAt.UTC().Format(time.RFC3339Nano), w.EndAt.UTC().Format(time.RFC3339Nano))
}

// digestOf is a name made of parts, whatever is in them.
func digestOf(parts ...string) string {
	for i, p := range parts {
		parts[i] = fmt.Sprintf("%d:%s", len(p), p)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "|")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
