package shop

import (
	"errors"
	"fmt"
)

// Quote is what an order costs.
type Quote struct {
	Goods   Cents `json:"goods"`   // net
	Postage Cents `json:"postage"` // net
	Rate    Rate  `json:"vat_rate"`
	VAT     Cents `json:"vat"`
	Total   Cents `json:"total"`
	Grams   int   `json:"grams"`
	Copies  int   `json:"copies"`
}

// Codes of what can be wrong with an order.
const (
	CodeInvalidISBN    = "invalid_isbn"
	CodeUnknownTitle   = "unknown_title"
	CodeInvalidLine    = "invalid_line"
	CodeUnknownCountry = "unknown_country"
)

// OrderError lists everything that is wrong with an order.
type OrderError struct {
	Code     string // of the first problem
	Problems []error
}

func (e *OrderError) Error() string   { return errors.Join(e.Problems...).Error() }
func (e *OrderError) Unwrap() []error { return e.Problems }

func (e *OrderError) add(code string, err error) {
	if e.Code == "" {
		e.Code = code
	}
	e.Problems = append(e.Problems, err)
}

// Price checks an order and works out what it costs. An error is an [*OrderError].
func Price(o Order) (Quote, error) {
	var q Quote
	problems := &OrderError{}
	for i, line := range o.Lines {
		book, code, err := lookup(line)
		if err != nil {
			problems.add(code, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		q.Goods += book.Price * Cents(line.Quantity)
		q.Grams += book.Grams * line.Quantity
		q.Copies += line.Quantity
	}
	if len(o.Lines) == 0 {
		problems.add(CodeInvalidLine, errors.New("the order has no lines"))
	}
	if _, err := LookupCountry(o.BillTo.Country); err != nil {
		problems.add(CodeUnknownCountry, fmt.Errorf("bill_to: %w", err))
	}
	dest, err := LookupCountry(o.ShipTo.Country)
	if err != nil {
		problems.add(CodeUnknownCountry, fmt.Errorf("ship_to: %w", err))
	}
	if len(problems.Problems) > 0 {
		return Quote{}, problems
	}
	q.Postage = postage(dest.Zone, q.Grams)
	q.Rate = dest.VAT
	q.VAT = q.Rate.Of(q.Goods + q.Postage)
	q.Total = q.Goods + q.Postage + q.VAT
	return q, nil
}

// maxQuantity keeps sums far from overflow; a shop's shelf ends much earlier.
const maxQuantity = 1000

func lookup(line Line) (book Book, code string, err error) {
	isbn, err := ParseISBN(line.ISBN)
	if err != nil {
		return Book{}, CodeInvalidISBN, err
	}
	book, ok := Catalogue()[isbn]
	if !ok {
		return Book{}, CodeUnknownTitle, fmt.Errorf("ISBN %s is not in the catalogue", isbn)
	}
	if line.Quantity < 1 || line.Quantity > maxQuantity {
		return Book{}, CodeInvalidLine, fmt.Errorf("quantity %d: must be from 1 to %d", line.Quantity, maxQuantity)
	}
	return book, "", nil
}
