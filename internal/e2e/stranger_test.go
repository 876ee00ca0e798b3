package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// strangers are programs with schemas of their own, which share one River schema and one queue.
type strangers struct {
	*testing.T
	river *pgxpool.Pool // leads to the schema of River's tables

	mu    sync.Mutex
	calls map[string]int // of each run's function, by program
	drops []flow.Outcome
	sent  int // back, as foreign
}

func newStrangers(t *testing.T) *strangers {
	return &strangers{T: t, river: dbtest.Postgres(t, dbtest.River), calls: map[string]int{}}
}

// config is that of a program whose workflow notes its calls under the program's name.
func (s *strangers) config(name string, pool *pgxpool.Pool) *squidmesh.Config[pgx.Tx] {
	work := func(ctx context.Context, _ struct{}) error {
		info, _ := squidmesh.Info(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls[name+" "+info.RunID.String()]++
		return nil
	}
	return &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Name: name, DisableContinuation: true,
		Workflows: []squidmesh.Workflow{{
			Name: "job", Triggers: []squidmesh.Trigger{byHand[0], squidmesh.Cron("yearly", "@yearly", "", squidmesh.Contract{})},
			Steps: []squidmesh.Step{{Name: "first", Do: nothing(), Next: "work"}, {Name: "work", Do: squidmesh.Effect(work)}},
		}},
		Observer: deliveryObserver(func(o squidmesh.DeliveryObservation) {
			s.mu.Lock()
			defer s.mu.Unlock()
			switch {
			case o.Outcome.Kind == flow.OutcomeDrop:
				s.drops = append(s.drops, o.Outcome)
			case o.Outcome.Reason == flow.DeliveryForeign:
				s.sent++
			}
		}),
	}
}

// start starts a program on a pool, whose River is the common one.
func (s *strangers) start(config *squidmesh.Config[pgx.Tx]) program[pgx.Tx] {
	s.Helper()
	pool := config.Store.(*pgstore.Store).Pool()
	return startProgram(s.T, config, riverpgxv5.New(pool), func(c *river.Config) { c.Schema = dbtest.Schema(s.river) })
}

// startRuns starts runs, and returns their ids.
func (s *strangers) startRuns(p program[pgx.Tx], n int) []squidmesh.RunID {
	s.Helper()
	ids := make([]squidmesh.RunID, n)
	for i := range ids {
		run, err := p.StartRun(s.Context(), squidmesh.StartParams{Workflow: "job"})
		require.NoError(s, err)
		ids[i] = run.ID
	}
	return ids
}

// fire has a window of the program's fire now, and returns the run that it starts.
func (s *strangers) fire(p program[pgx.Tx]) (id squidmesh.RunID) {
	s.Helper()
	_, err := p.FireTrigger(s.Context(), "job", "yearly", squidmesh.TriggerParams{})
	require.NoError(s, err)
	require.Eventually(s, func() bool {
		triggers, err := p.ListTriggers(s.Context(), squidmesh.ListTriggersParams{})
		require.NoError(s, err)
		id = triggers[0].Fires[0].RunID
		return id != squidmesh.RunID{}
	}, 2*time.Minute, 20*time.Millisecond)
	return id
}

// awaitAll waits until all runs of a program have completed, each with one call of its function.
func (s *strangers) awaitAll(p program[pgx.Tx], name string, ids []squidmesh.RunID) {
	s.Helper()
	for _, id := range ids {
		awaitStatus(s, p, id, squidmesh.RunCompleted)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(s, s.drops, "a delivery was dropped")
	for _, id := range ids {
		require.Equal(s, 1, s.calls[name+" "+id.String()])
	}
}

func TestStrangers_BothGetTheirDeliveriesFromOneQueue(t *testing.T) {
	t.Parallel()
	s := newStrangers(t)
	first, second := s.start(s.config("first", dbtest.Postgres(t))), s.start(s.config("second", dbtest.Postgres(t)))
	ones, twos := s.startRuns(first, 29), s.startRuns(second, 29)
	ones, twos = append(ones, s.fire(first)), append(twos, s.fire(second))
	s.awaitAll(first, "first", ones)
	s.awaitAll(second, "second", twos)
	require.Len(t, s.calls, 60, fmt.Sprint(s.calls))
	require.Positive(t, s.sent, "no delivery came to the wrong program, so this test has shown nothing")

	var spent int // attempts of River
	require.NoError(t, s.river.QueryRow(t.Context(), "select count(*) from river_job where cardinality(errors) > 0 or attempt > 1").Scan(&spent))
	require.Zero(t, spent)
}

func TestStrangers_DeliveriesWaitForTheirProgram(t *testing.T) {
	t.Parallel()
	s := newStrangers(t)
	pool := dbtest.Postgres(t)
	first := s.start(s.config("first", pool))
	first.stop(t)
	ids := s.startRuns(first, 10)
	var logged logbook
	config := s.config("second", dbtest.Postgres(t))
	config.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	second := s.start(config)
	require.Contains(t, logged.String(), "deliveries of other stores stand in this program's queues: give each store a queue of its own", "of Start")
	require.Contains(t, logged.String(), "theirs=["+dbtest.Schema(pool)+"]")
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.sent >= 30
	}, time.Minute, 10*time.Millisecond)
	s.awaitAll(second, "second", s.startRuns(second, 10))

	ex, err := first.ExplainRun(t.Context(), ids[0])
	require.NoError(t, err)
	require.Equal(t, flow.ReasonQueuedNoWorker, ex.Code, ex.Sentence)

	again := s.start(s.config("first", pool))
	s.awaitAll(again, "first", ids)
}
