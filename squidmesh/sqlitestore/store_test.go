package sqlitestore_test

import (
	"database/sql"
	"testing"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/drivertest"
)

func TestStore(t *testing.T) {
	t.Parallel()

	drivertest.ExerciseStore(t, func(t *testing.T) driver.Store[*sql.Tx] {
		return dbtest.SQLite(t, nil)
	})
}
