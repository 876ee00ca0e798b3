package squidmesh

import (
	"time"
)

// Fail marks an error as final: no retry follows, whatever the policy, and whatever has ended the step's context meanwhile.
// Fail(nil) is nil.
func Fail(err error) error {
	if err == nil {
		return nil
	}
	return &finalError{err}
}

// RetryAfter marks an error so that the next attempt, if the policy grants one, comes after d instead of the policy's delay.
// RetryAfter(d, nil) is nil; a negative d counts as zero, one beyond [MaxRetryDelay] as that.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{min(max(d, 0), MaxRetryDelay), err}
}

// WithCode gives an error the stable code under which it is recorded, instead of "error".
func WithCode(code string, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code, err}
}

// WithDetails gives an error data that is recorded with it, as [StepError.Details]: any value that encodes to JSON, of at most 8 KiB.
// What does not encode or is larger is recorded as a note that says so; the error counts all the same. Of several in one chain the
// outermost holds. WithDetails(details, nil) is nil.
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
