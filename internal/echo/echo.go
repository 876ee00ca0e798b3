// Package echo repeats input in errors. Whoever sent it wants to recognise it; whoever reads the log wants neither its control
// characters nor all of it.
package echo

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Max bounds how much of an input an error repeats, in bytes of what is shown.
const Max = 64

const more = "..."

// Quote quotes an input: what cannot be printed becomes an escape, and what is left out becomes dots.
func Quote(s string) string {
	var b strings.Builder
	fits := 0 // of what b holds, before the dots
	b.WriteByte('"')
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		quoted := strconv.Quote(s[:n])
		quoted = quoted[1 : len(quoted)-1]
		if b.Len()-1+len(quoted) > Max {
			return b.String()[:1+fits] + more + `"`
		}
		b.WriteString(quoted)
		if b.Len()-1 <= Max-len(more) {
			fits = b.Len() - 1
		}
		s = s[n:]
	}
	b.WriteByte('"')
	return b.String()
}
