package shop

import (
	"net/http"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// verb says what the provider's answer means for the step: try again when it says so, by the policy when it is ill or silent, and
// never when it has made up its mind.
func verb(err error) error {
	e, ok := payments.AsError(err)
	if !ok {
		return err // no answer: what happened is unknown, and the idempotency key makes it safe to ask again
	}
	code := e.Code
	if code == "" {
		code = e.Type
	}
	err = squidmesh.WithCode(code, err)
	switch {
	case e.RetryAfter > 0:
		return squidmesh.RetryAfter(e.RetryAfter, err)
	case e.Status >= 500, e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout:
		return err
	default:
		return squidmesh.Fail(err)
	}
}
