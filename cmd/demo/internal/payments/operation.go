package payments

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

// newID makes an id of its prefix and a seed that is the same for all attempts of a request.
func newID(prefix, seed string) string {
	sum := sha256.Sum256([]byte(prefix + seed))
	return prefix + "_" + hex.EncodeToString(sum[:12])
}

// cardNumber is the form's key of a card number.
const cardNumber = "card[number]"

// saveCard trades a card number for a token.
func (s *Server) saveCard(b *Book, c call) (entry, any, *Error) {
	number := digits(c.form.Get(cardNumber))
	if len(number) < 12 || len(number) > 19 || strings.Trim(number, "0123456789") != "" {
		return entry{}, nil, &Error{
			Status: http.StatusPaymentRequired, Type: "card_error", Code: "incorrect_number",
			Message: "Your card number is incorrect.",
		}
	}
	m := Method{ID: newID("pm", c.seed)} // not of the number, which could be found by trying
	m.Card.Brand, m.Card.Last4 = brand(number), lastFour(number)
	return entry{Card: &card{Method: m.ID, Brand: m.Card.Brand, Last4: m.Card.Last4, Outcome: testCards[number]}}, m, nil
}

// authorize blocks an amount on a card.
func (s *Server) authorize(b *Book, c call) (entry, any, *Error) {
	amount, err := strconv.ParseInt(c.form.Get("amount"), 10, 64)
	if err != nil || amount <= 0 {
		return entry{}, nil, invalid(http.StatusBadRequest, "parameter_invalid_integer", "Invalid positive integer: amount.")
	}
	card, ok := b.cards[c.form.Get("payment_method")]
	if !ok {
		return entry{}, nil, invalid(http.StatusBadRequest, "resource_missing", "No such payment_method: %q.", c.form.Get("payment_method"))
	}
	in := Intent{
		ID: newID("pi", c.seed), Status: RequiresCapture, Amount: amount,
		Currency: c.form.Get("currency"), Method: c.form.Get("payment_method"), Metadata: metadata(c),
	}
	if card.Code == "" || card.AtCapture {
		return entry{Intent: &in}, in, nil
	}
	in.Status = RequiresPaymentMethod
	return entry{Intent: &in}, nil, declined(card, in)
}

// capture takes the authorized amount.
func (s *Server) capture(b *Book, c call) (entry, any, *Error) {
	in, failure := find(b, c, RequiresCapture, "captured")
	if failure != nil {
		return entry{}, nil, failure
	}
	if card := b.cards[in.Method]; card.AtCapture {
		return entry{Intent: &in}, nil, declined(card, in)
	}
	in.Status, in.Received = Succeeded, in.Amount
	return entry{Intent: &in}, in, nil
}

// cancel gives an authorized amount free. To cancel twice is fine.
func (s *Server) cancel(b *Book, c call) (entry, any, *Error) {
	in, ok := b.Intents[c.path.Get("id")]
	if ok && in.Status == Canceled {
		return entry{Intent: &in}, in, nil
	}
	in, failure := find(b, c, RequiresCapture, "canceled")
	if failure != nil {
		return entry{}, nil, failure
	}
	in.Status = Canceled
	return entry{Intent: &in}, in, nil
}

// refund sends back what was captured, or a part of it.
func (s *Server) refund(b *Book, c call) (entry, any, *Error) {
	c.path.Set("id", c.form.Get("payment_intent"))
	in, failure := find(b, c, Succeeded, "refunded")
	if failure != nil {
		return entry{}, nil, failure
	}
	amount := in.Received - in.Refunded
	if given := c.form.Get("amount"); given != "" {
		n, err := strconv.ParseInt(given, 10, 64)
		if err != nil || n <= 0 {
			return entry{}, nil, invalid(http.StatusBadRequest, "parameter_invalid_integer", "Invalid positive integer: amount.")
		}
		if n > amount {
			return entry{}, nil, invalid(http.StatusBadRequest, "amount_too_large", "Only %d of %d are left to refund.", amount, in.Received)
		}
		amount = n
	}
	if amount == 0 {
		return entry{}, nil, invalid(http.StatusBadRequest, "charge_already_refunded", "Intent %s has already been refunded.", in.ID)
	}
	in.Refunded += amount
	r := Refund{ID: newID("re", c.seed), Intent: in.ID, Amount: amount, Status: "succeeded"}
	if card := b.cards[in.Method]; card.Refund != "" {
		r.Status, r.Settled = card.Refund, card.Settled
		r.SettlesAt = s.config.Now().Add(s.config.Settle).UnixMilli()
	}
	return entry{Intent: &in, Refund: &r}, r.shown(), nil
}

// shown is a refund as the shop sees it.
func (r Refund) shown() Refund {
	r.Settled, r.SettlesAt = "", 0
	return r
}

// At is a refund as it stands at a time, in milliseconds since 1970.
func (r Refund) At(now int64) Refund {
	if r.SettlesAt > 0 && now >= r.SettlesAt {
		r.Status = r.Settled
	}
	return r.shown()
}

func (s *Server) getIntent(w http.ResponseWriter, r *http.Request) {
	s.ledger.mu.Lock()
	in, ok := s.ledger.book.Intents[r.PathValue("id")]
	s.ledger.mu.Unlock()
	if !ok {
		answer(w, nil, missing("payment_intent", r.PathValue("id")))
		return
	}
	answer(w, in, nil)
}

func (s *Server) getRefund(w http.ResponseWriter, r *http.Request) {
	s.ledger.mu.Lock()
	re, ok := s.ledger.book.Refunds[r.PathValue("id")]
	s.ledger.mu.Unlock()
	if !ok {
		answer(w, nil, missing("refund", r.PathValue("id")))
		return
	}
	answer(w, re.At(s.config.Now().UnixMilli()), nil)
}

// find is the intent of a call, if it stands where the call needs it.
func find(b *Book, c call, want Status, verb string) (Intent, *Error) {
	in, ok := b.Intents[c.path.Get("id")]
	if !ok {
		return in, missing("payment_intent", c.path.Get("id"))
	}
	if in.Status != want {
		e := invalid(http.StatusBadRequest, CodeUnexpectedState, "Intent %s could not be %s: it is %s.", in.ID, verb, in.Status)
		e.Intent = &in
		return in, e
	}
	return in, nil
}

func missing(what, id string) *Error {
	return invalid(http.StatusNotFound, "resource_missing", "No such %s: %q.", what, id)
}

func declined(o outcome, in Intent) *Error {
	return &Error{
		Status: http.StatusPaymentRequired, Type: "card_error",
		Code: o.Code, Decline: o.Decline, Message: o.Message, Intent: &in,
	}
}

// metadata are the form's metadata[...] keys.
func metadata(c call) map[string]string {
	m := map[string]string{}
	for k, v := range c.form {
		if name, ok := strings.CutPrefix(k, "metadata["); ok && strings.HasSuffix(name, "]") {
			m[strings.TrimSuffix(name, "]")] = v[0]
		}
	}
	return m
}
