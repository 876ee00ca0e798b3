package nearest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHint(t *testing.T) {
	t.Parallel()
	require.Equal(t, `, did you mean "charge"?`, Hint("chrage", []string{"charge"}))
	require.Empty(t, Hint("x", nil))
}
