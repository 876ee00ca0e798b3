package e2e

import (
	"context"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// seconds are programs that share a database, and a trigger with a window each second. However slow the machine is, no window is
// given up.
type seconds struct {
	*testing.T
	pool *pgxpool.Pool
	desk *squidmesh.Runtime[pgx.Tx] // that fires nothing
	ran  chan time.Time             // windows whose runs executed their step
	from time.Time                  // the first window
}

// newSeconds registers the trigger, so that the first window is known before anybody fires it.
func newSeconds(t *testing.T) *seconds {
	t.Helper()
	s := &seconds{T: t, pool: dbtest.Postgres(t, dbtest.River), ran: make(chan time.Time, 1000)}
	var err error
	s.desk, err = squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(s.pool, nil), Executor: noQueue[pgx.Tx]{}, Workflows: []squidmesh.Workflow{eachSecond(s.ran)}, ManualTick: true,
	})
	require.NoError(t, err)
	require.NoError(t, s.desk.Start(t.Context()))
	require.NoError(t, s.desk.Stop(t.Context()))
	s.from = s.trigger().NextAt
	return s
}

func eachSecond(ran chan<- time.Time) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "second",
		Triggers: []squidmesh.Trigger{{Name: "each", Cron: "@every 1s", Missed: squidmesh.MissedCatchUp, CatchUp: 1000}},
		Steps: []squidmesh.Step{{Name: "note", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
			info, _ := squidmesh.Info(ctx)
			ran <- info.WindowAt
			return nil
		})}},
	}
}

// start starts a program with connections of its own.
func (s *seconds) start() program[pgx.Tx] {
	s.Helper()
	pool := schemaPool(s.T, dbtest.Schema(s.pool))
	config := &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, &pgstore.Options{Lease: crashLease}), Workflows: []squidmesh.Workflow{eachSecond(s.ran)},
	}
	return startProgram(s.T, config, riverpgxv5.New(pool))
}

// await waits until the run of a window from then on has executed, and returns that window.
func (s *seconds) await(from time.Time) time.Time {
	s.Helper()
	patience := time.After(2 * time.Minute)
	for {
		select {
		case at := <-s.ran:
			if !at.Before(from) {
				return at
			}
		case <-patience:
			s.Fatalf("no run of a window since %s", from)
		}
	}
}

// trigger is the trigger as it stands, with its fires from the oldest to the newest.
func (s *seconds) trigger() squidmesh.TriggerInspection {
	s.Helper()
	list, err := s.desk.ListTriggers(s.Context(), squidmesh.ListTriggersParams{Fires: 100})
	require.NoError(s, err)
	require.Len(s, list, 1)
	slices.Reverse(list[0].Fires)
	return list[0]
}

// requireEachOnce lets no more windows come, and sees that there was one each second, each with one run, which completed.
func (s *seconds) requireEachOnce() {
	s.Helper()
	require.NoError(s, s.desk.PauseTrigger(s.Context(), "second", "each", squidmesh.TriggerParams{}))
	var fires []flow.Fire
	require.Eventually(s, func() bool {
		fires = s.trigger().Fires
		return !slices.ContainsFunc(fires, func(f flow.Fire) bool {
			return f.State == flow.FirePending || f.RunStatus != "" && !f.RunStatus.Terminal()
		})
	}, 2*time.Minute, 20*time.Millisecond)
	want := map[time.Time]squidmesh.RunID{}
	for i, f := range fires {
		require.Equal(s, s.from.Add(time.Duration(i)*time.Second), f.WindowAt)
		require.Equal(s, flow.FireStarted, f.State, f.Reason)
		require.Equal(s, squidmesh.RunCompleted, f.RunStatus)
		want[f.WindowAt] = f.RunID
	}
	page, err := s.desk.ListRuns(s.Context(), squidmesh.ListParams{Limit: 100})
	require.NoError(s, err)
	got := map[time.Time]squidmesh.RunID{}
	for _, run := range page.Runs {
		got[run.WindowAt] = run.ID
	}
	require.Equal(s, want, got)
	require.Len(s, page.Runs, len(want), "no window has two")
	violations, err := invariants.CheckPostgres(s.Context(), s.pool, nil)
	require.NoError(s, err)
	require.Empty(s, violations)
}

// Three processes have the trigger, and the one that started first stops in between. Each window starts one run all the same.
func TestCron_SeveralProcessesFireEachWindowOnce(t *testing.T) {
	t.Parallel()

	s := newSeconds(t)
	stopped := s.start()
	s.start()
	s.start()
	at := s.await(s.from.Add(2 * time.Second))
	stopped.stop(t)
	s.await(at.Add(3 * time.Second))
	s.requireEachOnce()
}

// dying is a process that kills itself at one moment in the life of a window.
type dying struct {
	driver.Store[pgx.Tx]
	at string
}

// The moments.
const (
	beforeFire = "before the commit of the fire"
	afterFire  = "between fire and delivery"
	beforeRun  = "before the commit of the run"
	afterRun   = "after the commit of the run"
)

func (d dying) pass(moment string) {
	if d.at == moment {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

func (d dying) SaveCron(ctx context.Context, tx pgx.Tx, change driver.CronChange) ([]flow.Fire, error) {
	fires, err := d.Store.SaveCron(ctx, tx, change)
	if len(change.Fires) > 0 && err == nil {
		d.pass(map[flow.FireState]string{flow.FirePending: beforeFire, flow.FireStarted: beforeRun}[change.Fires[0].State])
	}
	return fires, err
}

func (dying) Observe(context.Context, squidmesh.Observation) {}

func (d dying) ObserveFire(_ context.Context, f flow.Fire) {
	d.pass(map[flow.FireState]string{flow.FirePending: afterFire, flow.FireStarted: afterRun}[f.State])
}

// A process dies with a window half fired. Another one starts the window's run, once, and goes on with the next windows.
func TestCron_ProcessDiesWithAWindow(t *testing.T) {
	for moment, left := range map[string]flow.FireState{
		beforeFire: "", afterFire: flow.FirePending, beforeRun: flow.FirePending, afterRun: flow.FireStarted,
	} {
		t.Run(moment, func(t *testing.T) {
			if os.Getenv(childEnv) == t.Name() {
				pool := childPool(t)
				d := dying{pgstore.New(pool, &pgstore.Options{Lease: crashLease}), moment}
				startProgram(t, &squidmesh.Config[pgx.Tx]{
					Store: d, Observer: d, Workflows: []squidmesh.Workflow{eachSecond(make(chan time.Time, 1000))},
				}, riverpgxv5.New(pool))
				select {} // until it kills itself
			}
			t.Parallel()

			s := newSeconds(t)
			dieAsChild(t, dbtest.Schema(s.pool))
			fires := s.trigger().Fires
			require.Equal(t, left != "", slices.ContainsFunc(fires, func(f flow.Fire) bool { return f.State == left }), fires)
			s.start()
			s.await(s.from.Add(2 * time.Second))
			s.requireEachOnce()
		})
	}
}
