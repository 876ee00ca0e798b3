package shop

import (
	"context"
	"fmt"
	"time"
)

// Books is all that the shop's tables say.
type Books struct {
	Stock        map[ISBN]Shelf
	Reservations []Held
	Shipments    map[string]Shipment // by order, as below
	Receipts     map[string]Issued
	Declines     map[string]string // reason
	Refunds      map[string]Returned
	Digests      map[string]Sales // by day
}

// Shelf is how many copies of a title there were and are.
type Shelf struct{ Copies, OnHand int }

// Held is a title that was taken off the shelf for an order.
type Held struct {
	Order    string
	ISBN     ISBN
	Quantity int
	State    string // reserved, released or sold
}

// Shipment is a parcel that left.
type Shipment struct {
	Tracking, Country string
	Grams             int
}

// Issued is a receipt.
type Issued struct {
	Number     int64
	Intent     string
	Total, VAT Cents
	Country    string
	At         time.Time
}

// Returned is a refund as the shop notes it.
type Returned struct {
	Refund string
	Amount Cents
	Status string // settled or refused
	Reason string
}

// Read reads the shop's tables.
func (s *Shop[TTx]) Read(ctx context.Context, tx TTx) (Books, error) {
	b := Books{
		Stock: map[ISBN]Shelf{}, Shipments: map[string]Shipment{}, Receipts: map[string]Issued{},
		Declines: map[string]string{}, Refunds: map[string]Returned{}, Digests: map[string]Sales{},
	}
	for _, table := range []struct {
		query string
		row   func(scan Scan) error
	}{
		{`select isbn, copies, on_hand from shop_stock`, func(scan Scan) error {
			var isbn string
			var shelf Shelf
			err := scan(&isbn, &shelf.Copies, &shelf.OnHand)
			b.Stock[ISBN(isbn)] = shelf
			return err
		}},
		{`select order_id, isbn, quantity, state from shop_reservation order by order_id, isbn`, func(scan Scan) error {
			var h Held
			err := scan(&h.Order, &h.ISBN, &h.Quantity, &h.State)
			b.Reservations = append(b.Reservations, h)
			return err
		}},
		{`select order_id, tracking, country, grams from shop_shipment`, func(scan Scan) error {
			var order string
			var sh Shipment
			err := scan(&order, &sh.Tracking, &sh.Country, &sh.Grams)
			b.Shipments[order] = sh
			return err
		}},
		{`select order_id, number, intent, total, vat, country, issued_at from shop_receipt`, func(scan Scan) error {
			var order string
			var r Issued
			var at int64
			err := scan(&order, &r.Number, &r.Intent, &r.Total, &r.VAT, &r.Country, &at)
			r.At = time.UnixMilli(at)
			b.Receipts[order] = r
			return err
		}},
		{`select order_id, reason from shop_decline`, func(scan Scan) error {
			var order, reason string
			err := scan(&order, &reason)
			b.Declines[order] = reason
			return err
		}},
		{`select order_id, refund, amount, status, reason from shop_refund`, func(scan Scan) error {
			var order string
			var r Returned
			err := scan(&order, &r.Refund, &r.Amount, &r.Status, &r.Reason)
			b.Refunds[order] = r
			return err
		}},
		{`select day, orders, total, vat, body from shop_digest`, func(scan Scan) error {
			var d Sales
			err := scan(&d.Day, &d.Orders, &d.Total, &d.VAT, &d.Body)
			b.Digests[d.Day] = d
			return err
		}},
	} {
		if err := s.SQL.Query(ctx, tx, table.query, nil, table.row); err != nil {
			return Books{}, fmt.Errorf("read the shop's tables: %w", err)
		}
	}
	return b, nil
}

// Day is the date on the shop's clock at a time, as 2006-01-02.
func Day(at time.Time) string {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC // dayBefore has said what is wrong
	}
	return at.In(loc).Format(time.DateOnly)
}

// DayAfter is the date that follows a time on the shop's clock: on it, the digest of that time's day is written.
func DayAfter(at time.Time) string {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	return at.In(loc).AddDate(0, 0, 1).Format(time.DateOnly)
}
