package shop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// RefundRequest is the payload of a refund.
type RefundRequest struct {
	Order  string `json:"order"`
	Reason string `json:"reason"`
}

// Refund pays a customer back after a person has agreed, and sees to it that the money arrives.
func Refund[TTx any](s *Shop[TTx], pace Pace) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:        "refund",
		Description: "A customer gets the money back, if a person agrees.",
		Triggers:    []squidmesh.Trigger{squidmesh.Manual("refund", squidmesh.Payload[RefundRequest]())},
		Steps: []squidmesh.Step{
			{
				Name: "load_order", Do: squidmesh.FuncTx(s.LoadSale), Output: "sale", Retry: pace.stubborn(), Timeout: txTimeout,
				Next: "approve_refund",
			},
			{Name: "approve_refund", Do: squidmesh.Approval(), Output: "approval", Next: "refund_payment", OnError: "refuse"},
			{
				Name: "refund_payment", Do: squidmesh.Func(s.RefundPayment), Output: "refund", Retry: pace.stubborn(),
				NotCompensatable: true, Next: "settle",
			},
			{Name: "settle", Do: squidmesh.Wait(pace.Settle), Next: "confirm_settled"},
			{Name: "confirm_settled", Do: squidmesh.Effect(s.ConfirmSettled), Retry: pace.patient(), Next: "book"},
			{Name: "book", Do: squidmesh.EffectTx(s.BookRefund), Retry: pace.stubborn(), Timeout: txTimeout},
			{Name: "refuse", Do: squidmesh.EffectTx(s.RefuseRefund), Retry: pace.stubborn(), Timeout: txTimeout},
		},
	}
}

// Codes of refunds that come to nothing.
const (
	CodeNotSold      = "not_sold"
	CodeRefundFailed = "refund_failed"
)

type loadSaleIn struct {
	Order string `json:"order"`
}

// Sale is what a refund needs to know of an order.
type Sale struct {
	Intent string `json:"intent"`
	Total  Cents  `json:"total"`
}

// LoadSale looks up what was paid.
func (s *Shop[TTx]) LoadSale(ctx context.Context, tx TTx, in loadSaleIn) (Sale, error) {
	var sale Sale
	err := s.SQL.Query(ctx, tx, `select intent, total from shop_receipt where order_id = $1`, []any{in.Order}, func(scan Scan) error {
		return scan(&sale.Intent, &sale.Total)
	})
	if err != nil {
		return Sale{}, fmt.Errorf("load receipt: %w", err)
	}
	if sale.Intent == "" {
		return Sale{}, squidmesh.Fail(squidmesh.WithCode(CodeNotSold, fmt.Errorf("there is no receipt for %s", in.Order)))
	}
	return sale, nil
}

type refundPaymentIn struct {
	Sale Sale `json:"sale"`
}

// Refunded is money on its way back.
type Refunded struct {
	ID     string `json:"id"`
	Amount Cents  `json:"amount"`
}

// RefundPayment sends the money back.
func (s *Shop[TTx]) RefundPayment(ctx context.Context, in refundPaymentIn) (Refunded, error) {
	r, err := s.Payments.Refund(ctx, squidmesh.IdempotencyKey(ctx), in.Sale.Intent, int64(in.Sale.Total))
	if err != nil {
		return Refunded{}, verb(err)
	}
	return Refunded{ID: r.ID, Amount: Cents(r.Amount)}, nil
}

type confirmIn struct {
	Refund Refunded `json:"refund"`
}

// ConfirmSettled asks whether the money has arrived.
func (s *Shop[TTx]) ConfirmSettled(ctx context.Context, in confirmIn) error {
	r, err := s.Payments.GetRefund(ctx, in.Refund.ID)
	if err != nil {
		return verb(err)
	}
	switch r.Status {
	case "succeeded":
		return nil
	case "failed":
		return squidmesh.Fail(squidmesh.WithCode(CodeRefundFailed,
			fmt.Errorf("refund %s came back: the customer's bank does not take it; pay by other means", r.ID)))
	default:
		return fmt.Errorf("refund %s is %s", r.ID, r.Status)
	}
}

type bookRefundIn struct {
	Order  string   `json:"order"`
	Reason string   `json:"reason"`
	Refund Refunded `json:"refund"`
}

// BookRefund notes a refund that has arrived.
func (s *Shop[TTx]) BookRefund(ctx context.Context, tx TTx, in bookRefundIn) error {
	return s.noteRefund(ctx, tx, in.Order, in.Refund.ID, in.Refund.Amount, "settled", in.Reason)
}

// RefuseRefund notes that a person said no.
func (s *Shop[TTx]) RefuseRefund(ctx context.Context, tx TTx, in loadSaleIn) error {
	failure, ok := squidmesh.Failure(ctx)
	if !ok {
		return squidmesh.Fail(errors.New("nothing was rejected"))
	}
	return s.noteRefund(ctx, tx, in.Order, "", 0, "refused", strings.TrimSpace(failure.Message))
}

func (s *Shop[TTx]) noteRefund(ctx context.Context, tx TTx, order, id string, amount Cents, status, reason string) error {
	const q = `insert into shop_refund (order_id, refund, amount, status, reason, recorded_at) values ($1, $2, $3, $4, $5, $6)
		on conflict (order_id) do update set refund = excluded.refund, amount = excluded.amount, status = excluded.status,
			reason = excluded.reason, recorded_at = excluded.recorded_at`
	if _, err := s.SQL.Exec(ctx, tx, q, order, id, int64(amount), status, reason, time.Now().UnixMilli()); err != nil {
		return fmt.Errorf("note refund: %w", err)
	}
	return nil
}
