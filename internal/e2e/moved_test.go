package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// A deploy that gives the program another queue leaves deliveries in the old one, which nobody works any more. They are sent through the new
// one: of steps that wait, are retried or were just started, of undos, and of cron windows.
func TestQueue_ThatNobodyUsesAnyMoreIsLeft(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.River)
	workflows := []squidmesh.Workflow{
		{Name: "waits", Triggers: byHand, Steps: []squidmesh.Step{{Name: "nap", Do: squidmesh.Wait(2 * time.Second)}}},
		{Name: "retries", Triggers: byHand, Steps: []squidmesh.Step{{
			Name: "work", Retry: squidmesh.Exponential(2, 2*time.Second, 2*time.Second),
			Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
				if info, _ := squidmesh.Info(ctx); info.Attempt == 1 {
					return errors.New("not yet")
				}
				return nil
			}),
		}}},
		{Name: "note", Triggers: byHand, Steps: []squidmesh.Step{{Name: "note", Do: nothing()}}},
		{Name: "saga", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "book", Do: nothing(), Undo: nothing(), Next: "rest"},
			{Name: "rest", Do: squidmesh.Approval(), OnError: squidmesh.Complete},
		}},
		{Name: "nightly", Triggers: []squidmesh.Trigger{squidmesh.Cron("yearly", "0 0 1 1 *", "", squidmesh.Contract{})}, Steps: []squidmesh.Step{{Name: "note", Do: nothing()}}},
	}
	config := func(queue string) *squidmesh.Config[pgx.Tx] {
		return &squidmesh.Config[pgx.Tx]{Workflows: workflows, Queue: queue}
	}
	old := programOn(t, pool, config(""))
	ids := map[string]squidmesh.RunID{}
	for _, name := range []string{"waits", "retries", "saga"} {
		ids[name] = startNamed(t, old, name)
	}
	awaitStatus(t, old, ids["retries"], squidmesh.RunRetrying)
	awaitStatus(t, old, ids["saga"], squidmesh.RunPaused)
	require.NoError(t, old.client.StopAndCancel(t.Context()))
	ids["note"] = startNamed(t, old, "note")
	_, err := old.CancelRun(t.Context(), ids["saga"], squidmesh.CancelParams{Decision: squidmesh.Decision{Actor: "ann"}, Compensate: true})
	require.NoError(t, err)
	_, err = old.FireTrigger(t.Context(), "nightly", "yearly", squidmesh.TriggerParams{})
	require.NoError(t, err)
	old.stop(t)

	report, err := deskOn(t, pool, config("orders")).CheckDeploy(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 4, report.Counts[flow.ProspectContinues])
	require.Contains(t, report.String(), "deliveries stand in queue squidmesh, which this program does not use: work it until it is empty")

	began := time.Now()
	p := programOn(t, pool, config("orders"), func(c *river.Config) {
		c.Queues = map[string]river.QueueConfig{"orders": riveradapter.Queue(20)}
	})
	for _, name := range []string{"waits", "retries", "note"} {
		awaitStatus(t, p, ids[name], squidmesh.RunCompleted)
	}
	awaitStatus(t, p, ids["saga"], squidmesh.RunCancelled)
	require.Eventually(t, func() bool {
		page, err := p.ListRuns(t.Context(), squidmesh.ListParams{Workflow: "nightly"})
		return err == nil && len(page.Runs) == 1 && page.Runs[0].Status == squidmesh.RunCompleted
	}, time.Minute, 20*time.Millisecond)
	t.Logf("took %s", time.Since(began))
	require.Less(t, time.Since(began), 30*time.Second, "and not 25 minutes")
}
