package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/shop"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// audit compares how the runs ended with what was expected, with the provider's ledger as it is on disk, and with the shop's
// tables. It returns one sentence for everything that is wrong.
func (n *night[TTx]) audit(ctx context.Context, outcomes []outcome) ([]string, error) {
	books, err := n.books(ctx)
	if err != nil {
		return nil, err
	}
	ledger, err := payments.ReadLedger(n.db.ledger(n.dir))
	if err != nil {
		return nil, err
	}
	a := auditor{books: books, intents: map[string][]payments.Intent{}, captures: ledger.Captures, refunds: ledger.Refunds}
	for _, in := range ledger.Intents {
		a.intents[in.Metadata["order"]] = append(a.intents[in.Metadata["order"]], in)
	}
	orders := map[string]order{}
	for _, o := range n.orders {
		orders[o.Order] = o
	}
	for _, out := range outcomes {
		a.expected(out)
		if out.Workflow == "checkout" && out.Run != nil {
			a.order(orders[out.Order], out.Run.Run)
		}
	}
	a.captured()
	a.stock()
	a.numbers()
	a.digests(n.dir)
	if err := n.auditReplay(ctx, &a, outcomes); err != nil {
		return nil, err
	}
	slices.Sort(a.problems)
	return a.problems, nil
}

// auditReplay sees to it that a run which has sent a parcel is not repeated by accident.
func (n *night[TTx]) auditReplay(ctx context.Context, a *auditor, outcomes []outcome) error {
	for _, out := range outcomes {
		if out.Run == nil || a.books.Shipments[out.Order] == (shop.Shipment{}) || out.Workflow != "checkout" {
			continue
		}
		_, err := n.rt.ReplayRun(ctx, out.Run.Run.ID, squidmesh.ReplayParams{Actor: clerk})
		if !errors.Is(err, squidmesh.ErrUnsafeReplay) {
			a.wrong("%s: a replay would ship again and must be refused, got: %v", out.Order, err)
		}
		return nil
	}
	return nil
}

// auditor gathers what is wrong.
type auditor struct {
	books    shop.Books
	intents  map[string][]payments.Intent // by order
	captures map[string]int               // by intent
	refunds  map[string]payments.Refund
	problems []string
}

func (a *auditor) wrong(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

// expected holds a run against its order's script.
func (a *auditor) expected(out outcome) {
	name := out.Order + " " + out.Workflow
	switch {
	case out.Err != nil:
		a.wrong("%s: %v", name, out.Err)
	case !out.Run.Run.Status.Terminal():
		a.wrong("%s: is %s", name, out.Run.Run.Status)
	case out.Expect != nil:
		if got := string(out.Run.Run.Status); got != out.Expect.Status {
			a.wrong("%s: is %s, must be %s (reason %s)", name, got, out.Expect.Status, reason(out.Run.Run))
		} else if got := reason(out.Run.Run); got != out.Expect.Reason {
			a.wrong("%s: has the reason %q, must have %q", name, got, out.Expect.Reason)
		}
	}
}

// reason is the code of a run's latest final failure; empty for none.
func reason(run squidmesh.Run) string {
	if run.Reason == nil {
		return ""
	}
	return run.Reason.Code
}

// order holds an order's run against the money and the goods: either both changed hands, once and in full, or neither did.
func (a *auditor) order(o order, run squidmesh.Run) {
	_, declined := a.books.Declines[o.Order]
	receipt, received := a.books.Receipts[o.Order]
	_, shipped := a.books.Shipments[o.Order]
	sold := run.Status == squidmesh.RunCompleted && !declined

	if shipped != sold {
		a.wrong("%s: is %s but shipped is %t", o.Order, run.Status, shipped)
	}
	if received != sold {
		a.wrong("%s: is %s but has a receipt is %t", o.Order, run.Status, received)
	}
	a.payment(o, sold, receipt)
	a.goods(o, sold)
}

// payment holds an order against the provider's ledger.
func (a *auditor) payment(o order, sold bool, receipt shop.Issued) {
	charged, times := int64(0), 0
	for _, in := range a.intents[o.Order] {
		times += a.captures[in.ID]
		switch in.Status {
		case payments.RequiresCapture:
			a.wrong("%s: %s cents are still blocked by %s", o.Order, shop.Cents(in.Amount), in.ID)
		case payments.Succeeded:
			charged += in.Received - in.Refunded
		case payments.Canceled, payments.RequiresPaymentMethod:
		}
	}
	if times > 1 {
		a.wrong("%s: was charged %d times", o.Order, times)
	}
	if !sold {
		if charged != 0 {
			a.wrong("%s: was not sold, and paid %s EUR", o.Order, shop.Cents(charged))
		}
		return
	}
	quote, err := shop.Price(o.payload(payments.Method{}))
	if err != nil {
		a.wrong("%s: was sold, although %v", o.Order, err)
	}
	if receipt.Total != quote.Total {
		a.wrong("%s: the receipt says %s EUR, the price is %s EUR", o.Order, receipt.Total, quote.Total)
	}
	back := a.refunded(o, receipt)
	if want := int64(quote.Total - back); charged != want {
		a.wrong("%s: paid %s EUR, must have paid %s EUR", o.Order, shop.Cents(charged), shop.Cents(want))
	}
}

// refunded is what the customer of a sold order must have got back.
func (a *auditor) refunded(o order, receipt shop.Issued) shop.Cents {
	note, noted := a.books.Refunds[o.Order]
	var back shop.Cents
	for id, r := range a.refunds {
		if r.Intent != receipt.Intent {
			continue
		}
		back += shop.Cents(r.Amount)
		if r.Settled != "failed" && (note.Refund != id || note.Amount != shop.Cents(r.Amount) || note.Status != "settled") {
			a.wrong("%s: got %s EUR back, the shop notes %+v", o.Order, shop.Cents(r.Amount), note)
		}
	}
	if noted && note.Status == "refused" && back != 0 {
		a.wrong("%s: got %s EUR back, although it was refused", o.Order, back)
	}
	return back
}

// goods holds an order against the shelf.
func (a *auditor) goods(o order, sold bool) {
	want := map[shop.ISBN]int{}
	if sold {
		for _, l := range o.Lines {
			if isbn, err := shop.ParseISBN(l.ISBN); err == nil {
				want[isbn] += l.Quantity
			}
		}
	}
	for _, h := range a.books.Reservations {
		if h.Order != o.Order {
			continue
		}
		switch h.State {
		case "reserved":
			a.wrong("%s: %s is still reserved", o.Order, h.ISBN)
		case "sold":
			want[h.ISBN] -= h.Quantity
		}
	}
	for isbn, n := range want {
		if n != 0 {
			a.wrong("%s: %+d copies of %s are missing from what was sold", o.Order, n, isbn)
		}
	}
}

// captured holds the provider's captures against the shop's receipts: nothing is paid that the shop does not know of.
func (a *auditor) captured() {
	known := map[string]bool{}
	for order, r := range a.books.Receipts {
		if known[r.Intent] {
			a.wrong("%s: its receipt is for a payment that another one is for", order)
		}
		known[r.Intent] = true
		if a.captures[r.Intent] != 1 {
			a.wrong("%s: has a receipt, and was charged %d times", order, a.captures[r.Intent])
		}
	}
	for order, intents := range a.intents {
		for _, in := range intents {
			if in.Received > in.Refunded && !known[in.ID] {
				a.wrong("%s: the provider holds %s EUR that the shop knows nothing of", order, shop.Cents(in.Received-in.Refunded))
			}
		}
	}
}

// stock holds the shelves against the reservations: what is gone was sold, what was released is back.
func (a *auditor) stock() {
	gone := map[shop.ISBN]int{}
	for _, h := range a.books.Reservations {
		if h.State != "released" {
			gone[h.ISBN] += h.Quantity
		}
	}
	for isbn, shelf := range a.books.Stock {
		if shelf.OnHand+gone[isbn] != shelf.Copies {
			a.wrong("%s: %d copies on the shelf and %d gone are not the %d of the evening", isbn, shelf.OnHand, gone[isbn], shelf.Copies)
		}
	}
}

// numbers sees to it that receipts are numbered without gaps.
func (a *auditor) numbers() {
	seen := map[int64]bool{}
	for _, r := range a.books.Receipts {
		seen[r.Number] = true
	}
	for i := range int64(len(a.books.Receipts)) {
		if !seen[i+1] {
			a.wrong("receipt %d is missing, of %d", i+1, len(a.books.Receipts))
		}
	}
}

// digests holds each digest against the receipts of its day, and against its file.
func (a *auditor) digests(dir string) {
	if len(a.books.Digests) == 0 {
		a.wrong("there is no digest")
	}
	for day, d := range a.books.Digests {
		var orders int
		var total, vat shop.Cents
		for _, r := range a.books.Receipts {
			if shop.Day(r.At) == day {
				orders++
				total += r.Total
				vat += r.VAT
			}
		}
		if d.Orders != orders || d.Total != total || d.VAT != vat {
			a.wrong("digest of %s: says %d orders, %s EUR and %s EUR of VAT; must be %d, %s and %s",
				day, d.Orders, d.Total, d.VAT, orders, total, vat)
		}
		if file, err := os.ReadFile(shop.DigestPath(dir, day)); err != nil || string(file) != d.Body {
			a.wrong("digest of %s: its file is not what was added up (%v)", day, err)
		}
	}
}
