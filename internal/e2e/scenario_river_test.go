package e2e

import (
	"database/sql"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/scenariotest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

func TestScenarios_RiverOnPostgres(t *testing.T) {
	t.Parallel()

	runOnRiver(t, func(t testing.TB, config *squidmesh.Config[pgx.Tx]) *squidmesh.Runtime[pgx.Tx] {
		p, _ := postgresProgram(t, config)
		return p.Runtime
	})
}

// What differs from PostgreSQL here is the store, which runs all scripts elsewhere, and how River delivers: a few tell.
func TestScenarios_RiverOnSQLite(t *testing.T) {
	t.Parallel()

	runOnRiver(t, func(t testing.TB, config *squidmesh.Config[*sql.Tx]) *squidmesh.Runtime[*sql.Tx] {
		p, _ := sqliteProgram(t, config)
		return p.Runtime
	}, "approve", "block_failure_with_route", "cancel_running", "error_route", "join_of_two", "retry_then_success", "saga", "sequence", "wait")
}

// runOnRiver runs the scripts end to end: River delivers, time goes by, and every run must end where the core says.
func runOnRiver[TTx any](t *testing.T, open func(testing.TB, *squidmesh.Config[TTx]) *squidmesh.Runtime[TTx], names ...string) {
	t.Helper()
	scenariotest.Run(t, scenarios, scenariotest.Options{
		Driver: "river", Names: names,
		New: func(t testing.TB, plays *scenariotest.Plays, config scenariotest.DriverConfig) scenariotest.Driver {
			driver, err := scenariotest.NewLiveDriver(t, plays, config, scenariotest.LiveProgram[TTx]{
				Model: workflows[any], Workflows: workflows[TTx], Open: open,
			})
			require.NoError(t, err)
			return driver
		},
	})
}
