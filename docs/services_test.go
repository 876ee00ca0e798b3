package docs

import (
	"context"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// inOwnSchema builds a service that has River's tables and squidmesh's for itself.
func inOwnSchema(ctx context.Context, pool *pgxpool.Pool, schema string,
	workflows ...squidmesh.Workflow,
) (*squidmesh.Runtime[pgx.Tx], *river.Client[pgx.Tx], error) {
	if err := migrations.UpAllPostgres(ctx, pool, &migrations.Options{Schema: schema}); err != nil { // the schema exists
		return nil, nil, err
	}
	executor := riveradapter.New[pgx.Tx](nil)
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, &pgstore.Options{Schema: schema}), Executor: executor, Workflows: workflows,
	})
	if err != nil {
		return nil, nil, err
	}
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: schema, Workers: workers, TestOnly: testing.Testing(),
		Queues: map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(50)},
	})
	executor.SetClient(client)
	return rt, client, err
}

// onOneSchema builds a service that shares River's tables and squidmesh's with others.
func onOneSchema(pool *pgxpool.Pool, service string, workflows ...squidmesh.Workflow) (*squidmesh.Runtime[pgx.Tx], *river.Client[pgx.Tx], error) {
	executor := riveradapter.New[pgx.Tx](nil)
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: executor, Workflows: workflows, // billing_invoice, billing_reminder, ...
		Queue: service,
	})
	if err != nil {
		return nil, nil, err
	}
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Workers: workers, TestOnly: testing.Testing(),
		Queues: map[string]river.QueueConfig{service: riveradapter.Queue(50)}, // and no other's
	})
	executor.SetClient(client)
	return rt, client, err
}

// Services with the rules of services.md execute their own runs and nobody else's.
func TestServices_StayApart(t *testing.T) {
	t.Parallel()
	ctx := context.WithoutCancel(t.Context())
	did := make(chan string, 1000)
	notes := func(name, service string) squidmesh.Workflow {
		return oneStep[Order](name, squidmesh.Step{Name: "notify", Do: squidmesh.Effect(func(_ context.Context, in Order) error {
			did <- service + " " + in.ID
			return nil
		})})
	}
	const runs = 10
	exercise := func(service, workflow string, rt *squidmesh.Runtime[pgx.Tx], client *river.Client[pgx.Tx], err error) {
		require.NoError(t, err)
		require.NoError(t, rt.Start(ctx))
		require.NoError(t, client.Start(ctx))
		t.Cleanup(func() { require.NoError(t, riveradapter.Stop(ctx, client, rt)) })
		for range runs {
			_, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: workflow, Payload: Order{ID: service}})
			require.NoError(t, err)
		}
	}

	for _, service := range []string{"billing", "shipping"} {
		pool := dbtest.Postgres(t, dbtest.Empty)
		rt, client, err := inOwnSchema(ctx, pool, dbtest.Schema(pool), notes("notify", service))
		exercise(service, "notify", rt, client, err)
	}
	pool := dbtest.Postgres(t, dbtest.River)
	for _, service := range []string{"orders", "returns"} {
		rt, client, err := onOneSchema(pool, service, notes(service+"_notify", service))
		exercise(service, service+"_notify", rt, client, err)
	}
	for range 4 * runs {
		seen := <-did
		require.Contains(t, []string{"billing billing", "shipping shipping", "orders orders", "returns returns"}, seen)
	}
}

// The statement of the page counts what still needs a workflow that is to go, and nothing once its runs have ended.
func TestServices_CountUnfinishedRuns(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(read(t, "services.md"), -1)
	require.Len(t, blocks, 1)
	ctx := context.WithoutCancel(t.Context())
	pool := dbtest.Postgres(t, dbtest.River)
	type left struct {
		Workflow, Shape string
		Count           int
	}
	count := func() []left {
		rows, err := pool.Query(ctx, blocks[0][1])
		require.NoError(t, err)
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[left])
		require.NoError(t, err)
		return found
	}
	asks := oneStep[Order]("billing_ask", squidmesh.Step{Name: "ask", Do: squidmesh.Pause()})
	rt, client, err := onOneSchema(pool, "billing", asks)
	require.NoError(t, err)
	require.NoError(t, rt.Start(ctx))
	require.NoError(t, client.Start(ctx))
	t.Cleanup(func() { require.NoError(t, riveradapter.Stop(ctx, client, rt)) })
	require.Empty(t, count())
	var ids []squidmesh.RunID
	for range 3 {
		run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "billing_ask", Payload: Order{ID: "1001"}})
		require.NoError(t, err)
		ids = append(ids, run.ID)
	}
	_, err = rt.CancelRun(ctx, ids[0], squidmesh.CancelParams{})
	require.NoError(t, err)
	require.Equal(t, []left{{"billing_ask", rt.Workflows()[0].Shape(), 2}}, count())
	for _, id := range ids[1:] {
		_, err := rt.UnblockRun(ctx, id, squidmesh.Decision{})
		require.NoError(t, err)
		_, err = rt.AwaitRun(ctx, id)
		require.NoError(t, err)
	}
	require.Empty(t, count())
}
