package payments

import (
	"fmt"
	"net/http"
	"time"
)

// Error is an answer other than success, in the shape that card APIs give it.
type Error struct {
	Type    string  `json:"type"` // card_error, invalid_request_error, idempotency_error, rate_limit_error or api_error
	Code    string  `json:"code,omitempty"`
	Decline string  `json:"decline_code,omitempty"`
	Message string  `json:"message"`
	Intent  *Intent `json:"payment_intent,omitempty"`

	// Status and RetryAfter come from the answer's head.
	Status     int           `json:"-"`
	RetryAfter time.Duration `json:"-"`
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	if e.Code != "" {
		s += ": " + e.Code
	}
	if e.Decline != "" && e.Decline != e.Code {
		s += " (" + e.Decline + ")"
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(" (Retry-After: %d)", int(e.RetryAfter.Seconds()))
	}
	return s
}

// CodeUnexpectedState is the code of a call that the intent's status does not allow. The error holds the intent.
const CodeUnexpectedState = "payment_intent_unexpected_state"
