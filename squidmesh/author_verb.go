package squidmesh

import (
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Fail marks an error as final: no retry follows. That holds whatever the policy is, and also if the step's context has ended
// meanwhile. Fail(nil) is nil.
func Fail(err error) error {
	if err == nil {
		return nil
	}
	return &finalError{err}
}

// RetryAfter sets the pause before the next attempt to d, if the policy grants an attempt. A negative d counts as zero, and one
// beyond [flow.MaxRetryDelay] counts as that. RetryAfter(d, nil) is nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{min(max(d, 0), flow.MaxRetryDelay), err}
}

// WithCode gives an error the stable code under which it is recorded. Without it the code is "error". WithCode(code, nil) is nil.
func WithCode(code string, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code, err}
}

// WithDetails adds data to an error, which is recorded as [StepError.Details]: any value that encodes to JSON, of at most 8 KiB. If
// the value does not encode or is larger, a note that says so is recorded instead; the error counts all the same. If a chain of
// errors has details more than once, the outermost ones count. WithDetails(details, nil) is nil.
func WithDetails(details any, err error) error {
	if err == nil {
		return nil
	}
	return &detailedError{details, err}
}

type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }

func (e *finalError) Unwrap() error { return e.err }

type retryAfterError struct {
	after time.Duration
	err   error
}

func (e *retryAfterError) Error() string { return e.err.Error() }

func (e *retryAfterError) Unwrap() error { return e.err }

type codedError struct {
	code string
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }

func (e *codedError) Unwrap() error { return e.err }

type detailedError struct {
	details any
	err     error
}

func (e *detailedError) Error() string { return e.err.Error() }

func (e *detailedError) Unwrap() error { return e.err }
