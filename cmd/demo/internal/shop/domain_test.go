package shop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseISBN(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"9780134190440":     "",
		"978-0-13-419044-0": "",
		"978 3 95030782 5":  "",
		"9780134190441":     `ISBN "9780134190441": check digit is 1, must be 0`,
		"0134190440":        `ISBN "0134190440": has 10 digits, an ISBN-13 has 13`,
		"97801341904x0":     `ISBN "97801341904x0": 'x' is no digit`,
		"4006381333931":     `ISBN "4006381333931": must start with 978 or 979`, // a pen
		"":                  `ISBN "": has 0 digits, an ISBN-13 has 13`,
	} {
		_, err := ParseISBN(in)
		if want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, want)
		}
	}
}

// Any single wrong digit is found: that is what the check digit is for.
func TestParseISBN_FindsEverySingleWrongDigit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		book := rapid.SampledFrom(books()).Draw(t, "book")
		digits := []byte(book.ISBN)
		i := rapid.IntRange(0, 12).Draw(t, "place")
		digits[i] = '0' + (digits[i]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "shift")))%10
		_, err := ParseISBN(string(digits))
		require.Error(t, err)
	})
}

func books() []Book {
	var all []Book
	wanted := map[ISBN]int{}
	for isbn := range Catalogue() {
		wanted[isbn] = 1
	}
	for _, isbn := range sorted(wanted) {
		all = append(all, Catalogue()[isbn])
	}
	return all
}

func TestCatalogue_IsSound(t *testing.T) {
	t.Parallel()
	require.Len(t, Catalogue(), 32)
	for _, b := range books() {
		isbn, err := ParseISBN(string(b.ISBN))
		require.NoError(t, err)
		require.Equal(t, b.ISBN, isbn)
		require.NotEmpty(t, b.Title)
		require.NotEmpty(t, b.Authors)
		require.Positive(t, b.Price)
		require.Positive(t, b.Grams)
		require.Positive(t, b.Copies)
	}
}

func TestCheckCard(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"4242424242424242", "4242 4242 4242 4242", "5555555555554444", "378282246310005", "3056930009020004",
	} {
		require.NoError(t, CheckCard(good), good)
	}
	require.EqualError(t, CheckCard("4242424242424241"), "card number ending in 4241: check digit is wrong")
	require.EqualError(t, CheckCard("4242"), "card number has 4 digits, must have 12 to 19")
	require.EqualError(t, CheckCard("42424242424242x2"), "card number: 'x' is no digit")
}

func TestLookupCountry(t *testing.T) {
	t.Parallel()
	eu := 0
	for _, c := range countries {
		found, err := LookupCountry(c.Code)
		require.NoError(t, err)
		require.Equal(t, c, found)
		if c.Zone == ZoneExport {
			require.Zero(t, c.VAT, c.Name)
			continue
		}
		eu++
		// Article 97 of Directive 2006/112/EC: at least 15 %. No state is above Hungary.
		require.GreaterOrEqual(t, c.VAT, Rate(1500), c.Name)
		require.LessOrEqual(t, c.VAT, Rate(2700), c.Name)
	}
	require.Equal(t, 27, eu)

	_, err := LookupCountry("UK")
	require.EqualError(t, err, `unknown country "UK": did you mean "GB"?`)
	_, err = LookupCountry("de")
	require.ErrorContains(t, err, "two-letter ISO codes")
}

func TestRate_RoundsHalfUpToTheCent(t *testing.T) {
	t.Parallel()
	require.Equal(t, Cents(19), Rate(1900).Of(100))
	require.Equal(t, Cents(26), Rate(2550).Of(100)) // 25.5
	require.Equal(t, Cents(25), Rate(2550).Of(99))  // 25.245
	require.Equal(t, Cents(0), Rate(0).Of(12345))
	require.Equal(t, "25.5 %", Rate(2550).String())
	require.Equal(t, "612.40", Cents(612_40).String())
	require.Equal(t, "-0.05", Cents(-5).String())
}

func TestPrice(t *testing.T) {
	t.Parallel()
	q, err := Price(Order{
		Lines:  []Line{{"9780134190440", 1}, {"978-1449373320", 1}},
		BillTo: Address{"Berlin", "DE"}, ShipTo: Address{"Berlin", "DE"},
	})
	require.NoError(t, err)
	require.Equal(t, Quote{
		Goods: 32_99 + 45_99, Postage: 4_61, Rate: 1900, VAT: 15_88, Total: 99_47, Grams: 1690, Copies: 2,
	}, q)
}

func TestPrice_NamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := Price(Order{
		Lines:  []Line{{"9780134190441", 1}, {"9783161484100", 1}, {"9780134190440", 0}},
		BillTo: Address{"Berlin", "DE"}, ShipTo: Address{"London", "UK"},
	})
	require.EqualError(t, err, `line 1: ISBN "9780134190441": check digit is 1, must be 0
line 2: ISBN 9783161484100 is not in the catalogue
line 3: quantity 0: must be from 1 to 1000
ship_to: unknown country "UK": did you mean "GB"?`)
	var wrong *OrderError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, CodeInvalidISBN, wrong.Code)
}

func TestAssess_ReviewsBigAndOddOrders(t *testing.T) {
	t.Parallel()
	de, ch, us := Address{Country: "DE"}, Address{Country: "CH"}, Address{Country: "US"}
	few, many := []Line{{"9780134190440", 1}}, []Line{{"9780134190440", 9}}
	for _, c := range []struct {
		bill, ship Address
		lines      []Line
		total      Cents
		review     bool
	}{
		{de, de, few, 500_00, false},
		{de, de, few, 500_01, true},
		{de, us, few, 10_00, true},
		{ch, ch, many, 500_00, false},
	} {
		require.Equal(t, c.review, assess(c.bill, c.ship, c.lines, c.total).Points >= reviewPoints)
	}
}

func TestTracking_HasTheCheckDigitOfS10(t *testing.T) {
	t.Parallel()
	// The example of the Universal Postal Union's standard: RR 473124829 DE has the check digit 9 for 47312482.
	require.Equal(t, "CB473124829DE", tracking(47312482))
	require.Equal(t, "CB000000014DE", tracking(1))
}

func TestDayBefore_FollowsTheClockOfBerlin(t *testing.T) {
	t.Parallel()
	for day, want := range map[string]time.Duration{
		"2026-11-24": 24 * time.Hour,
		"2026-03-30": 23 * time.Hour, // the clocks went forward
		"2026-10-26": 25 * time.Hour, // and back
	} {
		from, to, err := dayBefore(day)
		require.NoError(t, err)
		require.Equal(t, want, to.Sub(from), day)
	}
	_, _, err := dayBefore("yesterday")
	require.EqualError(t, err, `day "yesterday" is no date such as 2006-01-02`)
}
