package flow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// breaker is a queue whose middleware refuses everything until a time, and a sweeper that looks at it once a second. The queue backs off
// by the fourth power of the errors, as River does.
type breaker struct {
	due, open, now time.Time
	job            JobState
	errors, tries  int
	ends           bool // the queue gives up at the first refusal
}

// deliver hands the job out if its time has come, and reports whether it got through.
func (b *breaker) deliver() bool {
	if !b.job.Deliverable || b.job.At.After(b.now) {
		return false
	}
	b.tries++
	if !b.now.Before(b.open) {
		return true
	}
	b.errors++
	pause := time.Duration(b.errors*b.errors*b.errors*b.errors) * time.Second
	b.job = JobState{Deliverable: !b.ends, TriedAt: b.now, Retryable: true, Refusal: "your middleware returned: no"}
	if !b.ends {
		b.job.At = b.now.Add(pause)
	}
	return false
}

func (b *breaker) sweep() {
	seen := b.job
	if !seen.At.After(b.now) {
		seen.At = time.Time{}
	}
	if b.now.Sub(b.due) < OverdueAfter || seen.Fate(b.due, b.now) == FateComes {
		return
	}
	b.job.Deliverable, b.job.At = true, time.Time{}
}

// How long a refusal lasts is what a delivery costs, and little more, whatever the queue makes of refusals.
func TestJobState_RefusedComesAgainSoonAfterTheRefusalEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		due := time.Unix(1_000_000, 0)
		lasts := time.Duration(rapid.IntRange(0, int(time.Hour/time.Millisecond)).Draw(t, "refuses for ms")) * time.Millisecond
		phase := time.Duration(rapid.IntRange(0, 999).Draw(t, "tick at ms")) * time.Millisecond
		b := &breaker{due: due, now: due, open: due.Add(lasts), ends: rapid.Bool().Draw(t, "the queue gives up"), job: JobState{Deliverable: true}}
		for tick := due.Add(phase); !b.deliver(); {
			switch {
			case b.job.Deliverable && b.job.At.After(b.now) && b.job.At.Before(tick):
				b.now = b.job.At
			default:
				b.now, tick = tick, tick.Add(time.Second)
				b.sweep()
			}
		}
		late := b.now.Sub(b.open)
		require.LessOrEqual(t, late, max(2*time.Second, lasts/patienceShare+2*time.Second), "of a short one")
		require.LessOrEqual(t, late, 45*time.Second, "of any")
		require.LessOrEqual(t, b.tries, 100+int(lasts/mostPatience), "tries")
	})
}

func TestJobState_Fate(t *testing.T) {
	t.Parallel()
	due := time.Unix(1_000_000, 0)
	now := due.Add(time.Minute)
	for name, c := range map[string]struct {
		job  JobState
		want Fate
	}{
		"gone":                                {JobState{}, FateLost},
		"stands in line":                      {JobState{Deliverable: true}, FateComes},
		"stands in line again":                {JobState{Deliverable: true, TriedAt: now.Add(-time.Hour), Retryable: true}, FateComes},
		"not tried, and a little ahead":       {JobState{Deliverable: true, At: now.Add(35 * time.Second)}, FateComes},
		"not tried, and far ahead":            {JobState{Deliverable: true, At: now.Add(36 * time.Second)}, FateLost},
		"sent back as we asked":               {JobState{Deliverable: true, At: now.Add(30 * time.Second), TriedAt: now, BackAt: now.Add(30 * time.Second), Retryable: true}, FateComes},
		"sent back by a clock that is ahead":  {JobState{Deliverable: true, At: now.Add(20 * time.Second), TriedAt: now.Add(-2 * time.Second), BackAt: now.Add(-time.Second), Retryable: true}, FateRetry},
		"the same, and its time is to come":   {JobState{Deliverable: true, At: now.Add(time.Hour), TriedAt: now, BackAt: now.Add(time.Millisecond), Retryable: true}, FateComes},
		"the same, of a queue without Retry":  {JobState{Deliverable: true, At: now.Add(time.Hour), TriedAt: now.Add(-time.Second), BackAt: now.Add(-time.Second)}, FateLost},
		"another store keeps it for long":     {JobState{Deliverable: true, At: now.Add(20 * time.Second), TriedAt: now.Add(-21 * time.Second), BackAt: now.Add(20 * time.Second), BackFor: DeliveryForeign, Retryable: true}, FateRetry},
		"the same, of a queue with no Retry":  {JobState{Deliverable: true, At: now.Add(20 * time.Second), TriedAt: now.Add(-21 * time.Second), BackAt: now.Add(20 * time.Second), BackFor: DeliveryForeign}, FateComes},
		"had it a moment ago":                 {JobState{Deliverable: true, At: now.Add(20 * time.Second), TriedAt: now.Add(-5 * time.Second), BackAt: now.Add(20 * time.Second), BackFor: DeliveryForeign, Retryable: true}, FateComes},
		"had it before it was due":            {JobState{Deliverable: true, At: now.Add(20 * time.Second), TriedAt: due.Add(-time.Second), BackAt: now.Add(20 * time.Second), BackFor: DeliveryForeign, Retryable: true}, FateRetry},
		"refused, and back in a moment":       {JobState{Deliverable: true, At: now.Add(500 * time.Millisecond), TriedAt: now.Add(-7 * time.Second), Retryable: true}, FateComes},
		"refused, and back in an hour":        {JobState{Deliverable: true, At: now.Add(time.Hour), TriedAt: now.Add(-8 * time.Second), Retryable: true}, FateRetry},
		"refused a moment ago":                {JobState{Deliverable: true, At: now.Add(time.Hour), TriedAt: now.Add(-time.Second), Retryable: true}, FateComes},
		"refused for good, a moment ago":      {JobState{TriedAt: now.Add(-time.Second), Retryable: true}, FateComes},
		"refused for good":                    {JobState{TriedAt: now.Add(-8 * time.Second), Retryable: true}, FateRetry},
		"refused for good, and too often":     {JobState{TriedAt: now.Add(-8 * time.Second)}, FateLost},
		"refused before it was due":           {JobState{TriedAt: due.Add(-time.Hour), Retryable: true}, FateRetry},
		"its time has passed, and no leader":  {JobState{}, FateLost},
		"fetched by a process that then died": {JobState{State: "running"}, FateLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.job.Fate(due, now))
		})
	}
}
