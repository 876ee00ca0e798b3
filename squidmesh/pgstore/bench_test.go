package pgstore_test

import (
	"testing"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// Run it under WITH_POSTGRES_DURABLE=1 scripts/with-postgres for commits that cost what they do in production.
func BenchmarkStore(b *testing.B) {
	dbtest.BenchmarkStore(b, pgstore.New(dbtest.Postgres(b), nil))
}
