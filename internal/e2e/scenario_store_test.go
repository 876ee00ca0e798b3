package e2e

import (
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/scenariotest"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

func TestScenarios_Postgres(t *testing.T) {
	t.Parallel()

	runOnStore(t, "postgres", func(t testing.TB, clock func(time.Time) time.Time) driver.Store[pgx.Tx] {
		return pgstore.New(dbtest.Postgres(t), &pgstore.Options{Clock: clock})
	})
}

func TestScenarios_SQLite(t *testing.T) {
	t.Parallel()

	runOnStore(t, "sqlite", func(t testing.TB, clock func(time.Time) time.Time) driver.Store[*sql.Tx] {
		return dbtest.SQLite(t, &sqlitestore.Options{Clock: clock})
	})
}

// runOnStore runs all scripts on runtimes over a store: they print what they print on the core.
func runOnStore[TTx any](t *testing.T, dialect string, open func(testing.TB, func(time.Time) time.Time) driver.Store[TTx]) {
	t.Helper()
	scenariotest.Run(t, scenarios, scenariotest.Options{
		Driver: "store", Update: *update && dialect == "sqlite",
		New: func(t testing.TB, plays *scenariotest.Plays, config scenariotest.DriverConfig) scenariotest.Driver {
			driver, err := scenariotest.NewStoreDriver(plays, config, workflows[TTx](plays), variants[TTx](plays),
				func(clock func(time.Time) time.Time) driver.Store[TTx] { return open(t, clock) })
			require.NoError(t, err)
			return driver
		},
	})
}
