package squidmesh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSkew_IsTheLeastThatIsCertain(t *testing.T) {
	t.Parallel()
	sent := time.Unix(1_000_000, 0)
	got := sent.Add(3 * time.Second) // a slow network is no skew
	require.Zero(t, skew(sent, sent, got))
	require.Zero(t, skew(sent, got, got))
	require.Equal(t, 5*time.Second, skew(sent, sent.Add(-5*time.Second), got))
	require.Equal(t, -5*time.Second, skew(sent, got.Add(5*time.Second), got))
}
