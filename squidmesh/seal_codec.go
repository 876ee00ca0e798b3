package squidmesh

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// unopened is the first of the values that an input is assembled from which could not be opened; nil if all could.
func unopened(sources []string, payload json.RawMessage, outputs map[string]json.RawMessage) json.RawMessage {
	if envelope.Is(payload) {
		return payload
	}
	for _, name := range sources {
		if envelope.Is(outputs[name]) {
			return outputs[name]
		}
	}
	return nil
}

// Codec encrypts at rest: it seals what may hold users' data before that is stored, and opens it again. Sealed are payloads,
// results, errors (all but their code), comments and metadata of decisions, comments on triggers, and what a payload was under an
// idempotency key. Jobs carry none of these. [Keyring] is a Codec. Values from before there was a codec are read as they are,
// unless [Config.RequireSealed] is set; [Runtime.SealRuns] seals them.
//
// Place names the run, trigger or fire and the field of a value. It also holds what is stored in the clear beside the value and
// says what the value means: for a payload the workflow, trigger and shape; for what a person or a function said the kind of entry,
// the actor and the time. A codec that authenticates the place makes sure that nobody can move a value elsewhere, or attribute it
// to somebody else.
//
// Many goroutines call both methods, within transactions, so they should answer at once: fetch keys beforehand. An error of Seal
// rolls back, and the caller gets it in an ErrSeal; an attempt that has ended tries again. A panic counts as an error.
type Codec interface {
	// Seal returns the sealed form of plain, and the id of the key that opens it. The id is stored beside it and has 1 to 64 bytes
	// of printable characters. With any other id nothing is written.
	Seal(ctx context.Context, place string, plain []byte) (keyID string, sealed []byte, err error)

	// Open returns what was sealed. After an error the value stays sealed, and its readers get ErrUnreadable.
	Open(ctx context.Context, place, keyID string, sealed []byte) (plain []byte, err error)
}

// unreadable is ErrUnreadable of a value, with the key that it is sealed with.
func unreadable[T ~string | ~[]byte](sealed T) error {
	if string(sealed) == plainRefused {
		return fmt.Errorf("%w: it is not sealed, which Config.RequireSealed asks for", ErrUnreadable)
	}
	return fmt.Errorf("%w: it is sealed with key %s: give that key to Config.Codec", ErrUnreadable, echo.Quote(envelope.KeyOf(json.RawMessage(sealed))))
}

// plainMessage stands for that of an error that is not sealed where it must be.
const plainMessage = "(not sealed, which Config.RequireSealed asks for)"

// plainRefused stands for a value that is not sealed where it must be: an envelope that nothing opens.
const plainRefused = `{"$sealed":{"key":"","data":null}}`

// sealer applies a codec. Without one it seals nothing and opens nothing.
type sealer struct {
	codec  Codec
	strict bool // what is read must be sealed
}

func (s sealer) seal(ctx context.Context, place string, value json.RawMessage) (_ json.RawMessage, err error) {
	if s.codec == nil || len(value) == 0 {
		return value, nil
	}
	defer func() { // it would end the program, since shared commits have a goroutine of their own
		if r := recover(); r != nil {
			err = fmt.Errorf("seal %s: %w: codec panicked: %s", place, ErrSeal, text.Print(r))
		}
	}()
	var e envelope.Envelope
	if e.Sealed.Key, e.Sealed.Data, err = s.codec.Seal(ctx, place, value); err != nil {
		return nil, fmt.Errorf("seal %s: %w: %w", place, ErrSeal, err)
	}
	if err := checkKeyID(e.Sealed.Key); err != nil {
		return nil, fmt.Errorf("seal %s: %w: %w", place, ErrSeal, err)
	}
	return encode.JSON(e)
}

// open returns the value in an envelope; the envelope itself if it cannot be opened; and any other value as it is, unless it must be sealed.
func (s sealer) open(ctx context.Context, place string, value json.RawMessage) (opened json.RawMessage) {
	switch {
	case s.strict && len(value) > 0 && !envelope.Is(value):
		return json.RawMessage(plainRefused)
	case !envelope.Is(value) || s.codec == nil:
		return value
	}
	defer func() {
		if recover() != nil {
			opened = value
		}
	}()
	var e envelope.Envelope
	if json.Unmarshal(value, &e) != nil {
		return value
	}
	plain, err := s.codec.Open(ctx, place, e.Sealed.Key, e.Sealed.Data)
	if err != nil {
		return value
	}
	return plain
}

// sealText and openText do the same with what stands in a column of text.
func (s sealer) sealText(ctx context.Context, place, text string) (string, error) {
	sealed, err := s.seal(ctx, place, json.RawMessage(text))
	return string(sealed), err
}

func (s sealer) openText(ctx context.Context, place, text string) string {
	return string(s.open(ctx, place, json.RawMessage(text)))
}

// sealError keeps where, when and under which code an error happened readable.
func (s sealer) sealError(ctx context.Context, run RunID, e *StepError) (*StepError, error) {
	switch {
	case e == nil:
		return nil, nil
	case e.Stored() != nil:
		return e.Stored(), nil
	case envelope.Unopened(e):
		asStored := *e
		asStored.Message = envelope.Message
		return &asStored, nil
	case s.codec == nil:
		return e, nil
	}
	plain, err := encode.JSON(e)
	if err != nil {
		return nil, fmt.Errorf("encode error of step %s: %w", e.Step, err)
	}
	sealed, err := s.seal(ctx, errorPlace(run, e), plain)
	return &StepError{
		Step: e.Step, Phase: e.Phase, Attempt: e.Attempt, Code: e.Code, At: e.At, Message: envelope.Message, Details: sealed,
	}, err
}

func (s sealer) openError(ctx context.Context, run RunID, e *StepError) *StepError {
	switch {
	case e == nil:
		return nil
	case s.strict && !envelope.Unopened(e):
		refused := &StepError{
			Step: e.Step, Phase: e.Phase, Attempt: e.Attempt, Code: e.Code, At: e.At, Message: plainMessage, Details: json.RawMessage(plainRefused),
		}
		refused.StandFor(e)
		return refused
	case !envelope.Is(e.Details):
		return e
	}
	plain := s.open(ctx, errorPlace(run, e), e.Details)
	opened := new(StepError)
	if envelope.Is(plain) || json.Unmarshal(plain, opened) != nil {
		if e.Message == envelope.Message {
			*opened = *e
			opened.Message = envelope.UnopenedMessage(e.Details)
			return opened
		}
		return e
	}
	return opened
}

// sealData seals what an entry tells if any of it was said by a function or a person.
func (s sealer) sealData(ctx context.Context, e flow.AuditEntry) (json.RawMessage, error) {
	if s.codec == nil || !envelope.SaysSomething(e.Data) {
		return e.Data, nil
	}
	return s.seal(ctx, dataPlace(e), e.Data)
}

// openData opens what an entry tells.
func (s sealer) openData(ctx context.Context, e flow.AuditEntry) json.RawMessage {
	if !envelope.Is(e.Data) && !envelope.SaysSomething(e.Data) {
		return e.Data // which is never sealed
	}
	return s.open(ctx, dataPlace(e), e.Data)
}

// The places of values. What is bound to a step is bound to its name, as outputs are found by it. No run's id is "trigger" or "fire".

func payloadPlace(run Run) string {
	return place(run.ID.String(), "payload", run.Workflow, run.Trigger, run.Shape)
}

func keyPlace(run Run) string { return place(run.ID.String(), "key", run.Workflow, run.Key) }

func triggerPlace(t flow.TriggerState) string {
	return place("trigger", t.TriggerKey.String(), "comment", t.Actor, micro(t.ChangedAt))
}

func firePlace(f flow.Fire) string {
	return place("fire", f.TriggerKey.String(), f.Key, "comment", f.Actor)
}

func dataPlace(e flow.AuditEntry) string {
	return place(e.Run.String(), "event", strconv.Itoa(e.Seq), string(e.Kind), string(e.Phase), e.Name, strconv.Itoa(e.Attempt), e.Actor, micro(e.At))
}

func outputPlace(run RunID, key flow.StepKey) string {
	return place(run.String(), "output", string(key.Phase), key.Name)
}

func errorPlace(run RunID, e *StepError) string {
	return place(run.String(), "error", string(e.Phase), e.Step, strconv.Itoa(e.Attempt), e.Code, micro(e.At))
}

// place joins parts so that no two lists of parts are one place.
func place(parts ...string) string {
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// micro is a time as exact as a database keeps it.
func micro(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}
