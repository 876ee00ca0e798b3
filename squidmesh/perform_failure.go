package squidmesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// Limits of what is recorded of an error, in bytes.
const (
	MaxMessage = 8 << 10
	maxStack   = 8 << 10
	maxDetails = 8 << 10
	maxCode    = 100
	maxCauses  = 10
)

// panicError is a panic of a step's function.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return "panic: " + text.Print(e.value) }

var errNobodys = errors.New("no error is this one")

// readable returns err, or a plain error in its place if one of its chain cannot be looked at without a panic, as a nil pointer to
// an error type often cannot.
func readable(err error) (readable error) {
	defer func() {
		if recover() != nil {
			readable = errors.New(text.OfError(err))
		}
	}()
	if left := maxChain; endless(err, &left) {
		return errors.New(text.OfError(err))
	}
	_ = errors.Is(err, errNobodys) // which looks at all of them
	return err
}

// maxChain is how many errors one can wrap.
const maxChain = 1000

// endless reports whether an error wraps more than what is left, as one that wraps itself does: nobody could look through it.
func endless(err error, left *int) bool {
	if err == nil {
		return false
	}
	if *left--; *left < 0 {
		return true
	}
	return slices.ContainsFunc(wrapped(err), func(next error) bool { return endless(next, left) })
}

// wrapped is what err itself wraps, be it one error or several; nil may be among them.
func wrapped(err error) []error {
	switch e := any(err).(type) { // errorlint takes switches on errors for ones that forget to unwrap
	case interface{ Unwrap() error }:
		return []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	default:
		return nil
	}
}

// failedWith turns a function's error into its event.
func failedWith(a flow.Attempted, err error) flow.Failed {
	failed := flow.Failed{Attempted: a, Error: describe(flow.CodeError, err)}
	var final *finalError
	failed.Final = errors.As(err, &final)
	var after *retryAfterError
	if errors.As(err, &after) {
		failed.RetryAfter = &after.after
	}
	var coded *codedError
	if errors.As(err, &coded) && coded.code != "" {
		failed.Error.Code = text.Clean(coded.code, maxCode)
	}
	var panicked *panicError
	if errors.As(err, &panicked) {
		failed.Error.Code = flow.CodePanic
		failed.Error.Stack = text.Clean(string(panicked.stack), maxStack)
	}
	return failed
}

// unlessCoded gives a failure that came without a code of its own another one than CodeError.
func unlessCoded(e *StepError, code string) {
	if e.Code == flow.CodeError {
		e.Code = code
	}
}

// describe records an error as text that any database takes.
func describe(code string, err error) StepError {
	failure := StepError{Code: code, Message: text.Clean(text.OfError(err), MaxMessage)}
	failure.Causes = causes(nil, failure.Message, err)
	var detailed *detailedError
	if errors.As(err, &detailed) {
		failure.Details = encodeDetails(detailed.details)
	}
	return failure
}

// causes adds the messages of what err wraps, and of what that wraps. An error that only marks another one has its message, which is
// not repeated.
func causes(found []string, last string, err error) []string {
	for _, next := range wrapped(err) {
		if next == nil || len(found) == maxCauses {
			continue
		}
		text := text.Clean(text.OfError(next), MaxMessage/maxCauses)
		if text != last {
			found = append(found, text)
		}
		found = causes(found, text, next)
	}
	return found
}

// encodeDetails encodes the details of an error, whatever they are.
func encodeDetails(details any) json.RawMessage {
	omitted := func(why string) json.RawMessage {
		return json.RawMessage(`{"omitted":` + string(encode.Quote(why)) + `}`)
	}
	data, err := encode.Safely(details)
	if err != nil {
		return omitted(text.Clean(err.Error(), MaxMessage/maxCauses))
	}
	if len(data) > maxDetails {
		return omitted(fmt.Sprintf("%d bytes are more than %d", len(data), maxDetails))
	}
	doc, problems := jsontype.Walk(data)
	for _, p := range problems {
		if p.Code == "too_deep" {
			return omitted(p.Detail)
		}
	}
	mended := doc.Mended() // which mends the others, and makes escapes of what no database takes
	if len(mended) > maxDetails {
		return omitted(fmt.Sprintf("%d bytes are more than %d", len(mended), maxDetails))
	}
	if envelope.Is(mended) {
		return omitted(envelope.Reserved)
	}
	return mended
}
