package squidmesh

import (
	"encoding/json"
	"fmt"
	"time"
)

// DeliveryVersion is the version that this package writes into deliveries and the newest that it reads.
const DeliveryVersion = 1

// DeliveryKind says what a delivery asks for.
type DeliveryKind string

// The kinds of delivery.
const (
	DeliverStep         DeliveryKind = "step"
	DeliverCompensation DeliveryKind = "compensation"
	DeliverCron         DeliveryKind = "cron"
)

// Delivery is what a job carries from the executor back to [Runtime.Perform]: plain, versioned, JSON-safe, ids only.
type Delivery struct {
	Version int          `json:"v"`
	Kind    DeliveryKind `json:"kind"`

	// RunID, Step and Attempt say which attempt a step delivery is for. A compensation delivery without Step asks to
	// start or continue the run's compensation.
	RunID   string `json:"run_id,omitempty"`
	Step    string `json:"step,omitempty"`
	Attempt int    `json:"attempt,omitempty"`

	// Workflow, Trigger, SignalID and IntendedWindow belong to cron deliveries.
	Workflow       string  `json:"workflow,omitempty"`
	Trigger        string  `json:"trigger,omitempty"`
	SignalID       string  `json:"signal_id,omitempty"`
	IntendedWindow *Window `json:"intended_window,omitempty"`

	// Job is the id of the job that carried the delivery, for logs and observers. It is no part of the text: what calls
	// [Runtime.Perform] fills it in, or leaves it empty.
	Job string `json:"-"`
}

// Window is the period that a cron fire is for: from its own due time to the next one.
type Window struct {
	StartAt time.Time `json:"start_at"`
	EndAt   time.Time `json:"end_at"`
}

// complete reports whether both bounds are there.
func (w *Window) complete() bool { return w != nil && !w.StartAt.IsZero() && !w.EndAt.IsZero() }

// ParseDelivery reads what [Delivery] marshals to. Its error says what is wrong with the text; a delivery that does not parse
// will never do so, so its job is to be dropped.
func ParseDelivery(data []byte) (Delivery, error) {
	var d Delivery
	if err := json.Unmarshal(data, &d); err != nil {
		return Delivery{}, fmt.Errorf("parse delivery: %w", err)
	}
	if err := d.validate(); err != nil {
		return Delivery{}, err
	}
	return d, nil
}

func (d Delivery) validate() error {
	if d.Version < 1 || d.Version > DeliveryVersion {
		return fmt.Errorf("parse delivery: version %d, this program reads 1 to %d", d.Version, DeliveryVersion)
	}
	switch d.Kind {
	case DeliverStep:
		if d.RunID == "" || d.Step == "" || d.Attempt < 1 {
			return fmt.Errorf("parse delivery: a step delivery names run_id, step and attempt")
		}
	case DeliverCompensation:
		if d.RunID == "" || (d.Step != "") != (d.Attempt > 0) {
			return fmt.Errorf("parse delivery: a compensation delivery names run_id, and step and attempt together")
		}
	case DeliverCron:
		if d.Workflow == "" || d.Trigger == "" {
			return fmt.Errorf("parse delivery: a cron delivery names workflow and trigger")
		}
	default:
		return fmt.Errorf("parse delivery: unknown kind %q", d.Kind)
	}
	return nil
}

// Outcome is what [Runtime.Perform] tells the queue about a delivery.
type Outcome struct {
	Kind OutcomeKind

	// At is when the delivery should come again, in database time. Only for Again.
	At time.Time

	// After is the same as a delay from the moment of the decision, for queues that count relatively.
	After time.Duration

	// Reason is a stable code for Again and Drop, such as "early" or "function_unknown"; for Done it may say why there
	// was nothing to do.
	Reason string
}

// OutcomeKind is one of three answers.
type OutcomeKind string

const (
	// Done: the delivery is used up, be it finished, stale, a duplicate, or held by a live worker.
	Done OutcomeKind = "done"
	// Again: nothing was claimed; deliver once more at the stated time.
	Again OutcomeKind = "again"
	// Drop: the delivery can never succeed; discard it and record the reason.
	Drop OutcomeKind = "drop"
)
