package shop

import (
	"fmt"
	"strings"
)

// CheckCard verifies the length and the Luhn check digit of a card number.
func CheckCard(number string) error {
	digits := strings.ReplaceAll(number, " ", "")
	if len(digits) < 12 || len(digits) > 19 {
		return fmt.Errorf("card number has %d digits, must have 12 to 19", len(digits))
	}
	sum := 0
	for i := range digits {
		c := digits[len(digits)-1-i]
		if c < '0' || c > '9' {
			return fmt.Errorf("card number: %q is no digit", c)
		}
		d := int(c - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	if sum%10 != 0 {
		return fmt.Errorf("card number ending in %s: check digit is wrong", digits[len(digits)-4:])
	}
	return nil
}
