package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// listening is a queue that notes how it was called, and what of one step.
type listening struct {
	noQueue[*sql.Tx]
	calls *[]string
}

func (l listening) EnqueueStep(ctx context.Context, tx *sql.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	*l.calls = append(*l.calls, fmt.Sprintf("step %s #%d on %s at %d", job.Step, job.Attempt, job.Queue, job.Priority))
	return l.noQueue.EnqueueStep(ctx, tx, job)
}

func (l listening) EnqueueSteps(ctx context.Context, tx *sql.Tx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	*l.calls = append(*l.calls, fmt.Sprintf("%d steps", len(jobs)))
	return l.noQueue.EnqueueSteps(ctx, tx, jobs)
}

// taking is one that takes everything at once.
type taking struct{ listening }

func (t taking) EnqueueBatch(_ context.Context, _ *sql.Tx, batch driver.Batch) (driver.BatchMetadata, error) {
	*t.calls = append(*t.calls, fmt.Sprintf("batch of %d steps", len(batch.Steps)))
	return driver.BatchMetadata{Steps: make([]driver.JobMetadata, len(batch.Steps))}, nil
}

// One step goes through EnqueueStep, several through EnqueueSteps, and none through neither; all go through EnqueueBatch where there is
// one.
func TestEnqueue_GoesThroughTheRightMethod(t *testing.T) {
	t.Parallel()

	gate := squidmesh.Workflow{Name: "gate", Triggers: byHand, Steps: []squidmesh.Step{{Name: "gate", Do: squidmesh.Pause()}}}
	urgent := note()
	urgent.Steps[0].Queue, urgent.Steps[0].Priority = "urgent", 3
	calls := func(executor driver.Executor[*sql.Tx], calls *[]string) []string {
		rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
			Store: dbtest.SQLite(t, nil), Executor: executor, Workflows: []squidmesh.Workflow{urgent, fork(), gate},
		})
		require.NoError(t, err)
		for _, name := range []string{"note", "fork", "gate"} {
			_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: name})
			require.NoError(t, err)
		}
		return *calls
	}
	var heard []string
	require.Equal(t, []string{"step note #1 on urgent at 3", "2 steps"}, calls(listening{calls: &heard}, &heard))
	heard = nil
	require.Equal(t, []string{"batch of 1 steps", "batch of 2 steps"}, calls(taking{listening{calls: &heard}}, &heard))
}
