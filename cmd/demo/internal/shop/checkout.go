package shop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Pace is how patient the workflows are. The demo waits as a shop would, tests do not.
type Pace struct {
	Retry  time.Duration // first delay after a failed attempt
	Settle time.Duration // from refunding a payment to asking whether it has arrived
}

// patient is for calls to the provider: a few attempts, then the order is given up.
func (p Pace) patient() squidmesh.Retry { return squidmesh.Exponential(6, p.Retry, 30*time.Second) }

// stubborn is for what must happen: writes to the shop's own database, and all undoing.
func (p Pace) stubborn() squidmesh.Retry { return squidmesh.Exponential(12, p.Retry, time.Minute) }

// txTimeout bounds steps that write to the shop's tables. SQLite has one writer at a time, for whom the others wait.
const txTimeout = time.Minute

// Checkout takes an order from validation to the receipt. When it fails on the way, what was done is taken back in reverse: the
// payment refunded or its authorization voided, the books put back on the shelf.
func Checkout[TTx any](s *Shop[TTx], pace Pace) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:        "checkout",
		Description: "An order from validation to the receipt.",
		Triggers:    []squidmesh.Trigger{squidmesh.Manual("checkout", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "validate", Do: squidmesh.Func(s.Validate), Output: "quote", Next: "prepare"},
			{Name: "prepare", Next: "decide", Parallel: []squidmesh.Step{
				{
					Name: "reserve", Do: squidmesh.FuncTx(s.Reserve), Output: "reservation", Retry: pace.stubborn(), Timeout: txTimeout,
					Undo: squidmesh.EffectTx(s.Release),
				},
				{Name: "score", Do: squidmesh.Func(s.Score), Output: "risk"},
			}},
			{
				Name: "decide", Do: squidmesh.Choose(s.Decide),
				Routes: map[string]string{"review": "review", "pass": "authorize"},
			},
			{
				Name: "review", Do: squidmesh.Approval(), Output: "approval",
				Next: "authorize", OnError: "decline", Recovery: squidmesh.RecoveryCompensation,
			},
			{
				Name: "authorize", Do: squidmesh.Func(s.Authorize), Output: "payment", Retry: squidmesh.Exponential(4, pace.Retry, 30*time.Second),
				Undo: squidmesh.Effect(s.Void), UndoRetry: pace.stubborn(), Next: "capture",
			},
			{
				Name: "capture", Do: squidmesh.Func(s.Capture), Output: "charge", Retry: pace.patient(),
				Undo: squidmesh.Effect(s.GiveBack), UndoRetry: pace.stubborn(), Next: "label",
			},
			{
				Name: "label", Do: squidmesh.FuncTx(s.Label), Output: "parcel", Irreversible: true, Retry: pace.stubborn(), Timeout: txTimeout,
				Queue: QueueLabels, Next: "receipt",
			},
			{
				// The parcel has left, so nothing is taken back any more.
				Name: "receipt", Do: squidmesh.FuncTx(s.Receipt), Output: "receipt", Retry: pace.stubborn(), Timeout: txTimeout,
				OnError: "by_hand",
			},
			{Name: "by_hand", Description: "Somebody writes the receipt.", Do: squidmesh.Pause()},
			{Name: "decline", Do: squidmesh.EffectTx(s.Decline), Retry: pace.stubborn(), Timeout: txTimeout},
		},
	}
}

// QueueLabels is the queue of the one label printer.
const QueueLabels = "labels"

// Codes of failures that are the shop's own decision.
const (
	CodeOutOfStock     = "out_of_stock"
	CodeSoldAlready    = "sold_already" // a replay of an order that was delivered
	CodeCarrierRefused = "carrier_refused"
)

// Validate checks the order and works out its price.
func (s *Shop[TTx]) Validate(_ context.Context, o Order) (Quote, error) {
	quote, err := Price(o)
	if wrong, ok := errors.AsType[*OrderError](err); ok {
		return quote, squidmesh.Fail(squidmesh.WithCode(wrong.Code, wrong))
	}
	return quote, err
}

type reserveIn struct {
	Order string `json:"order"`
	Lines []Line `json:"lines"`
}

// Reservation is what was taken off the shelf for an order.
type Reservation struct {
	Titles int `json:"titles"`
	Copies int `json:"copies"`
}

// Reserve takes the books off the shelf, all or none.
func (s *Shop[TTx]) Reserve(ctx context.Context, tx TTx, in reserveIn) (Reservation, error) {
	wanted := map[ISBN]int{}
	for _, l := range in.Lines {
		isbn, err := ParseISBN(l.ISBN)
		if err != nil {
			return Reservation{}, squidmesh.Fail(err)
		}
		wanted[isbn] += l.Quantity
	}
	var r Reservation
	for _, isbn := range sorted(wanted) { // in one order, so that two orders never wait for each other in a circle
		const take = `update shop_stock set on_hand = on_hand - $2 where isbn = $1 and on_hand >= $2`
		n, err := s.SQL.Exec(ctx, tx, take, string(isbn), wanted[isbn])
		if err != nil {
			return Reservation{}, fmt.Errorf("reserve %s: %w", isbn, err)
		}
		if n == 0 {
			return Reservation{}, squidmesh.Fail(squidmesh.WithCode(CodeOutOfStock,
				fmt.Errorf("fewer than %d copies of %q are left", wanted[isbn], Catalogue()[isbn].Title)))
		}
		const note = `insert into shop_reservation (order_id, isbn, quantity, state) values ($1, $2, $3, 'reserved')
			on conflict (order_id, isbn) do update set quantity = excluded.quantity, state = 'reserved'
			where shop_reservation.state = 'released'`
		n, err = s.SQL.Exec(ctx, tx, note, in.Order, string(isbn), wanted[isbn])
		if err != nil {
			return Reservation{}, fmt.Errorf("note reservation of %s: %w", isbn, err)
		}
		if n == 0 {
			return Reservation{}, squidmesh.Fail(squidmesh.WithCode(CodeSoldAlready, fmt.Errorf("%s has got its books", in.Order)))
		}
		r.Titles++
		r.Copies += wanted[isbn]
	}
	return r, nil
}

func sorted(wanted map[ISBN]int) []ISBN {
	isbns := make([]ISBN, 0, len(wanted))
	for isbn := range wanted {
		isbns = append(isbns, isbn)
	}
	slices.Sort(isbns)
	return isbns
}

type releaseIn struct {
	Order string `json:"order"`
}

// Release puts back on the shelf what is still reserved for the order.
func (s *Shop[TTx]) Release(ctx context.Context, tx TTx, in releaseIn) error {
	held := map[ISBN]int{}
	const q = `update shop_reservation set state = 'released' where order_id = $1 and state = 'reserved' returning isbn, quantity`
	err := s.SQL.Query(ctx, tx, q, []any{in.Order}, func(scan Scan) error {
		var isbn string
		var n int
		if err := scan(&isbn, &n); err != nil {
			return err
		}
		held[ISBN(isbn)] += n
		return nil
	})
	if err != nil {
		return fmt.Errorf("release %s: %w", in.Order, err)
	}
	for _, isbn := range sorted(held) {
		const put = `update shop_stock set on_hand = on_hand + $2 where isbn = $1`
		if _, err := s.SQL.Exec(ctx, tx, put, string(isbn), held[isbn]); err != nil {
			return fmt.Errorf("put back %s: %w", isbn, err)
		}
	}
	return nil
}

type scoreIn struct {
	BillTo Address `json:"bill_to"`
	ShipTo Address `json:"ship_to"`
	Lines  []Line  `json:"lines"`
	Quote  Quote   `json:"quote"`
}

// Score says how doubtful the order looks.
func (s *Shop[TTx]) Score(_ context.Context, in scoreIn) (Risk, error) {
	return assess(in.BillTo, in.ShipTo, in.Lines, in.Quote.Total), nil
}

type decideIn struct {
	Risk Risk `json:"risk"`
}

// Decide sends doubtful orders to a person.
func (s *Shop[TTx]) Decide(_ context.Context, in decideIn) (string, error) {
	if in.Risk.Points >= reviewPoints {
		return "review", nil
	}
	return "pass", nil
}

type authorizeIn struct {
	Order   string `json:"order"`
	Quote   Quote  `json:"quote"`
	Card    Card   `json:"card"`
	Sandbox string `json:"sandbox,omitempty"`
}

// Payment is an authorized amount.
type Payment struct {
	Intent string `json:"intent"`
	Amount Cents  `json:"amount"`
}

// Authorize blocks the total on the customer's card.
func (s *Shop[TTx]) Authorize(ctx context.Context, in authorizeIn) (Payment, error) {
	meta := map[string]string{"order": in.Order}
	if in.Sandbox != "" {
		meta[payments.MetadataSandbox] = in.Sandbox
	}
	intent, err := s.Payments.Authorize(ctx, squidmesh.IdempotencyKey(ctx), int64(in.Quote.Total), in.Card.Token, meta)
	if err != nil {
		return Payment{}, verb(err)
	}
	return Payment{Intent: intent.ID, Amount: Cents(intent.Amount)}, nil
}

type paymentIn struct {
	Payment Payment `json:"payment"`
}

// Void gives the blocked amount free. If it was captured and given back since, there is nothing left to void.
func (s *Shop[TTx]) Void(ctx context.Context, in paymentIn) error {
	_, err := s.Payments.Cancel(ctx, squidmesh.IdempotencyKey(ctx), in.Payment.Intent)
	if e, ok := payments.AsError(err); ok && e.Code == payments.CodeUnexpectedState &&
		e.Intent != nil && e.Intent.Status == payments.Succeeded && e.Intent.Refunded == e.Intent.Received {
		return nil
	}
	return verb(err)
}

// Charge is a captured amount.
type Charge struct {
	Amount Cents `json:"amount"`
}

// Capture takes the blocked amount.
func (s *Shop[TTx]) Capture(ctx context.Context, in paymentIn) (Charge, error) {
	intent, err := s.Payments.Capture(ctx, squidmesh.IdempotencyKey(ctx), in.Payment.Intent)
	if err != nil {
		return Charge{}, verb(err)
	}
	return Charge{Amount: Cents(intent.Received)}, nil
}

type giveBackIn struct {
	Payment Payment `json:"payment"`
	Charge  Charge  `json:"charge"`
}

// GiveBack refunds a captured amount.
func (s *Shop[TTx]) GiveBack(ctx context.Context, in giveBackIn) error {
	_, err := s.Payments.Refund(ctx, squidmesh.IdempotencyKey(ctx), in.Payment.Intent, int64(in.Charge.Amount))
	return verb(err)
}

type labelIn struct {
	Order  string  `json:"order"`
	ShipTo Address `json:"ship_to"`
	Quote  Quote   `json:"quote"`
	Charge Charge  `json:"charge"` // no parcel leaves unpaid
}

// Parcel is what the carrier was handed.
type Parcel struct {
	Tracking string `json:"tracking"`
}

// Label hands the parcel to the carrier: from now on the books are gone.
func (s *Shop[TTx]) Label(ctx context.Context, tx TTx, in labelIn) (Parcel, error) {
	dest, err := LookupCountry(in.ShipTo.Country)
	if err != nil {
		return Parcel{}, squidmesh.Fail(err)
	}
	if most := maxGrams(dest.Zone); in.Quote.Grams > most {
		return Parcel{}, squidmesh.Fail(squidmesh.WithCode(CodeCarrierRefused,
			fmt.Errorf("the parcel weighs %.1f kg, the carrier takes %.1f kg to %s",
				float64(in.Quote.Grams)/1000, float64(most)/1000, dest.Name)))
	}
	serial, err := s.count(ctx, tx, "parcel")
	if err != nil {
		return Parcel{}, err
	}
	p := Parcel{Tracking: tracking(serial)}
	const ship = `insert into shop_shipment (order_id, tracking, country, grams, shipped_at) values ($1, $2, $3, $4, $5)`
	if _, err := s.SQL.Exec(ctx, tx, ship, in.Order, p.Tracking, dest.Code, in.Quote.Grams, time.Now().UnixMilli()); err != nil {
		return Parcel{}, fmt.Errorf("note shipment: %w", err)
	}
	const sell = `update shop_reservation set state = 'sold' where order_id = $1 and state = 'reserved'`
	if _, err := s.SQL.Exec(ctx, tx, sell, in.Order); err != nil {
		return Parcel{}, fmt.Errorf("note sale: %w", err)
	}
	return p, nil
}

type receiptIn struct {
	Order   string  `json:"order"`
	ShipTo  Address `json:"ship_to"`
	Quote   Quote   `json:"quote"`
	Payment Payment `json:"payment"`
	Charge  Charge  `json:"charge"`
	Parcel  Parcel  `json:"parcel"`
}

// Receipt is the customer's proof of the sale.
type Receipt struct {
	Number int64 `json:"number"`
}

// Receipt writes the receipt. Their numbers have no gaps, as tax law in most of Europe wants it.
func (s *Shop[TTx]) Receipt(ctx context.Context, tx TTx, in receiptIn) (Receipt, error) {
	number, err := s.count(ctx, tx, "receipt")
	if err != nil {
		return Receipt{}, err
	}
	const q = `insert into shop_receipt (order_id, number, intent, total, vat, country, issued_at) values ($1, $2, $3, $4, $5, $6, $7)`
	_, err = s.SQL.Exec(ctx, tx, q, in.Order, number, in.Payment.Intent, int64(in.Charge.Amount), int64(in.Quote.VAT),
		in.ShipTo.Country, time.Now().UnixMilli())
	if err != nil {
		return Receipt{}, fmt.Errorf("write receipt: %w", err)
	}
	return Receipt{Number: number}, nil
}

// Decline notes that a person said no, and puts the books back.
func (s *Shop[TTx]) Decline(ctx context.Context, tx TTx, in releaseIn) error {
	reason := "rejected"
	if failure, ok := squidmesh.Failure(ctx); ok {
		reason = strings.TrimSpace(failure.Message)
	}
	const q = `insert into shop_decline (order_id, reason, declined_at) values ($1, $2, $3)
		on conflict (order_id) do update set reason = excluded.reason, declined_at = excluded.declined_at`
	if _, err := s.SQL.Exec(ctx, tx, q, in.Order, reason, time.Now().UnixMilli()); err != nil {
		return fmt.Errorf("note decline: %w", err)
	}
	return s.Release(ctx, tx, in)
}
