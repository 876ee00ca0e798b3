package shop

import (
	"fmt"
	"strings"
)

// ISBN is a book's 13-digit number without hyphens.
type ISBN string

// ParseISBN reads an ISBN-13, with or without hyphens, and verifies its check digit.
func ParseISBN(s string) (ISBN, error) {
	digits := strings.NewReplacer("-", "", " ", "").Replace(s)
	if len(digits) != 13 {
		return "", fmt.Errorf("ISBN %q: has %d digits, an ISBN-13 has 13", s, len(digits))
	}
	sum := 0
	for i, c := range digits {
		if c < '0' || c > '9' {
			return "", fmt.Errorf("ISBN %q: %q is no digit", s, c)
		}
		weight := 1 + i%2*2 // 1, 3, 1, 3, ...
		if i < 12 {
			sum += int(c-'0') * weight
		}
	}
	want := (10 - sum%10) % 10
	if got := int(digits[12] - '0'); got != want {
		return "", fmt.Errorf("ISBN %q: check digit is %d, must be %d", s, got, want)
	}
	if !strings.HasPrefix(digits, "978") && !strings.HasPrefix(digits, "979") {
		return "", fmt.Errorf("ISBN %q: must start with 978 or 979", s)
	}
	return ISBN(digits), nil
}
