package squidmesh

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// redactor is [Config.Redact]; nil changes nothing.
type redactor func(field, text string) string

// text redacts one text. A redactor that panics leaves nothing of it.
func (r redactor) text(field, text string) (redacted string) {
	if r == nil || text == "" {
		return text
	}
	defer func() {
		if recover() != nil {
			redacted = "(redaction panicked)"
		}
	}()
	return r(field, text)
}

// reword is the rewording of what is recorded or told of a run. A code stays, as programs branch on it; details stay JSON.
func (r redactor) reword(field flow.TextField, text string) string {
	redacted := text
	if field != flow.TextCode {
		redacted = r.text(string(field), text)
	}
	if field == flow.TextDetails && text != "" {
		details := json.RawMessage(redacted)
		if !json.Valid(details) || envelope.Is(details) && !envelope.Is(json.RawMessage(text)) {
			return `{"omitted":"redacted"}`
		}
	}
	return redacted
}

// failure redacts what an error tells; nil stays nil.
func (r redactor) failure(e *StepError) *StepError {
	if r == nil || e == nil {
		return e
	}
	redacted := e.Reword(r.reword)
	return &redacted
}

// event redacts what the end of an attempt records.
func (r redactor) event(e flow.Event) flow.Event {
	if r == nil {
		return e
	}
	return flow.Reword(e, r.reword)
}

// redactedError says what may be said of an error, and is that error still.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

func (e *redactedError) Unwrap() error { return e.err }

// err is an error with the text that is recorded of it: whole, short and redacted, however the function's own is.
func (r redactor) err(err error) error {
	if err == nil {
		return nil
	}
	return &redactedError{text.Clean(r.text("message", text.Clean(text.OfError(err), MaxMessage)), MaxMessage), err}
}

// maxShort bounds texts that are told besides a run's own record, in bytes.
const maxShort = 1000

// short is what is told of a whole text: redacted and cut.
func (r redactor) short(whole string) string {
	return text.Clean(r.text("message", text.Clean(whole, MaxMessage)), maxShort)
}

// delivery is the error of a delivery with what is told of it.
func (r redactor) delivery(err error) error {
	if err == nil {
		return nil
	}
	return &redactedError{r.short(text.OfError(err)), err}
}

// logger redacts everything that a logger writes.
func (r redactor) logger(l *slog.Logger) *slog.Logger {
	if r == nil {
		return l
	}
	return slog.New(redactingHandler{l.Handler(), r})
}

// redactingHandler redacts messages and attributes. Values other than text, numbers and times become text first, so that nothing
// in them is overlooked.
type redactingHandler struct {
	slog.Handler
	redact redactor
}

func (h redactingHandler) Handle(ctx context.Context, record slog.Record) error {
	redacted := slog.NewRecord(record.Time, record.Level, h.redact.text(slog.MessageKey, record.Message), record.PC)
	record.Attrs(func(a slog.Attr) bool {
		redacted.AddAttrs(h.redact.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, redacted)
}

func (h redactingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return redactingHandler{h.Handler.WithAttrs(h.redact.attrs(attrs)), h.redact}
}

func (h redactingHandler) WithGroup(name string) slog.Handler {
	return redactingHandler{h.Handler.WithGroup(name), h.redact}
}

func (r redactor) attrs(attrs []slog.Attr) []slog.Attr {
	redacted := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		redacted[i] = r.attr(a)
	}
	return redacted
}

func (r redactor) attr(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindGroup:
		a.Value = slog.GroupValue(r.attrs(v.Group())...)
	case slog.KindString:
		a.Value = slog.StringValue(r.text(a.Key, v.String()))
	case slog.KindAny:
		a.Value = slog.StringValue(r.text(a.Key, text.Print(text.Readable(v.Any()))))
	default:
		a.Value = v
	}
	return a
}
