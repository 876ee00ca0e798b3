package sqlitestore_test

import (
	"testing"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
)

func BenchmarkStore(b *testing.B) {
	dbtest.BenchmarkStore(b, dbtest.SQLite(b, nil))
}
