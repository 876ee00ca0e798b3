package pgstore_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/drivertest"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

func TestStore(t *testing.T) {
	t.Parallel()

	drivertest.ExerciseStore(t, func(t *testing.T) driver.Store[pgx.Tx] {
		return pgstore.New(dbtest.Postgres(t), nil)
	})
}
