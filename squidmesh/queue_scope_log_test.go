package squidmesh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Deliveries of other stores are told of at once, then once a minute, with their number.
func TestScope_TellsOfOthersOnceAMinute(t *testing.T) {
	t.Parallel()
	var s scope
	require.Equal(t, 1, s.others())
	require.Zero(t, s.others())
	require.Zero(t, s.others())
	s.logged = s.logged.Add(-foreignLoggedEvery)
	require.Equal(t, 3, s.others())
	require.Zero(t, s.others())
	s.logged = time.Now().Add(-2 * foreignLoggedEvery)
	require.Equal(t, 2, s.others())
}
