package driver

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// DeliveryVersion is the version that this package writes into deliveries. It is also the newest version that it reads.
const DeliveryVersion = 1

// DeliveryKind says what a delivery asks for.
type DeliveryKind string

// The kinds of delivery.
const (
	DeliverStep         DeliveryKind = "step"
	DeliverCompensation DeliveryKind = "compensation"
	DeliverCron         DeliveryKind = "cron"
)

// Delivery is what a job carries from the executor back to [squidmesh.Runtime.Perform]. It is plain, versioned and safe as JSON,
// and carries ids only.
type Delivery struct {
	Version int          `json:"v"`
	Kind    DeliveryKind `json:"kind"`

	// Scope identifies the store that the delivery belongs to, as [Store.Scope] does. If programs of two stores work the same
	// queue, a runtime may get a delivery of the other store, and sends it back. An empty scope belongs to whoever gets the
	// delivery.
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

	// Job is the id of the job that carried the delivery, for logs and observers. It is not part of the text: whoever calls
	// [squidmesh.Runtime.Perform] fills it in, or leaves it empty. If a cron delivery has neither signal nor window, Job and DueAt
	// identify its run; without Job each such delivery starts a run.
	Job string `json:"-"`

	// DueAt is when a cron delivery was to come for the first time. It is not part of the text either. If no living process knows
	// the trigger, and the delivery is no fire of the runtime's own, it is refused a minute after DueAt, or at once if DueAt is
	// zero.
	DueAt time.Time `json:"-"`

	// Queue is the queue that brought the delivery, as [JobMetadata] names it. SentBack is how often the delivery came before and
	// was sent back. They are not part of the text either. Without SentBack, a delivery of another store comes again and again
	// after a short pause, with [flow.DeliveryForeign].
	Queue    string `json:"-"`
	SentBack int    `json:"-"`
}

// Window is the period of a cron fire: from its own due time to the next one.
type Window struct {
	StartAt time.Time `json:"start_at"`
	EndAt   time.Time `json:"end_at"`
}

// Complete reports whether both bounds are there.
func (w *Window) Complete() bool { return w != nil && !w.StartAt.IsZero() && !w.EndAt.IsZero() }

// maxDelivery bounds the text of a delivery, which carries ids only.
const maxDelivery = 4 << 10

var deliveryType = jsontype.AsRead(reflect.TypeFor[Delivery]())

// ParseDelivery reads what [Delivery] marshals to, and nothing else: its fields and no others, each once. The error is an
// [*flow.InputError]. Such a delivery will never parse, so drop its job.
func ParseDelivery(data []byte) (Delivery, error) {
	if len(data) > maxDelivery {
		return Delivery{}, &flow.InputError{Field: "delivery", Code: "too_long", Detail: fmt.Sprintf("has %d bytes, at most %d are taken", len(data), maxDelivery)}
	}
	doc, problems := jsontype.Parse(data)
	if len(problems) == 0 {
		problems = deliveryType.Check(doc)
	}
	if len(problems) > 0 {
		return Delivery{}, &flow.InputError{Field: jsontype.JoinPath("delivery", problems[0].Field), Code: problems[0].Code, Detail: problems[0].Detail}
	}
	var d Delivery
	if err := json.Unmarshal(data, &d); err != nil {
		return Delivery{}, &flow.InputError{Field: "delivery", Code: "invalid_json", Detail: err.Error()}
	}
	return d, d.Validate()
}

// Validate checks the delivery's fields. The error is an [*flow.InputError].
func (d Delivery) Validate() error {
	if d.Version < 1 || d.Version > DeliveryVersion {
		return &flow.InputError{Field: "delivery.v", Code: "unknown_version", Detail: fmt.Sprintf("is version %d, this program reads 1 to %d", d.Version, DeliveryVersion)}
	}
	if err := check.Line("delivery.scope", d.Scope, MaxScope); err != nil {
		return err
	}
	switch d.Kind {
	case DeliverStep, DeliverCompensation:
		return d.validateStep()
	case DeliverCron:
		return d.validateCron()
	default:
		return &flow.InputError{Field: "delivery.kind", Code: "unknown_kind", Detail: "there is no kind " + echo.Quote(string(d.Kind))}
	}
}

// validateStep checks a delivery about a run. A compensation delivery names a step and an attempt, or neither.
func (d Delivery) validateStep() error {
	if id, err := uuid.Parse(d.RunID); err != nil || id.String() != d.RunID {
		return &flow.InputError{Field: "delivery.run_id", Code: "invalid_id", Detail: echo.Quote(d.RunID) + " is no run's id"}
	}
	switch whole := d.Kind == DeliverCompensation; {
	case whole && d.Step == "" && d.Attempt == 0:
		return nil
	case !text.ValidName(d.Step):
		return &flow.InputError{Field: "delivery.step", Code: "bad_name", Detail: echo.Quote(d.Step) + " is no step's name"}
	case d.Attempt < 1:
		return &flow.InputError{Field: "delivery.attempt", Code: "out_of_range", Detail: fmt.Sprintf("is %d, attempts count from 1", d.Attempt)}
	default:
		return nil
	}
}

// DeliveredStep returns the step or undo that a delivery about a run is for.
func DeliveredStep(d Delivery) flow.StepKey {
	if d.Kind == DeliverCompensation {
		return flow.StepKey{Name: d.Step, Phase: flow.PhaseUndo}
	}
	return flow.StepKey{Name: d.Step, Phase: flow.PhaseDo}
}

func (d Delivery) validateCron() error {
	switch {
	case !text.ValidName(d.Workflow):
		return &flow.InputError{Field: "delivery.workflow", Code: "bad_name", Detail: echo.Quote(d.Workflow) + " is no workflow's name"}
	case !text.ValidName(d.Trigger):
		return &flow.InputError{Field: "delivery.trigger", Code: "bad_name", Detail: echo.Quote(d.Trigger) + " is no trigger's name"}
	}
	if err := check.Line("delivery.signal_id", d.SignalID, MaxSignal); err != nil {
		return err
	}
	w := d.IntendedWindow
	if w == nil {
		return nil
	}
	if !w.EndAt.IsZero() && w.EndAt.Before(w.StartAt) {
		return &flow.InputError{Field: "delivery.intended_window.end_at", Code: "out_of_range", Detail: "is before the start"}
	}
	return cmp.Or(check.Time("delivery.intended_window.start_at", w.StartAt), check.Time("delivery.intended_window.end_at", w.EndAt))
}

// The limits of what is taken from callers, in bytes.
const (
	MaxSignal = 180 // with the name of its trigger it makes a key
	MaxScope  = 200
)
