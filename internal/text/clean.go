// Package text makes text of others fit for databases, logs and terminals.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text that any database, log and terminal takes: control characters and what is not UTF-8 become escapes such as \x00.
// It cuts the text at limit bytes.
func Clean(s string, limit int) string {
	s = s[:min(len(s), limit+1)] // what is escaped only gets longer
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		text := s[:n]
		if r == utf8.RuneError && n == 1 || Control(r) {
			text = escaped(text)
		}
		if b.Len()+len(text) > limit {
			return cut(b.String(), limit)
		}
		b.WriteString(text)
		s = s[n:]
	}
	return b.String()
}

// Control reports whether a character does more to a terminal than to end a line or indent it.
func Control(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, `\x%02x`, text[i])
	}
	return b.String()
}

// cut marks text as cut off, within the limit.
func cut(s string, limit int) string {
	end := min(len(s), limit-len("..."))
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// Joins reports whether a character is a (non-)joiner, which cannot be seen, and without which Persian, Hindi and some emoji are
// misspelt.
func Joins(r rune) bool { return r == '\u200c' || r == '\u200d' }

// Directs reports whether a character changes the direction of the text around it, which makes a reader see another text.
func Directs(r rune) bool { return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' }

// MaxLine bounds what is told of the words of a type that refuses a value.
const MaxLine = 256

// OneLine is what an error of a user's type says, as a part of a line.
func OneLine(err error) string {
	return strings.ReplaceAll(Clean(OfError(err), MaxLine), "\n", `\n`)
}

// Count is a number of things, in words that fit one as well: "1 run", "2 runs".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
