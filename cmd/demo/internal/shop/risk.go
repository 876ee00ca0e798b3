package shop

import "fmt"

// Risk is how doubtful an order looks.
type Risk struct {
	Points  int      `json:"points"`
	Reasons []string `json:"reasons"`
}

// The shop's rules: a person looks at an order of reviewPoints or more, which are those of more than reviewTotal and those that
// are billed and shipped to different countries. Other oddities count too, but not enough by themselves.
const (
	reviewPoints       = 50
	reviewTotal  Cents = 500_00
)

// assess scores an order.
func assess(bill, ship Address, lines []Line, total Cents) Risk {
	r := Risk{Reasons: []string{}}
	add := func(points int, reason string, args ...any) {
		r.Points += points
		r.Reasons = append(r.Reasons, fmt.Sprintf(reason, args...))
	}
	if total > reviewTotal {
		add(50, "%s EUR", total)
	}
	if bill.Country != ship.Country {
		add(50, "billing %s, shipping %s", bill.Country, ship.Country)
	}
	for _, l := range lines {
		if l.Quantity >= 5 {
			add(20, "%d copies of %s", l.Quantity, l.ISBN)
			break
		}
	}
	if c, err := LookupCountry(ship.Country); err == nil && c.Zone == ZoneExport {
		add(10, "export to %s", c.Code)
	}
	return r
}
