package payments

import "strings"

// outcome is what becomes of payments with a test card.
type outcome struct {
	code, decline string // answered to the authorization with 402
	message       string
	atCapture     bool   // the authorization succeeds, the capture is declined
	refund        string // status that a refund has at first; empty is succeeded
	settled       string // and in the end
}

// testCards are the numbers that the payment industry publishes for testing (https://docs.stripe.com/testing). Any other number
// is accepted, as in other sandboxes.
var testCards = map[string]outcome{
	"4000000000000002": {code: "card_declined", decline: "generic_decline", message: "Your card was declined."},
	"4000000000009995": {code: "card_declined", decline: "insufficient_funds", message: "Your card has insufficient funds."},
	"4000000000009987": {code: "card_declined", decline: "lost_card", message: "Your card was declined."},
	"4000000000009979": {code: "card_declined", decline: "stolen_card", message: "Your card was declined."},
	"4100000000000019": {code: "card_declined", decline: "fraudulent", message: "Your card was declined."},
	"4000000000000069": {code: "expired_card", decline: "expired_card", message: "Your card has expired."},
	"4000000000000127": {code: "incorrect_cvc", decline: "incorrect_cvc", message: "Your card's security code is incorrect."},
	"4000000000000119": {code: "processing_error", decline: "processing_error", message: "An error occurred while processing your card."},
	// Can be saved, but not charged.
	"4000000000000341": {code: "card_declined", decline: "generic_decline", message: "Your card was declined.", atCapture: true},
	// Refunds settle later, well or badly.
	"4000000000007726": {refund: "pending", settled: "succeeded"},
	"4000000000005126": {refund: "succeeded", settled: "failed"},
}

// brand names the network that a card number belongs to.
func brand(number string) string {
	switch {
	case strings.HasPrefix(number, "4"):
		return "visa"
	case strings.HasPrefix(number, "34"), strings.HasPrefix(number, "37"):
		return "amex"
	case strings.HasPrefix(number, "5"), strings.HasPrefix(number, "2"):
		return "mastercard"
	case strings.HasPrefix(number, "6011"), strings.HasPrefix(number, "65"):
		return "discover"
	case strings.HasPrefix(number, "30"), strings.HasPrefix(number, "36"), strings.HasPrefix(number, "38"):
		return "diners"
	case strings.HasPrefix(number, "35"):
		return "jcb"
	case strings.HasPrefix(number, "62"):
		return "unionpay"
	default:
		return "unknown"
	}
}
