package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// terminal is where people, or programs, read what the demo prints. Much of that comes from files, from the database and from the
// payment provider, and could move the cursor, colour the screen or turn the direction of text around: such characters are
// written as JSON does, so that what --json prints still says the same.
type terminal struct{ out io.Writer }

// Write cleans whole texts: nothing here writes half a character.
func (t terminal) Write(p []byte) (int, error) {
	if _, err := io.WriteString(t.out, clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// clean shows what would do something instead of being shown. Lines and columns stay.
func clean(s string) string {
	if !strings.ContainsFunc(s, acts) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError {
			b.WriteRune(r) // bytes that are no text, of which some terminals take 0x9b for the start of a command
		} else if acts(r) {
			_, _ = fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// acts reports whether a terminal would do something at a character, or show none that a reader could tell.
func acts(r rune) bool {
	switch r {
	case '\n', '\t':
		return false
	case utf8.RuneError, '\u2028', '\u2029':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// oneLine is text of others within a line of ours: it begins neither a line nor a column.
func oneLine(s string) string {
	return clean(strings.NewReplacer("\r\n", "; ", "\n", "; ", "\t", " ").Replace(s))
}
