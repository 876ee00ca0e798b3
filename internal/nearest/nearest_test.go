package nearest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestName(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		name       string
		candidates []string
		want       string
	}{
		"a letter too few":   {"captur", []string{"decline", "capture"}, "capture"},
		"two swapped":        {"chrage", []string{"charge"}, "charge"},
		"the nearest":        {"charges", []string{"changed", "charge"}, "charge"},
		"the first of equal": {"abcd", []string{"abce", "abcf"}, "abce"},
		"another style":      {"OrderID", []string{"orders", "order_id"}, "order_id"},
		"nothing like it":    {"charge", []string{"refund"}, ""},
		"short names differ": {"a", []string{"b"}, ""},
		"itself is no help":  {"charge", []string{"charge"}, ""},
		"no candidates":      {"charge", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := Name(tc.name, tc.candidates)
			require.Equal(t, tc.want, got)
		})
	}
}
