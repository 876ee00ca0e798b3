package check

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What people write their names with is taken; what makes a reader see something else is not.
func TestText_TakesWhatIsWritten(t *testing.T) {
	t.Parallel()
	for _, fine := range []string{"", "ada", "می\u200cخواهم", "क्\u200dष", "\U0001F468\u200d\U0001F469", "אדה", "Łukasz é"} {
		require.NoError(t, Line("Actor", fine, 200), "%q", fine)
		require.NoError(t, Text("Comment", fine+"\n\t"+fine, 4<<10), "%q", fine)
	}
	for _, bad := range []string{"\x00", "\x1b", "\u0085", "\u202a", "\u202e", "\u2066", "\u2069", "\xff"} {
		require.Error(t, Line("Actor", "a"+bad, 200), "%q", bad)
		require.Error(t, Text("Comment", "a"+bad, 4<<10), "%q", bad)
	}
	require.Error(t, Line("Actor", "a\n", 200))
	require.Error(t, Line("Actor", "a\u200b", 200), "a space that cannot be seen")
	require.Error(t, Line("Actor", "a\u2028", 200))
}
