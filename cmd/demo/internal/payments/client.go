package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client talks to the provider. Every call that changes something takes an idempotency key: repeated under the same key, it
// happens once and answers the same. Errors are [*Error] where the provider answered, and others where it did not.
type Client struct {
	url  string
	http *http.Client
}

// NewClient makes a client for the provider at a URL. No call takes longer than timeout.
func NewClient(url string, timeout time.Duration) *Client {
	return &Client{url: url, http: &http.Client{Timeout: timeout}}
}

// SaveCard trades a card number for a token.
func (c *Client) SaveCard(ctx context.Context, key, number string) (Method, error) {
	return post[Method](ctx, c, key, "/v1/payment_methods", url.Values{"type": {"card"}, "card[number]": {number}})
}

// Authorize blocks an amount on a card.
func (c *Client) Authorize(ctx context.Context, key string, amount int64, method string, meta map[string]string) (Intent, error) {
	form := url.Values{
		"amount": {strconv.FormatInt(amount, 10)}, "currency": {"eur"}, "payment_method": {method},
		"capture_method": {"manual"}, "confirm": {"true"},
	}
	for k, v := range meta {
		form.Set("metadata["+k+"]", v)
	}
	return post[Intent](ctx, c, key, "/v1/payment_intents", form)
}

// Capture takes the amount that was authorized.
func (c *Client) Capture(ctx context.Context, key, intent string) (Intent, error) {
	return post[Intent](ctx, c, key, "/v1/payment_intents/"+url.PathEscape(intent)+"/capture", nil)
}

// Cancel gives the authorized amount free.
func (c *Client) Cancel(ctx context.Context, key, intent string) (Intent, error) {
	return post[Intent](ctx, c, key, "/v1/payment_intents/"+url.PathEscape(intent)+"/cancel", nil)
}

// Refund sends an amount back.
func (c *Client) Refund(ctx context.Context, key, intent string, amount int64) (Refund, error) {
	form := url.Values{"payment_intent": {intent}, "amount": {strconv.FormatInt(amount, 10)}}
	return post[Refund](ctx, c, key, "/v1/refunds", form)
}

// GetRefund asks how a refund stands.
func (c *Client) GetRefund(ctx context.Context, id string) (Refund, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/v1/refunds/"+url.PathEscape(id), nil)
	if err != nil {
		return Refund{}, fmt.Errorf("get refund %s: %w", id, err)
	}
	return do[Refund](c, req)
}

func post[T any](ctx context.Context, c *Client, key, path string, form url.Values) (T, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		var zero T
		return zero, fmt.Errorf("post %s: %w", path, err)
	}
	req.Header.Set("Content-Type", formType)
	req.Header.Set("Idempotency-Key", key)
	return do[T](c, req)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

func do[T any](c *Client, req *http.Request) (T, error) {
	var object T
	res, err := c.http.Do(req)
	if err != nil {
		return object, fmt.Errorf("payment provider: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return object, fmt.Errorf("payment provider: read answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return object, failed(res, body)
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return object, fmt.Errorf("payment provider: decode answer: %w", err)
	}
	return object, nil
}

// failed reads an error answer. One that is not in the API's shape, as of a proxy, still has its status.
func failed(res *http.Response, body []byte) error {
	var envelope struct {
		Error *Error `json:"error"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil || envelope.Error == nil {
		envelope.Error = &Error{Type: "api_error"}
	}
	e := envelope.Error
	e.Status = res.StatusCode
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// AsError is the provider's answer in an error, if it gave one.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
