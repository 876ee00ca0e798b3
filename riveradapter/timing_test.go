package riveradapter

import (
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

func TestInsertHook_BoundsJobsThatAreAvailableTooEarly(t *testing.T) {
	t.Parallel()
	var n near
	insert := func(now time.Time, dueIn time.Duration) rivertype.JobState {
		dueAt := now.Add(dueIn)
		params := &rivertype.JobInsertParams{
			Args:        StepArgs{deliveryArgs{timing: timing{now: now, dueAt: dueAt, near: &n}}},
			ScheduledAt: &dueAt,
			State:       rivertype.JobStateScheduled,
		}
		require.NoError(t, new(insertHook).InsertBegin(t.Context(), params))
		return params.State
	}
	now := time.Unix(1_800_000_000, 0)
	for range maxNear {
		require.Equal(t, rivertype.JobStateAvailable, insert(now, time.Second))
	}
	require.Equal(t, rivertype.JobStateScheduled, insert(now, time.Second), "one too many")
	require.Equal(t, rivertype.JobStateAvailable, insert(now, 0), "what is due now does not count")
	require.Equal(t, rivertype.JobStateScheduled, insert(now.Add(time.Second), time.Second), "not due yet")
	require.Equal(t, rivertype.JobStateAvailable, insert(now.Add(2*time.Second), time.Second), "there is room when they are due")
}

func TestInsertHook_LeavesOthersAlone(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	ours := StepArgs{deliveryArgs{timing: timing{now: now, near: &near{}}}}

	pending := rivertype.JobInsertParams{Args: ours, State: rivertype.JobStatePending}
	require.NoError(t, new(insertHook).InsertBegin(t.Context(), &pending))
	require.Equal(t, rivertype.JobStatePending, pending.State, "a hook of the program's wants it so")

	timeless := rivertype.JobInsertParams{Args: StepArgs{}, State: rivertype.JobStateAvailable}
	want := timeless
	require.NoError(t, new(insertHook).InsertBegin(t.Context(), &timeless))
	require.Equal(t, want, timeless, "without the database's time River's own way stands")

	foreign := rivertype.JobInsertParams{Args: plainArgs{}, State: rivertype.JobStateScheduled, ScheduledAt: &now}
	want = foreign
	require.NoError(t, new(insertHook).InsertBegin(t.Context(), &foreign))
	require.Equal(t, want, foreign)
}

func TestQueue_IsFasterThanRiversDefaults(t *testing.T) {
	t.Parallel()
	q := Queue(7)
	require.Equal(t, 7, q.MaxWorkers)
	require.Less(t, q.FetchCooldown, river.FetchCooldownDefault)
	require.Less(t, q.FetchPollInterval, river.FetchPollIntervalDefault)
}

// What is written by hand keeps no job waiting for longer than what was enqueued.
func TestDueAt_IsNotLongAfterAnAttempt(t *testing.T) {
	t.Parallel()
	created := time.Unix(1_800_000_000, 0).UTC()
	tried := created.Add(time.Hour)
	for name, tc := range map[string]struct {
		metadata string
		want     time.Time
	}{
		"nothing":             {`{}`, created},
		"no metadata":         {``, created},
		"no time":             {`{"squidmesh_due_at": "soon"}`, created},
		"before the job":      {`{"squidmesh_due_at": "0001-01-01T00:00:00Z"}`, created},
		"for later":           {string(firstDue{tried.Add(-time.Second)}.metadata()), tried.Add(-time.Second)},
		"by another clock":    {string(firstDue{tried.Add(time.Minute)}.metadata()), tried.Add(time.Minute)},
		"after the attempt":   {string(firstDue{tried.Add(time.Minute + time.Microsecond)}.metadata()), created},
		"at the end of times": {`{"squidmesh_due_at": "9999-12-31T23:59:59Z"}`, created},
	} {
		row := &rivertype.JobRow{CreatedAt: created, AttemptedAt: &tried, Metadata: []byte(tc.metadata)}
		require.Equal(t, tc.want, dueAt(row), name)
	}
}
