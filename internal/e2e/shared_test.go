package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// shared is a queue of which a program that has another workflow fetches all deliveries.
type shared struct {
	*testing.T
	pool   *pgxpool.Pool
	wanted squidmesh.Workflow
	back   chan flow.Outcome // what the other program answered
}

func newShared(t *testing.T) *shared {
	return &shared{
		T: t, pool: dbtest.Postgres(t, dbtest.River), back: make(chan flow.Outcome, 1000),
		wanted: squidmesh.Workflow{
			Name: "wanted", Triggers: []squidmesh.Trigger{byHand[0], squidmesh.Cron("yearly", "@yearly", "", squidmesh.Contract{})},
			Steps: []squidmesh.Step{{Name: "work", Do: nothing()}},
		},
	}
}

func (s *shared) config(workflows ...squidmesh.Workflow) *squidmesh.Config[pgx.Tx] {
	return &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(s.pool, &pgstore.Options{Lease: time.Minute}), Workflows: workflows, Name: workflows[0].Name,
	}
}

// startOther starts the program that has another workflow.
func (s *shared) startOther() program[pgx.Tx] {
	config := s.config(note())
	config.Observer = deliveryObserver(func(o squidmesh.DeliveryObservation) {
		select {
		case s.back <- o.Outcome:
		default: // the test has seen enough
		}
	})
	return startProgram(s.T, config, riverpgxv5.New(s.pool))
}

// startIdle starts a program that has the workflow, and that is never the first to fetch.
func (s *shared) startIdle() program[pgx.Tx] {
	return startProgram(s.T, s.config(s.wanted), riverpgxv5.New(s.pool), func(c *river.Config) {
		c.Queues = map[string]river.QueueConfig{"idle": riveradapter.Queue(1)}
	})
}

// startRight starts a program that has the workflow, and that fetches too.
func (s *shared) startRight() program[pgx.Tx] {
	return startProgram(s.T, s.config(s.wanted), riverpgxv5.New(s.pool))
}

func (s *shared) exec(statement string) {
	s.Helper()
	_, err := s.pool.Exec(s.Context(), statement)
	require.NoError(s, err)
}

// sentBack is the other program's next answer, which is that the delivery comes again.
func (s *shared) sentBack(reason string) time.Duration {
	s.Helper()
	select {
	case outcome := <-s.back:
		require.Equal(s, flow.OutcomeAgain, outcome.Kind, outcome)
		require.Equal(s, reason, outcome.Reason)
		return outcome.After
	case <-time.After(time.Minute):
		s.Fatal("the other program gets no delivery")
		return 0
	}
}

// requireSoon expects that the delivery comes again soon, and does so each time from the first on. Until a process has the workflow it comes
// again later.
func (s *shared) requireSoon(reason string) {
	s.Helper()
	for began := time.Now(); s.sentBack(reason) > 500*time.Millisecond; {
		require.Less(s, time.Since(began), time.Minute)
	}
	for range 3 {
		require.LessOrEqual(s, s.sentBack(reason), 500*time.Millisecond)
	}
}

// awaitRun waits until the only run has completed.
func (s *shared) awaitRun(p program[pgx.Tx]) {
	s.Helper()
	var id squidmesh.RunID
	require.Eventually(s, func() bool {
		page, err := p.ListRuns(s.Context(), squidmesh.ListParams{Workflow: "wanted"})
		if err != nil || len(page.Runs) != 1 {
			return false
		}
		id = page.Runs[0].ID
		return true
	}, 2*time.Minute, 20*time.Millisecond)
	awaitStatus(s, p, id, squidmesh.RunCompleted)
}

type deliveryObserver func(o squidmesh.DeliveryObservation)

func (deliveryObserver) Observe(context.Context, squidmesh.Observation) {}

func (f deliveryObserver) ObserveDelivery(_ context.Context, o squidmesh.DeliveryObservation) { f(o) }

// However long a step has been due.
func TestShared_StepComesAgainSoonWhileALivingProcessHasItsFunction(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	id := startWithoutWorking(t, s.config(s.wanted), riverpgxv5.New(s.pool))
	s.exec("update squidmesh_step set due_at = due_at - interval '1 hour'")
	other := s.startOther()
	require.Equal(t, 30*time.Second, s.sentBack("function_unknown"), "nobody has it")

	s.startIdle()
	require.Eventually(t, func() bool { // River notes a little later that it is to come again
		tag, err := s.pool.Exec(t.Context(), "update river_job set state = 'available', scheduled_at = now() where state = 'scheduled'")
		return err == nil && tag.RowsAffected() == 1
	}, 2*time.Minute, 20*time.Millisecond)
	s.requireSoon("function_unknown")
	require.Eventually(t, func() bool { // while it is not being fetched
		ex, err := other.ExplainRun(t.Context(), id)
		return err == nil && ex.Code == flow.ReasonQueued && !ex.Until.IsZero() &&
			ex.Sentence == "Step work is due; its delivery was sent back, and comes again in queue squidmesh; wanted has the function wanted/work."
	}, time.Minute, 10*time.Millisecond)
	awaitStatus(t, s.startRight(), id, squidmesh.RunCompleted)
}

// A fire is not refused, however old it is.
func TestShared_FireWaitsForALivingProcessThatKnowsItsTrigger(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.startOther()
	_, err := s.startIdle().FireTrigger(t.Context(), "wanted", "yearly", squidmesh.TriggerParams{})
	require.NoError(t, err)
	s.requireSoon("definition_unknown")
	s.exec("update squidmesh_fire set fired_at = fired_at - interval '1 hour'")
	s.requireSoon("definition_unknown")
	s.awaitRun(s.startRight())
}

// Nor is what a scheduler of the program's own has enqueued, at once or for later.
func TestShared_CronJobOfTheProgramsOwnWaitsForALivingProcessThatKnowsItsTrigger(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"at once": 0, "for later": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShared(t)
			other := s.startOther()
			job := driver.CronJob{Schedule: driver.Schedule{Queue: "squidmesh", Priority: 1}, Workflow: "wanted", Trigger: "yearly", SignalID: "ours"}
			if ahead > 0 {
				job.DueAt = time.Now().Add(ahead)
			}
			require.NoError(t, pgstore.New(s.pool, nil).InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				_, err := riveradapter.New(other.client).EnqueueCron(ctx, tx, job)
				return err
			}))
			if ahead > 0 { // its time has come
				s.exec(`update river_job set created_at = created_at - interval '1 hour', state = 'available', scheduled_at = now(),
					metadata = jsonb_set(metadata, '{squidmesh_due_at}', to_jsonb((metadata ->> 'squidmesh_due_at')::timestamptz - interval '1 hour'))`)
			}
			require.Equal(t, 2*time.Second, s.sentBack("definition_unknown"), "nobody knows it")
			s.startIdle()
			s.exec("update river_job set created_at = created_at - interval '2 hours'")
			s.requireSoon("definition_unknown")
			s.awaitRun(s.startRight())
		})
	}
}
