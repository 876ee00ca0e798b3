package riveradapter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func TestWake_MakesRiverFetch(t *testing.T) {
	t.Parallel()
	both(t,
		func(t *testing.T, d *database[pgx.Tx]) { wakes(t, d, "") },
		func(t *testing.T) { wakes(t, sqlite(t), "") },
	)
	t.Run("PostgresWithSchema", func(t *testing.T) {
		t.Parallel()
		d := postgres(t)
		// The same schema by name, where the connections look elsewhere.
		wakes(t, openPostgres(pgxPool(t, "public")), d.schema)
	})
}

// wakes proves that Wake alone brings a delivery: nothing polls within the hour, and River's own notification, of which the
// inserting client sends one an hour, was rolled back.
func wakes[TTx any](t *testing.T, d *database[TTx], schema string) {
	delivered := make(chan driver.Delivery, 10)
	workers := river.NewWorkers()
	AddWorkers(workers, performer(func(_ context.Context, d driver.Delivery) (flow.Outcome, error) {
		delivered <- d
		return flow.Outcome{Kind: flow.OutcomeDone}, nil
	}))
	slow := Queue(4) // so that one job does not fill it, upon which River fetches again
	slow.FetchPollInterval = time.Hour
	start(t, d.client(t, river.Config{Schema: schema, Workers: workers, Queues: map[string]river.QueueConfig{queue: slow}}))

	client := d.client(t, river.Config{Schema: schema, FetchCooldown: time.Hour, FetchPollInterval: time.Hour})
	e := New(client)
	rollback := errors.New("roll back")
	require.ErrorIs(t, d.inTx(t.Context(), func(ctx context.Context, tx TTx) error {
		_, err := e.EnqueueStep(ctx, tx, stepJob(time.Now(), 0))
		require.NoError(t, err)
		return rollback
	}), rollback)

	// The first may be found by the fetch that every start makes; the second cannot.
	for range 2 {
		job := stepJob(time.Now().Add(-time.Second), 0)
		enqueue(t, d, e, client, job)
		require.NoError(t, e.Wake(t.Context(), nil, []string{"other", queue}))
		require.Equal(t, job.Delivery(), receive(t, delivered))
	}
}

func TestWake_WithoutPoolGoesThroughStore(t *testing.T) {
	t.Parallel()
	type notification struct{ channel, payload string }
	var got []notification
	notify := func(_ context.Context, channel, payload string) error {
		got = append(got, notification{channel, payload})
		return nil
	}
	for _, config := range []river.Config{{}, {Schema: "jobs"}} {
		client, err := river.NewClient(riverpgxv5.New(nil), &config)
		require.NoError(t, err)
		require.NoError(t, New(client).Wake(t.Context(), notify, []string{"a", "b"}))
	}
	client, err := river.NewClient(riversqlite.New(nil), &river.Config{})
	require.NoError(t, err)
	require.NoError(t, New(client).Wake(t.Context(), notify, []string{"a"}))
	require.Equal(t, []notification{
		{"public.river_insert", `{"queue": "a"}`},
		{"public.river_insert", `{"queue": "b"}`},
		{"jobs.river_insert", `{"queue": "a"}`},
		{"jobs.river_insert", `{"queue": "b"}`},
		{"river_insert", `{"queue": "a"}`},
	}, got)
}
