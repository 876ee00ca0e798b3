package squidmesh

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/echo"
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

	// Scope names the store that the delivery belongs to, as [Store] does. A runtime that gets one of another store, since the programs of
	// both work the same queue, sends it back. Empty belongs to whoever gets it.
	Scope string `json:"scope,omitempty"`

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
	// [Runtime.Perform] fills it in, or leaves it empty. With DueAt it names the run of a cron delivery that has neither signal nor window;
	// without it each such delivery starts a run.
	Job string `json:"-"`

	// DueAt is when a cron delivery was to come for the first time. It is no part of the text either. Of a trigger that no living
	// process knows, one that is no fire of the runtime's own is refused a minute later, and if that time is left zero, at once.
	DueAt time.Time `json:"-"`

	// Queue is the queue that the delivery came by, as [Metadata] names it, and SentBack how often it came before and was to come again. They are no part of the
	// text either. What does not say SentBack gets a delivery of another store, with [OutcomeForeign], again and again after a short pause.
	Queue    string `json:"-"`
	SentBack int    `json:"-"`
}

// Window is the period that a cron fire is for: from its own due time to the next one.
type Window struct {
	StartAt time.Time `json:"start_at"`
	EndAt   time.Time `json:"end_at"`
}

// complete reports whether both bounds are there.
func (w *Window) complete() bool { return w != nil && !w.StartAt.IsZero() && !w.EndAt.IsZero() }

// maxDelivery bounds the text of a delivery, which carries ids only.
const maxDelivery = 4 << 10

var deliveryType = readType(reflect.TypeFor[Delivery]())

// ParseDelivery reads what [Delivery] marshals to, and nothing else: its fields and no others, each once. The error is an
// [*InputError]; a delivery that does not parse will never do so, so its job is to be dropped.
func ParseDelivery(data []byte) (Delivery, error) {
	if len(data) > maxDelivery {
		return Delivery{}, &InputError{Field: "delivery", Code: "too_long", Detail: fmt.Sprintf("has %d bytes, at most %d are taken", len(data), maxDelivery)}
	}
	doc, problems := parseJSON(data)
	if len(problems) == 0 {
		problems = deliveryType.check(doc)
	}
	if len(problems) > 0 {
		return Delivery{}, &InputError{Field: joinPath("delivery", problems[0].Field), Code: problems[0].Code, Detail: problems[0].Detail}
	}
	var d Delivery
	if err := json.Unmarshal(data, &d); err != nil {
		return Delivery{}, &InputError{Field: "delivery", Code: "invalid_json", Detail: err.Error()}
	}
	return d, d.validate()
}

func (d Delivery) validate() error {
	if d.Version < 1 || d.Version > DeliveryVersion {
		return &InputError{Field: "delivery.v", Code: "unknown_version", Detail: fmt.Sprintf("is version %d, this program reads 1 to %d", d.Version, DeliveryVersion)}
	}
	if err := checkLine("delivery.scope", d.Scope, maxScope); err != nil {
		return err
	}
	switch d.Kind {
	case DeliverStep, DeliverCompensation:
		return d.validateStep()
	case DeliverCron:
		return d.validateCron()
	default:
		return &InputError{Field: "delivery.kind", Code: "unknown_kind", Detail: "there is no kind " + echo.Quote(string(d.Kind))}
	}
}

// validateStep checks a delivery about a run. A compensation delivery names a step and an attempt, or neither.
func (d Delivery) validateStep() error {
	if id, err := uuid.Parse(d.RunID); err != nil || id.String() != d.RunID {
		return &InputError{Field: "delivery.run_id", Code: "invalid_id", Detail: echo.Quote(d.RunID) + " is no run's id"}
	}
	switch whole := d.Kind == DeliverCompensation; {
	case whole && d.Step == "" && d.Attempt == 0:
		return nil
	case !validName(d.Step):
		return &InputError{Field: "delivery.step", Code: "bad_name", Detail: echo.Quote(d.Step) + " is no step's name"}
	case d.Attempt < 1:
		return &InputError{Field: "delivery.attempt", Code: "out_of_range", Detail: fmt.Sprintf("is %d, attempts count from 1", d.Attempt)}
	default:
		return nil
	}
}

// deliveredStep is the step or undo that a delivery about a run names.
func deliveredStep(d Delivery) StepKey {
	if d.Kind == DeliverCompensation {
		return StepKey{d.Step, PhaseUndo}
	}
	return StepKey{d.Step, PhaseDo}
}

func (d Delivery) validateCron() error {
	switch {
	case !validName(d.Workflow):
		return &InputError{Field: "delivery.workflow", Code: "bad_name", Detail: echo.Quote(d.Workflow) + " is no workflow's name"}
	case !validName(d.Trigger):
		return &InputError{Field: "delivery.trigger", Code: "bad_name", Detail: echo.Quote(d.Trigger) + " is no trigger's name"}
	}
	if err := checkLine("delivery.signal_id", d.SignalID, maxSignal); err != nil {
		return err
	}
	w := d.IntendedWindow
	if w == nil {
		return nil
	}
	if !w.EndAt.IsZero() && w.EndAt.Before(w.StartAt) {
		return &InputError{Field: "delivery.intended_window.end_at", Code: "out_of_range", Detail: "is before the start"}
	}
	return cmp.Or(checkTime("delivery.intended_window.start_at", w.StartAt), checkTime("delivery.intended_window.end_at", w.EndAt))
}

// Outcome is what [Runtime.Perform] tells the queue about a delivery.
type Outcome struct {
	Kind OutcomeKind

	// At is when the delivery should come again, in database time. Only for Again.
	At time.Time

	// After is the same as a delay from the moment of the decision, for queues that count relatively.
	After time.Duration

	// Reason is one of the codes below for Again and Drop; for Done it may say why there was nothing to do.
	Reason string

	// Detail says of a Drop what is wrong with the delivery.
	Detail string
}

// The reasons of outcomes.
const (
	// Of Done. That of a cron window which was decided before is OutcomeFire followed by its [FireState].
	OutcomeStale = "stale" // its attempt is over
	OutcomeHeld  = "held"  // another worker executes this attempt
	OutcomeFire  = "fire_"

	OutcomeOtherQueue = "other_queue" // its step was sent through another queue, by another job

	// Of Again, besides [ReasonFunctionUnknown] and [ReasonFunctionIncompatible].
	OutcomeEarly             = "early"              // its due time has not come
	OutcomeNotStarted        = "not_started"        // this runtime is not started
	OutcomeWorkerLost        = "worker_lost"        // this process stops, or was declared lost and registers anew
	OutcomeDefinitionUnknown = "definition_unknown" // the definition is not there, as during a deploy
	OutcomeFunctionStuck     = "function_stuck"     // too many calls of it go on in this process after their ends: see [Config.MaxAbandoned]
	OutcomePayloadUnreadable = "payload_unreadable" // what it needs is sealed, and this process lacks the key: see [ErrUnreadable]
	OutcomeForeign           = "foreign"            // it belongs to another store, whose program works the same queue: see [Delivery.Scope]

	// Of Drop.
	OutcomeBadDelivery  = "bad_delivery"  // it is none
	OutcomeUnknownRun   = "unknown_run"   // there is no such run
	OutcomeRefused      = "refused"       // it would start a run, and that is refused
	OutcomeWindowAhead  = "window_ahead"  // its cron window begins more than a minute after the database's clock
	OutcomeWindowPruned = "window_pruned" // what was known of its cron window has been deleted
)

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
