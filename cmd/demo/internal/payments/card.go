package payments

import "strings"

// outcome is what becomes of payments with a card. It is kept with the card, whose number is not.
type outcome struct {
	Code      string `json:"code,omitempty"` // answered to the authorization with 402
	Decline   string `json:"decline_code,omitempty"`
	Message   string `json:"message,omitempty"`
	AtCapture bool   `json:"at_capture,omitempty"` // the authorization succeeds, the capture is declined
	Refund    string `json:"refund,omitempty"`     // status that a refund has at first; empty is succeeded
	Settled   string `json:"settled,omitempty"`    // and in the end
}

// testCards are the numbers that the payment industry publishes for testing (https://docs.stripe.com/testing). Any other number
// is accepted, as in other sandboxes.
var testCards = map[string]outcome{
	"4000000000000002": {Code: "card_declined", Decline: "generic_decline", Message: "Your card was declined."},
	"4000000000009995": {Code: "card_declined", Decline: "insufficient_funds", Message: "Your card has insufficient funds."},
	"4000000000009987": {Code: "card_declined", Decline: "lost_card", Message: "Your card was declined."},
	"4000000000009979": {Code: "card_declined", Decline: "stolen_card", Message: "Your card was declined."},
	"4100000000000019": {Code: "card_declined", Decline: "fraudulent", Message: "Your card was declined."},
	"4000000000000069": {Code: "expired_card", Decline: "expired_card", Message: "Your card has expired."},
	"4000000000000127": {Code: "incorrect_cvc", Decline: "incorrect_cvc", Message: "Your card's security code is incorrect."},
	"4000000000000119": {Code: "processing_error", Decline: "processing_error", Message: "An error occurred while processing your card."},
	// Can be saved, but not charged.
	"4000000000000341": {Code: "card_declined", Decline: "generic_decline", Message: "Your card was declined.", AtCapture: true},
	// Refunds settle later, well or badly.
	"4000000000007726": {Refund: "pending", Settled: "succeeded"},
	"4000000000005126": {Refund: "succeeded", Settled: "failed"},
}

// lastFour are the digits of a card number that may be kept.
func lastFour(number string) string { return number[max(0, len(number)-4):] }

// digits is a card number without the spaces that people write.
func digits(number string) string { return strings.ReplaceAll(number, " ", "") }

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
