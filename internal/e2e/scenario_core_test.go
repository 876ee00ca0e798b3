package e2e

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/scenariotest"
)

var update = flag.Bool("update", false, "rewrite the results in testdata/scenarios; read the difference before committing it")

// scenarios is where the scripts are.
var scenarios = filepath.Join("..", "..", "testdata", "scenarios")

func TestScenarios_Core(t *testing.T) {
	t.Parallel()

	scenariotest.Run(t, scenarios, scenariotest.Options{
		Driver: "core", Update: *update,
		New: func(t testing.TB, plays *scenariotest.Plays, config scenariotest.DriverConfig) scenariotest.Driver {
			driver, err := scenariotest.NewCoreDriver(plays, config, workflows[any](plays), variants[any](plays))
			require.NoError(t, err)
			return driver
		},
	})
}
