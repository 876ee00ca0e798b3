package text

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain, with\n\tlines", 100, "plain, with\n\tlines"},
		{"a\x00b", 100, `a\x00b`},
		{"a\xffb", 100, `a\xffb`},
		{"\x1b[31mred", 100, `\x1b[31mred`},
		{"\u0085", 100, `\xc2\x85`},
		{"größer", 100, "größer"},
		{"1234567890", 10, "1234567890"},
		{"12345678901", 10, "1234567..."},
		{"123456789€", 10, "1234567..."},
		{"12345678😀", 10, "1234567..."},
		{"123456ß\x00", 10, "123456..."},
	} {
		require.Equal(t, c.want, Clean(c.in, c.limit))
	}
}

// Whatever comes in, what comes out is text that every database takes, and within its limit.
func TestClean_AnyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.Byte()).Draw(t, "in")
		limit := rapid.IntRange(3, 40).Draw(t, "limit")
		out := Clean(string(in), limit)
		require.LessOrEqual(t, len(out), limit)
		require.True(t, utf8.ValidString(out))
		require.NotContains(t, out, "\x00")
	})
}

func TestCount(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"0 runs", "1 run", "2 runs"}, []string{Count(0, "run"), Count(1, "run"), Count(2, "run")})
}
