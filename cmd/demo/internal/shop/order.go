package shop

// Order is what a customer asks for: the payload of a checkout.
type Order struct {
	Order    string  `json:"order"` // the shop's number for it, such as order-1001
	Customer string  `json:"customer"`
	Lines    []Line  `json:"lines"`
	BillTo   Address `json:"bill_to"`
	ShipTo   Address `json:"ship_to"`

	// Card is the provider's token. The card number itself goes from the customer to the provider, and never into a run.
	Card Card `json:"card"`

	// Sandbox is passed on to the payment provider, whose sandbox misbehaves as it says. Empty behaves.
	Sandbox string `json:"sandbox,omitempty"`
}

// Line is a title and how many of it.
type Line struct {
	ISBN     string `json:"isbn"`
	Quantity int    `json:"quantity"`
}

// Address is as much of an address as prices and carriers depend on.
type Address struct {
	City    string `json:"city"`
	Country string `json:"country"`
}

// Card is a card as a shop may know it.
type Card struct {
	Token string `json:"token"`
	Brand string `json:"brand"`
	Last4 string `json:"last4"`
}
