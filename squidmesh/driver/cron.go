package driver

import (
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// TriggerQuery selects trigger rows.
type TriggerQuery struct {
	// Keys selects these triggers. Nil selects all, or those of Workflow.
	Keys     []flow.TriggerKey
	Workflow string

	// Lock waits for the rows and locks them.
	Lock bool

	// DueBy selects the triggers of Keys that are not paused and due by then, the most overdue first, at most Limit. It locks them
	// and leaves out those that somebody else holds.
	DueBy time.Time
	Limit int
}

// FireQuery selects fires of the triggers Keys. Exactly one of the other selections is set.
type FireQuery struct {
	Keys []flow.TriggerKey

	// SignalID selects the fire with that signal, and locks it.
	SignalID string

	// LookBy selects the fires that a tick should have looked after by then, the longest overdue first, at most Limit. It locks
	// them and leaves out those that somebody else holds.
	LookBy time.Time
	Limit  int

	// Newest selects that many fires of each trigger, newest window first, without locks.
	Newest int

	// Ahead selects what a window that starts then may have to wait for. For each trigger that is at most a fire whose run has not
	// ended, and a fire that is queued for an earlier window, in this order. It takes no locks.
	Ahead time.Time

	// Commented selects the fires of one trigger that have a comment, in the order of their keys, behind the key After, at most
	// Limit. It takes no locks.
	Commented bool
	After     string
}

// CronChange is what one transaction writes about triggers and fires, in this order.
type CronChange struct {
	// Register inserts the triggers that are not there yet, and leaves the others as they are. It waits for who inserts the same ones, and
	// for nobody on account of those that were there before.
	Register []flow.TriggerState

	// Defined writes Expression, TimeZone, Missed, CatchUp, Overlap and NextAt.
	Defined []flow.TriggerState

	// Triggers writes NextAt.
	Triggers []flow.TriggerState

	// Operated writes NextAt, Paused, ChangedAt, Actor and Comment.
	Operated []flow.TriggerState

	// NewFires inserts fires whose key and signal are both new in their trigger.
	NewFires []flow.Fire

	// Fires writes State, Reason, RunID, LookAt, Sent and JobID.
	Fires []flow.Fire
}

// SignalID derives the id of a window. It is the same for all who deliver the window.
func SignalID(key flow.TriggerKey, w Window) string {
	return "sha256:" + text.Digest(key.Workflow, key.Trigger, w.StartAt.UTC().Format(time.RFC3339Nano), w.EndAt.UTC().Format(time.RFC3339Nano))
}
