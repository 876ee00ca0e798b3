package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/shop"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

const (
	gopl  = "9780134190440"
	total = 44_74 // 32.99 and 4.61 postage, with 19 % VAT
)

// fair is a night of two orders in which all is well: one sold, one declined by the provider.
func fair(t *testing.T) (a *auditor, judge func()) {
	t.Helper()
	line, de := []shop.Line{{ISBN: gopl, Quantity: 1}}, shop.Address{City: "Berlin", Country: "DE"}
	sold := order{Order: "sold", Lines: line, BillTo: de, ShipTo: de}
	lost := order{Order: "lost", Lines: line, BillTo: de, ShipTo: de}
	q, err := shop.Price(sold.payload(payments.Method{}))
	require.NoError(t, err)
	require.Equal(t, shop.Cents(total), q.Total)

	receipt := shop.Issued{Number: 1, Intent: "pi_sold", Total: total, VAT: q.VAT, Country: "DE"}
	day := shop.Sales{Day: shop.Day(receipt.At), Orders: 1, Total: total, VAT: q.VAT, Body: "one\n"}
	a = &auditor{
		books: shop.Books{
			Stock: map[shop.ISBN]shop.Shelf{gopl: {Copies: 40, OnHand: 39}},
			Reservations: []shop.Held{
				{Order: "sold", ISBN: gopl, Quantity: 1, State: "sold"},
				{Order: "lost", ISBN: gopl, Quantity: 1, State: "released"},
			},
			Shipments: map[string]shop.Shipment{"sold": {Tracking: "CB000000014DE"}},
			Receipts:  map[string]shop.Issued{"sold": receipt},
			Declines:  map[string]string{},
			Refunds:   map[string]shop.Returned{},
			Digests:   map[string]shop.Sales{day.Day: day},
		},
		intents: map[string][]payments.Intent{
			"sold": {{ID: "pi_sold", Status: payments.Succeeded, Amount: total, Received: total}},
			"lost": {{ID: "pi_lost", Status: payments.Canceled, Amount: total}},
		},
		captures: map[string]int{"pi_sold": 1},
		refunds:  map[string]payments.Refund{},
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(shop.DigestPath(dir, day.Day), []byte(day.Body), 0o600))
	return a, func() {
		a.order(sold, squidmesh.Run{Status: squidmesh.RunCompleted})
		a.order(lost, squidmesh.Run{Status: squidmesh.RunFailed})
		a.captured()
		a.stock()
		a.numbers()
		a.digests(dir)
	}
}

func TestAuditor_FindsNothingInAFairNight(t *testing.T) {
	t.Parallel()
	a, judge := fair(t)
	judge()
	require.Empty(t, a.problems)
}

// An auditor that finds nothing is worth something only if it finds what is there.
func TestAuditor_FindsEveryFraud(t *testing.T) {
	t.Parallel()
	for name, fraud := range map[string]func(a *auditor){
		"charged twice": func(a *auditor) {
			a.intents["sold"] = append(a.intents["sold"], payments.Intent{ID: "pi_again", Status: payments.Succeeded, Received: total})
			a.captures["pi_again"] = 1
		},
		"captured twice":   func(a *auditor) { a.captures["pi_sold"] = 2 },
		"charged too much": func(a *auditor) { a.intents["sold"][0].Received++ },
		"charged and not sold": func(a *auditor) {
			a.intents["lost"][0] = payments.Intent{ID: "pi_lost", Status: payments.Succeeded, Received: 1}
		},
		"sold and not charged":      func(a *auditor) { a.intents["sold"][0].Status = payments.Canceled },
		"not voided":                func(a *auditor) { a.intents["lost"][0].Status = payments.RequiresCapture },
		"not shipped":               func(a *auditor) { delete(a.books.Shipments, "sold") },
		"shipped and not sold":      func(a *auditor) { a.books.Shipments["lost"] = shop.Shipment{Tracking: "x"} },
		"no receipt":                func(a *auditor) { delete(a.books.Receipts, "sold") },
		"wrong receipt":             func(a *auditor) { r := a.books.Receipts["sold"]; r.Total--; a.books.Receipts["sold"] = r },
		"receipt with a gap":        func(a *auditor) { r := a.books.Receipts["sold"]; r.Number = 2; a.books.Receipts["sold"] = r },
		"not released":              func(a *auditor) { a.books.Reservations[1].State = "reserved" },
		"released and not put back": func(a *auditor) { a.books.Stock[gopl] = shop.Shelf{Copies: 40, OnHand: 38} },
		"put back twice":            func(a *auditor) { a.books.Stock[gopl] = shop.Shelf{Copies: 40, OnHand: 40} },
		"sold and not taken":        func(a *auditor) { a.books.Reservations = a.books.Reservations[1:] },
		"refunded behind our back": func(a *auditor) {
			a.refunds["re_1"] = payments.Refund{ID: "re_1", Intent: "pi_sold", Amount: total}
			a.intents["sold"][0].Refunded = total
		},
		"refunded though refused": func(a *auditor) {
			a.books.Refunds["sold"] = shop.Returned{Status: "refused"}
			a.refunds["re_1"] = payments.Refund{ID: "re_1", Intent: "pi_sold", Amount: total}
			a.intents["sold"][0].Refunded = total
		},
		"charged for an unknown order": func(a *auditor) {
			a.intents["ghost"] = []payments.Intent{{ID: "pi_ghost", Status: payments.Succeeded, Received: 1}}
		},
		"wrong digest": func(a *auditor) {
			for day, d := range a.books.Digests {
				d.Orders++
				a.books.Digests[day] = d
			}
		},
		"digest not written": func(a *auditor) {
			for day, d := range a.books.Digests {
				d.Body = "two\n"
				a.books.Digests[day] = d
			}
		},
		"no digest": func(a *auditor) { clear(a.books.Digests) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, judge := fair(t)
			fraud(a)
			judge()
			require.NotEmpty(t, a.problems)
		})
	}
}

func TestAuditor_HoldsRunsAgainstTheirScript(t *testing.T) {
	t.Parallel()
	ended := func(status squidmesh.RunStatus, code string) *squidmesh.Inspection {
		in := &squidmesh.Inspection{Run: squidmesh.Run{Status: status}}
		if code != "" {
			in.Run.Reason = &squidmesh.StepError{Code: code}
		}
		return in
	}
	declined := &expectation{Status: "failed", Reason: "card_declined"}
	for _, c := range []struct {
		out  outcome
		want string
	}{
		{outcome{Run: ended(squidmesh.RunFailed, "card_declined"), Expect: declined}, ""},
		{outcome{Run: ended(squidmesh.RunFailed, "timeout"), Expect: declined}, `a checkout: has the reason "timeout", must have "card_declined"`},
		{outcome{Run: ended(squidmesh.RunCompleted, ""), Expect: declined}, "a checkout: is completed, must be failed (reason )"},
		{outcome{Run: ended(squidmesh.RunPaused, "")}, "a checkout: is paused"},
		{outcome{Run: ended(squidmesh.RunFailed, "")}, ""},
		{outcome{Err: errChecks}, "a checkout: " + errChecks.Error()},
	} {
		a := &auditor{}
		c.out.Order, c.out.Workflow = "a", "checkout"
		a.expected(c.out)
		if c.want == "" {
			require.Empty(t, a.problems)
		} else {
			require.Equal(t, []string{c.want}, a.problems)
		}
	}
}
