package payments

// Method is a saved card. Its id stands for the card in every other call.
type Method struct {
	ID   string `json:"id"`
	Card struct {
		Brand string `json:"brand"`
		Last4 string `json:"last4"`
	} `json:"card"`
}

// Status says where an intent stands.
type Status string

// The statuses of an intent. A declined one stays at requires_payment_method.
const (
	RequiresPaymentMethod Status = "requires_payment_method"
	RequiresCapture       Status = "requires_capture"
	Succeeded             Status = "succeeded"
	Canceled              Status = "canceled"
)

// Intent is a payment, from authorization to its end. Amounts are in minor units.
type Intent struct {
	ID       string            `json:"id"`
	Status   Status            `json:"status"`
	Amount   int64             `json:"amount"`
	Received int64             `json:"amount_received"`
	Refunded int64             `json:"amount_refunded"`
	Currency string            `json:"currency"`
	Method   string            `json:"payment_method"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Refund is money on its way back.
type Refund struct {
	ID     string `json:"id"`
	Intent string `json:"payment_intent"`
	Amount int64  `json:"amount"`
	Status string `json:"status"` // pending, succeeded or failed
	// SettlesAt and Settled say when it takes which final status, in milliseconds since 1970. A shop does not see them.
	SettlesAt int64  `json:"settles_at,omitempty"`
	Settled   string `json:"settled,omitempty"`
}
