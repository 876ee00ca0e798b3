package e2e

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// Behind a proxy that lends connections by the transaction, nobody can listen and a statement may meet another session than the one that
// prepared it. Runs go on by polls.
func TestPollOnly(t *testing.T) {
	t.Parallel()
	pool := dbtest.Changed(t, dbtest.Postgres(t, dbtest.River), func(config *pgxpool.Config) {
		pgstore.TunePool(config, &pgstore.PoolOptions{Pooler: true})
	})
	p := programOn(t, pool, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{
		{Name: "line", Triggers: byHand, Steps: []squidmesh.Step{{Name: "one", Do: nothing(), Next: "two"}, {Name: "two", Do: nothing()}}},
	}}, func(c *river.Config) { c.PollOnly = true })
	awaitStatus(t, p, startNamed(t, p, "line"), squidmesh.RunCompleted)
}
