package shop

import (
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

func TestWorkflows_Compile(t *testing.T) {
	t.Parallel()
	compile(t, &Shop[pgx.Tx]{SQL: Pgx{}})
	compile(t, &Shop[*sql.Tx]{SQL: Std{}})
}

func compile[TTx any](t *testing.T, s *Shop[TTx]) {
	t.Helper()
	pace := Pace{Retry: time.Second, Settle: time.Second}
	for _, w := range []squidmesh.Workflow{Checkout(s, pace), Refund(s, pace), Digest(s, pace)} {
		_, err := squidmesh.Compile(w)
		require.NoError(t, err)
	}
}
