package squidmesh_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// A container image without time zones is the usual reason why a good one is not known, so the error says what to do about it.
func TestTimeZone_ThatIsUnknownSaysHowToBringZonesAlong(t *testing.T) {
	t.Parallel()
	for _, w := range []squidmesh.Workflow{
		digest(squidmesh.Cron("nightly", "@daily", "Mars/Base", squidmesh.Contract{})),
		digest(squidmesh.Trigger{Name: "by_hand", TimeZone: "Mars/Base"}),
	} {
		_, err := squidmesh.Compile(w)
		require.ErrorContains(t, err, `"Mars/Base" is not an IANA time zone`)
		require.ErrorContains(t, err, `import _ "time/tzdata"`)
	}
}
