package riveradapter

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertest"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// perform works one job with a performer that answers as told, and returns what River made of it.
func perform(t *testing.T, args StepArgs, outcome flow.Outcome, err error) *rivertype.JobRow {
	t.Helper()
	d := postgres(t)
	var performed *driver.Delivery
	w := &worker[StepArgs]{rt: performer(func(_ context.Context, got driver.Delivery) (flow.Outcome, error) {
		performed = &got // judged below: a goroutine of River's is no place for FailNow, after which it would wait for ever
		return outcome, err
	})}
	tester := rivertest.NewWorker(t, d.driver, &river.Config{Logger: logger(t)}, w)
	var row *rivertype.JobRow
	require.NoError(t, d.inTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		result, _ := tester.Work(ctx, t, tx, args, &river.InsertOpts{MaxAttempts: maxAttempts})
		row = result.Job
		return nil
	}))
	if performed != nil {
		require.Equal(t, args.Delivery, *performed)
	}
	return row
}

func someStep() StepArgs {
	return StepArgs{deliveryArgs{Delivery: driver.Delivery{
		Version: 1, Kind: driver.DeliverStep, RunID: uuid.NewString(), Step: "charge", Attempt: 1,
	}}}
}

func TestWorker_DoneCompletesJob(t *testing.T) {
	t.Parallel()
	row := perform(t, someStep(), flow.Outcome{Kind: flow.OutcomeDone, Reason: "stale"}, nil)
	require.Equal(t, rivertype.JobStateCompleted, row.State)
	require.Empty(t, row.Errors)
}

func TestWorker_AgainSnoozes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		after, wait time.Duration
		state       rivertype.JobState
	}{
		{"AtOnce", 0, minSnooze, rivertype.JobStateAvailable},
		{"Negative", -time.Hour, minSnooze, rivertype.JobStateAvailable},
		{"Soon", 3 * time.Second, 3 * time.Second, rivertype.JobStateAvailable},
		{"Later", time.Minute, time.Minute, rivertype.JobStateScheduled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			row := perform(t, someStep(), flow.Outcome{Kind: flow.OutcomeAgain, After: c.after, Reason: "early"}, nil)
			require.Equal(t, c.state, row.State)
			require.WithinDuration(t, row.AttemptedAt.Add(c.wait), row.ScheduledAt, 10*time.Second)
			require.Zero(t, row.Attempt, "a snooze is no attempt")
			require.Empty(t, row.Errors)
		})
	}
}

func TestWorker_DropCancelsWithReason(t *testing.T) {
	t.Parallel()
	row := perform(t, someStep(), flow.Outcome{Kind: flow.OutcomeDrop, Reason: "unknown_run", Detail: "\x00"}, nil)
	require.Equal(t, rivertype.JobStateCancelled, row.State)
	require.Contains(t, row.Errors[0].Error, "unknown_run: \uFFFD")
}

func TestWorker_ErrorComesAgainSoon(t *testing.T) {
	t.Parallel()
	row := perform(t, someStep(), flow.Outcome{}, errors.New("cannot write \x00 \xff: connection refused"))
	require.Equal(t, rivertype.JobStateAvailable, row.State, "not retryable, which would wait for River's leader")
	require.Equal(t, "cannot write \uFFFD \uFFFD: connection refused", row.Errors[0].Error)
	require.True(t, row.ScheduledAt.After(*row.AttemptedAt))
}

func TestWorker_UnknownOutcomeIsAnError(t *testing.T) {
	t.Parallel()
	row := perform(t, someStep(), flow.Outcome{}, nil)
	require.Equal(t, rivertype.JobStateAvailable, row.State)
	require.Contains(t, row.Errors[0].Error, "unknown outcome")
}

// A delivery that cannot be read, by this version or by any, is no reason to try 32767 times.
func TestWorker_UnreadableArgumentsAreDropped(t *testing.T) {
	t.Parallel()
	future := someStep()
	future.Version = 99
	row := perform(t, future, flow.Outcome{Kind: flow.OutcomeDone}, nil)
	require.Equal(t, rivertype.JobStateCancelled, row.State)
	require.Contains(t, row.Errors[0].Error, "bad_delivery: delivery.v: is version 99")

	var args StepArgs
	require.NoError(t, args.UnmarshalJSON([]byte(`{"v": 1, "attempt": "one"}`)))
	require.Error(t, args.err)
}

// Whoever pauses, counts or deletes jobs goes by their kind, so a job does not do what another kind does.
func TestWorker_DeliveryOfAnotherKindIsDropped(t *testing.T) {
	t.Parallel()
	undo := someStep()
	undo.Delivery.Kind = driver.DeliverCompensation
	row := perform(t, undo, flow.Outcome{Kind: flow.OutcomeDone}, nil)
	require.Equal(t, rivertype.JobStateCancelled, row.State)
	require.Contains(t, row.Errors[0].Error, "bad_delivery: delivery.kind: is compensation, jobs of kind squidmesh.step deliver a step")
}

func TestWorker_TimesAreFinite(t *testing.T) {
	t.Parallel()
	w := &worker[CronArgs]{}
	require.Equal(t, 24*time.Hour, w.Timeout(nil))
	for errs := range 100 {
		job := &river.Job[CronArgs]{JobRow: &rivertype.JobRow{ID: int64(errs * 31), Errors: make([]rivertype.AttemptError, errs)}}
		wait := time.Until(w.NextRetry(job))
		require.Greater(t, wait, 500*time.Millisecond)
		require.LessOrEqual(t, wait, 5*time.Second, "River's leader is not to be waited for")
	}
}

func TestClean_KeepsCauseAndFitsDatabase(t *testing.T) {
	t.Parallel()
	err := clean(errors.Join(errors.New(strings.Repeat("é\x00", 5000)), context.Canceled))
	require.ErrorIs(t, err, context.Canceled)
	require.LessOrEqual(t, len(err.Error()), maxError+len("…"))
	require.True(t, utf8.ValidString(err.Error()))
	require.NotContains(t, err.Error(), "\x00")
}

func TestAddWorkers_TwiceIsRefused(t *testing.T) {
	t.Parallel()
	workers := river.NewWorkers()
	AddWorkers(workers, performer(nil))
	require.ErrorContains(t, AddWorkersSafely(workers, performer(nil)), "already registered")
	require.Panics(t, func() { AddWorkers(workers, performer(nil)) })
}

// A delivery says by which queue it came, and how often it was sent back, whatever errors lie between.
func TestWorker_SaysWhereAndHowOftenADeliveryCame(t *testing.T) {
	t.Parallel()
	both(t, saysWhereAndHowOften, func(t *testing.T) { saysWhereAndHowOften(t, sqlite(t)) })
}

func saysWhereAndHowOften[TTx any](t *testing.T, d *database[TTx]) {
	came := make(chan driver.Delivery, 10)
	workers := river.NewWorkers()
	AddWorkers(workers, told(func(_ context.Context, got driver.Delivery) (flow.Outcome, error) {
		came <- got
		switch len(came) {
		case 1, 3:
			return flow.Outcome{Kind: flow.OutcomeAgain, After: time.Millisecond, Reason: flow.DeliveryForeign}, nil
		case 2:
			return flow.Outcome{}, errors.New("the database is away")
		case 4:
			return flow.Outcome{Kind: flow.OutcomeAgain, After: time.Hour, Reason: flow.DeliveryForeign}, nil
		default:
			return flow.Outcome{Kind: flow.OutcomeDone}, nil
		}
	}))
	client := d.client(t, river.Config{Workers: workers, Queues: map[string]river.QueueConfig{queue: Queue(1)}})
	e := New(client)
	row := enqueue(t, d, e, client, stepJob(time.Now(), 0))
	start(t, client)
	require.Eventually(t, func() bool { return len(came) == 4 }, time.Minute, 10*time.Millisecond)
	for _, n := range []int{0, 1, 2, 3} {
		got := <-came
		require.Equal(t, n, got.SentBack)
		require.Equal(t, queue, got.Queue)
		require.Equal(t, "shop", got.Scope)
	}
	require.Eventually(t, func() bool {
		now, err := d.now(t.Context())
		require.NoError(t, err)
		id := strconv.FormatInt(row.ID, 10)
		var states map[string]flow.JobState
		require.NoError(t, d.inTx(t.Context(), func(ctx context.Context, tx TTx) (err error) {
			states, err = e.ProbeJobs(ctx, tx, now, []string{id})
			return err
		}))
		return states[id].BackFor == flow.DeliveryForeign && states[id].BackAt.After(now.Add(30*time.Minute)) && states[id].Retryable
	}, time.Minute, 10*time.Millisecond)
}
