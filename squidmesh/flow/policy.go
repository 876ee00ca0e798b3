package flow

import (
	"encoding/json"
	"fmt"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// Defaults are values for payload keys that the caller leaves out. A value is any JSON value that fits its key, or [DefaultNow] or
// [DefaultToday] for a string key. A key that is present keeps its value, even null.
type Defaults map[string]any

// DynamicDefault is a default that is computed when a run starts.
type DynamicDefault string

// The dynamic defaults. Both fit string keys; a time.Time takes DefaultNow only. If a cron window starts the run, they go by the
// window's time, so that a late or repeated delivery says the same.
const (
	// DefaultNow is the time of the start in UTC, as RFC 3339.
	DefaultNow DynamicDefault = "$now"
	// DefaultToday is the date in the trigger's time zone, as 2006-01-02.
	DefaultToday DynamicDefault = "$today"
)

// defaultJSON keeps a dynamic default apart from a string that looks like one.
type defaultJSON struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Dynamic DynamicDefault  `json:"dynamic,omitempty"`
}

// MarshalJSON writes each default as {"value": ...} or {"dynamic": ...}.
func (d Defaults) MarshalJSON() ([]byte, error) {
	out := make(map[string]defaultJSON, len(d))
	for key, value := range d {
		if dynamic, ok := value.(DynamicDefault); ok {
			out[key] = defaultJSON{Dynamic: dynamic}
			continue
		}
		raw, err := encode.JSON(value)
		if err != nil {
			return nil, err
		}
		out[key] = defaultJSON{Value: raw}
	}
	return encode.JSON(out)
}

// UnmarshalJSON reads what MarshalJSON wrote. Literal defaults become json.RawMessage.
func (d *Defaults) UnmarshalJSON(data []byte) error {
	var in map[string]defaultJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*d = make(Defaults, len(in))
	for key, value := range in {
		if value.Dynamic != "" {
			(*d)[key] = value.Dynamic
			continue
		}
		doc, problems := jsontype.Parse(value.Value)
		if len(problems) > 0 {
			return fmt.Errorf("default of %s: %w", echo.Quote(key), problems[0])
		}
		(*d)[key] = json.RawMessage(doc.Canonical())
	}
	return nil
}

// Missed is the policy for windows that passed while no process was there to fire them.
//
// A window is not missed for five seconds after it was due, and the newest window not for a minute. Of the windows that do not
// fire, the newest is recorded as skipped.
type Missed string

// The policies for missed windows.
const (
	MissedLatest  Missed = ""         // the newest one fires, however late; the others do not
	MissedSkip    Missed = "skip"     // none fires
	MissedCatchUp Missed = "catch_up" // the newest ones fire, oldest first, at most [squidmesh.Trigger.CatchUp] of them; see [Overlap], too
)

// Overlap is the policy for a window whose trigger has started a run for an earlier window that has not ended.
//
// Windows that [MissedCatchUp] catches up fire all at once, so they overlap. [OverlapSkip] then starts a run for the first of them,
// and [OverlapQueueOne] for the first two. The others are skipped while those runs are at work.
type Overlap string

// The policies for overlapping windows. Runs that were started by other means do not count.
const (
	OverlapAllow    Overlap = ""          // another run starts
	OverlapSkip     Overlap = "skip"      // the window starts no run
	OverlapQueueOne Overlap = "queue_one" // the window waits for that run's end; while one waits, later ones are skipped
)

// Complete is the target that ends a run as completed. Next may say it or stay empty. OnError and Routes must say it, because an
// empty OnError fails the run. No step may have this name.
const Complete = "complete"

// Recovery says what an OnError route is for.
type Recovery string

// The recovery markers.
const (
	RecoveryNone         Recovery = ""
	RecoveryUndo         Recovery = "undo"
	RecoveryCompensation Recovery = "compensation"
)
