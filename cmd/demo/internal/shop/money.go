package shop

import "fmt"

// Cents is an amount of euros in minor units. The shop has no other currency.
type Cents int64

// String is the amount as receipts show it: 612.40.
func (c Cents) String() string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	return fmt.Sprintf("%s%d.%02d", sign, c/100, c%100)
}

// Rate is a tax rate in basis points: 1900 is 19 %.
type Rate int

// Of is the tax on a net amount, rounded half up to the cent.
func (r Rate) Of(net Cents) Cents { return (net*Cents(r) + 5_000) / 10_000 }

func (r Rate) String() string {
	if r%100 == 0 {
		return fmt.Sprintf("%d %%", r/100)
	}
	return fmt.Sprintf("%.1f %%", float64(r)/100)
}
