package echo

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                             `""`,
		"charge":                       `"charge"`,
		`say "no"`:                     `"say \"no\""`,
		"a\x00\xff\u202e":              `"a\x00\xff\u202e"`,
		strings.Repeat("x", 64):        `"` + strings.Repeat("x", 64) + `"`,
		strings.Repeat("x", 65):        `"` + strings.Repeat("x", 61) + `..."`,
		strings.Repeat("\x00", 17):     `"` + strings.Repeat(`\x00`, 15) + `..."`, // no half of an escape
		strings.Repeat("漢", 22):        `"` + strings.Repeat("漢", 20) + `..."`,
		strings.Repeat("\xff", 1<<20):  `"` + strings.Repeat(`\xff`, 15) + `..."`,
		strings.Repeat("x", 63) + "\"": `"` + strings.Repeat("x", 61) + `..."`,
	} {
		require.Equal(t, want, Quote(in))
	}
}

// Whatever comes in, what comes out is a short line that can be printed, and what was not cut is all there.
func TestQuote_AnyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "in"))
		out := Quote(in)
		require.LessOrEqual(t, len(out), Max+2)
		require.True(t, utf8.ValidString(out))
		back, err := strconv.Unquote(out)
		require.NoError(t, err)
		if back != in {
			require.True(t, strings.HasPrefix(in, strings.TrimSuffix(back, more)))
			require.Greater(t, len(strconv.Quote(in)), Max+2, "it was cut without need")
		}
	})
}
