package e2e

import (
	"context"
	"database/sql"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Somebody takes a job out of the queue. The step that it was for is late then, and a tick sends it again: the same attempt, since
// nobody had begun it.
func TestJobThatIsGone_IsSentAgain(t *testing.T) {
	t.Parallel()

	nap := squidmesh.Workflow{Name: "nap", Triggers: byHand, Steps: []squidmesh.Step{{Name: "nap", Do: squidmesh.Wait(500 * time.Millisecond)}}}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{nap}})
		jobIsGone(t, p)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		p, _ := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{nap}})
		jobIsGone(t, p)
	})
}

func jobIsGone[TTx any](t *testing.T, p program[TTx]) {
	for _, take := range []func(context.Context, int64) error{
		func(ctx context.Context, id int64) error { _, err := p.client.JobDelete(ctx, id); return err },
		func(ctx context.Context, id int64) error { _, err := p.client.JobCancel(ctx, id); return err },
	} {
		run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "nap"})
		require.NoError(t, err)
		in, err := p.InspectRun(t.Context(), run.ID, nil)
		require.NoError(t, err)
		id, err := strconv.ParseInt(in.Steps[0].Do.JobID, 10, 64)
		require.NoError(t, err)
		require.NoError(t, take(t.Context(), id))

		awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
		in, err = p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
		require.NoError(t, err)
		var kinds []squidmesh.AuditKind
		for _, entry := range in.Audit {
			kinds = append(kinds, entry.Kind)
		}
		require.Equal(t, []squidmesh.AuditKind{squidmesh.AuditStarted, squidmesh.AuditRedelivered, squidmesh.AuditSucceeded}, kinds)
		require.Equal(t, 1, in.Steps[0].Do.Attempt)
		require.NotEqual(t, strconv.FormatInt(id, 10), in.Steps[0].Do.JobID)
	}
}
