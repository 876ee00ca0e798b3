package oteladapter

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// A text that an exporter refuses takes the batch with it that it is in.
func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                             "",
		"card declined":                "card declined",
		"a\xffb":                       "a\uFFFDb",
		strings.Repeat("x", maxText):   strings.Repeat("x", maxText),
		strings.Repeat("x", 10<<20):    strings.Repeat("x", maxText-3) + "...",
		strings.Repeat("漢", maxText/2): strings.Repeat("漢", (maxText-3)/3) + "\uFFFD...",
	} {
		got := text(in)
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, len(got), maxText+2)
		require.Equal(t, want, got)
	}
}
