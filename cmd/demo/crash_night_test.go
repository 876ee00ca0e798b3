package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
)

// The demo is killed three times on its way through the whole night: what was under way was in every possible place.
func TestCrash_KilledAgainAndAgainChargesOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		c := crash{T: t, dir: t.TempDir(), databaseURL: databaseURL}
		c.killWhen("authorizing", func(b payments.Book) bool { return len(b.Intents) >= 3 })
		c.killWhen("capturing", func(b payments.Book) bool { return len(b.Captures) >= 5 })
		c.killWhen("in the slow capture", inSlowCapture)
		report := c.finish()
		require.Len(t, report, 29)
		require.Equal(t, "completed", report["order-1006 checkout"].Status)
		require.Greater(t, report["order-1006 checkout"].step("capture").Attempts, 1)
		c.chargedOnce()
	})
}
