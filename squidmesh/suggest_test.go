package squidmesh

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	require.Equal(t, `, did you mean "charge"?`, didYouMean("chrage", []string{"charge"}))
	require.Empty(t, didYouMean("x", nil))
}
