package wirecut_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
)

// A proxy that is closed lets go of what it silenced, though no client does, and with it of the locks that the server keeps for these.
func TestProxy_ClosedEndsWhatItSilenced(t *testing.T) {
	t.Parallel()
	direct := dbtest.Postgres(t, dbtest.Empty)
	for _, way := range []wirecut.Way{wirecut.Both, wirecut.Questions, wirecut.Answers, wirecut.Packets} {
		p, pool := dbtest.Proxied(t, direct)
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
		var session int
		require.NoError(t, conn.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&session))
		require.Equal(t, 1, p.Silence(wirecut.Silence{Way: way}))
		require.NoError(t, p.Close())
		require.Eventually(t, func() bool {
			var there bool
			err := direct.QueryRow(t.Context(), "select exists (select from pg_stat_activity where pid = $1)", session).Scan(&there)
			return err == nil && !there
		}, time.Minute, 10*time.Millisecond, "silenced by %v", way)
	}
}
