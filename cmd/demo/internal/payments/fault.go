package payments

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// MetadataSandbox is the metadata key that tells the sandbox how to misbehave for one intent.
const MetadataSandbox = "sandbox"

// The ways to misbehave.
const (
	RateLimited = "rate_limited" // the first authorization is answered with 429 and Retry-After
	Outage      = "outage"       // the first two authorizations are answered with 500 and 503
	SlowCapture = "slow_capture" // the capture is done at once and answered late
	LostCapture = "lost_capture" // the capture is done and the connection cut in the middle of the answer
)

// Faults lists the ways to misbehave.
var Faults = []string{RateLimited, Outage, SlowCapture, LostCapture}

// CheckFault refuses what is no way to misbehave. Empty is to behave.
func CheckFault(name string) error {
	if name == "" {
		return nil
	}
	for _, f := range Faults {
		if f == name {
			return nil
		}
	}
	return fmt.Errorf("unknown sandbox behaviour %q: use %s", name, strings.Join(Faults, ", "))
}

// before is the fault that comes instead of doing anything: the n-th time under one idempotency key, counted from 0.
func before(fault, op string, n int, retryAfter time.Duration) *Error {
	switch {
	case op != opAuthorize:
		return nil
	case fault == RateLimited && n == 0:
		return &Error{
			Status: http.StatusTooManyRequests, Type: "rate_limit_error", RetryAfter: retryAfter,
			Message: "Too many requests hit the API too quickly.",
		}
	case fault == Outage && n == 0:
		return &Error{Status: http.StatusInternalServerError, Type: "api_error", Message: "Something went wrong on our end."}
	case fault == Outage && n == 1:
		return &Error{Status: http.StatusServiceUnavailable, Type: "api_error", Message: "Down for maintenance."}
	default:
		return nil
	}
}
