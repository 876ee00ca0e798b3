package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/shop"
)

// order is one entry of an orders file: what the customer sent, and what the night's script has in store for it.
type order struct {
	Order    string       `json:"order"`
	Customer string       `json:"customer"`
	Lines    []shop.Line  `json:"lines"`
	BillTo   shop.Address `json:"bill_to"`
	ShipTo   shop.Address `json:"ship_to"`
	Card     string       `json:"card"` // number
	Sandbox  string       `json:"sandbox"`

	// Review is how --once decides if the order comes to a review: approve, which is the default, or reject.
	Review string `json:"review"`
	// Refund, if set, is asked for once the order is sold.
	Refund *refund `json:"refund"`
	// Expect, if set, is what --once checks.
	Expect *expectation `json:"expect"`
}

// refund is what becomes of a sold order.
type refund struct {
	Reason   string       `json:"reason"`
	Decision string       `json:"decision"` // approve or reject
	Expect   *expectation `json:"expect"`
}

// expectation is how a run must end. Reason is the code of its latest final failure, empty for none.
type expectation struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// refusal is an order that never became a run.
type refusal struct {
	Order string
	Err   error
}

//go:embed orders.json
var ordersJSON []byte

// readOrders reads an orders file; the empty path is the one that comes with the demo. Bad orders are refused one by one; an
// error means that there is no list of orders at all.
func readOrders(path string) ([]order, []refusal, error) {
	data := ordersJSON
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, nil, fmt.Errorf("read orders: %w", err)
		}
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, nil, fmt.Errorf("read orders %s: must be a JSON array of orders: %w", path, err)
	}
	var orders []order
	var refused []refusal
	seen := map[string]bool{}
	for i, entry := range entries {
		o, err := parseOrder(entry)
		if err == nil && seen[o.Order] {
			err = errors.New("is there twice")
		}
		if err != nil {
			name := o.Order
			if name == "" {
				name = fmt.Sprintf("entry %d", i+1)
			}
			refused = append(refused, refusal{name, err})
			continue
		}
		seen[o.Order] = true
		orders = append(orders, o)
	}
	return orders, refused, nil
}

// parseOrder reads one entry. What the shop's own validation will find is left to it: there is a run that says so.
func parseOrder(entry json.RawMessage) (order, error) {
	var o order
	dec := json.NewDecoder(bytes.NewReader(entry))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return o, fmt.Errorf("is no order: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return o, errors.New("is followed by something")
	}
	switch {
	case o.Order == "":
		return o, errors.New("has no order number")
	case len(o.Order) > 100 || strings.ContainsFunc(o.Order, unseen):
		return o, errors.New("the order number must have at most 100 characters, none of them blank or invisible")
	case o.Review != "" && o.Review != "approve" && o.Review != "reject":
		return o, fmt.Errorf("review is %q: must be approve or reject", o.Review)
	case o.Refund != nil && o.Refund.Decision != "approve" && o.Refund.Decision != "reject":
		return o, fmt.Errorf("refund.decision is %q: must be approve or reject", o.Refund.Decision)
	}
	if err := shop.CheckCard(o.Card); err != nil {
		return o, err
	}
	return o, payments.CheckFault(o.Sandbox)
}

// unseen reports whether a character cannot be seen: people type order numbers.
func unseen(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }

// payload is the order as the checkout takes it.
func (o order) payload(card payments.Method) shop.Order {
	return shop.Order{
		Order: o.Order, Customer: o.Customer, Lines: o.Lines, BillTo: o.BillTo, ShipTo: o.ShipTo, Sandbox: o.Sandbox,
		Card: shop.Card{Token: card.ID, Brand: card.Card.Brand, Last4: card.Card.Last4},
	}
}
