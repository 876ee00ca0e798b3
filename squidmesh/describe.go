package squidmesh

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of what is recorded of an error, in bytes.
const (
	maxMessage = 8 << 10
	maxStack   = 8 << 10
	maxCauses  = 10
)

// panicError is a panic of a step's function.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return "panic: " + printed(e.value) }

// printed formats a value whose own methods may panic.
func printed(v any) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("(%T whose text cannot be had)", v)
		}
	}()
	return fmt.Sprint(v)
}

// failedWith turns a function's error into its event.
func failedWith(a Attempted, err error) Failed {
	failed := Failed{Attempted: a, Error: describe(CodeError, err)}
	var final *finalError
	failed.Final = errors.As(err, &final)
	var after *retryAfterError
	if errors.As(err, &after) {
		failed.RetryAfter = &after.after
	}
	var coded *codedError
	if errors.As(err, &coded) {
		failed.Error.Code = coded.code
	}
	var panicked *panicError
	if errors.As(err, &panicked) {
		failed.Error.Code = CodePanic
		failed.Error.Stack = clean(string(panicked.stack), maxStack)
	}
	return failed
}

// describe records an error as text that any database takes.
func describe(code string, err error) StepError {
	failure := StepError{Code: code, Message: clean(errorText(err), maxMessage)}
	last := failure.Message
	for next := errors.Unwrap(err); next != nil && len(failure.Causes) < maxCauses; next = errors.Unwrap(next) {
		if text := clean(errorText(next), maxMessage/maxCauses); text != last {
			failure.Causes = append(failure.Causes, text)
			last = text
		}
	}
	return failure
}

// errorText reads an error whose own method may panic.
func errorText(err error) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("(%T whose text cannot be had)", err)
		}
	}()
	return err.Error()
}

// clean makes text valid UTF-8 without NUL characters, and cuts it.
func clean(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", `\x00`)
	if len(s) <= limit {
		return s
	}
	cut := limit - len("...")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
