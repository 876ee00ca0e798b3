package squidmesh

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What people write their names with is taken; what makes a reader see something else is not.
func TestCheckText_TakesWhatIsWritten(t *testing.T) {
	t.Parallel()
	for _, fine := range []string{"", "ada", "می\u200cخواهم", "क्\u200dष", "\U0001F468\u200d\U0001F469", "אדה", "Łukasz é"} {
		require.NoError(t, checkLine("Actor", fine, maxActor), "%q", fine)
		require.NoError(t, checkText("Comment", fine+"\n\t"+fine, maxComment), "%q", fine)
	}
	for _, bad := range []string{"\x00", "\x1b", "\u0085", "\u202a", "\u202e", "\u2066", "\u2069", "\xff"} {
		require.Error(t, checkLine("Actor", "a"+bad, maxActor), "%q", bad)
		require.Error(t, checkText("Comment", "a"+bad, maxComment), "%q", bad)
	}
	require.Error(t, checkLine("Actor", "a\n", maxActor))
	require.Error(t, checkLine("Actor", "a\u200b", maxActor), "a space that cannot be seen")
	require.Error(t, checkLine("Actor", "a\u2028", maxActor))
}
