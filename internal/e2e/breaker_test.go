package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// breaker is middleware of the program's own that refuses the jobs of a workflow while it is open for it.
type breaker struct {
	river.MiddlewareDefaults
	mu   sync.Mutex
	open map[string]time.Time // by tag: until when
}

func (b *breaker) refuse(tag string, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[string]time.Time{}
	}
	b.open[tag] = time.Now().Add(d)
}

// refuses says in which way the breaker refuses a job; empty for not at all.
func (b *breaker) refuses(job *rivertype.JobRow) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, tag := range job.Tags {
		if time.Now().Before(b.open[tag]) {
			return strings.TrimPrefix(tag, "workflow_")
		}
	}
	return ""
}

// Work implements rivertype.WorkerMiddleware.
func (b *breaker) Work(ctx context.Context, job *rivertype.JobRow, inner func(context.Context) error) error {
	switch b.refuses(job) {
	case "error", "saga", "cron":
		return errors.New("circuit open for card 4111-1111")
	case "panic":
		panic("circuit open")
	case "cancel", "limit":
		return river.JobCancel(errors.New("circuit open"))
	case "snooze":
		return river.JobSnooze(time.Hour)
	}
	return inner(ctx)
}

// hook is the breaker as a hook.
type hook struct {
	river.HookDefaults
	*breaker
}

// WorkBegin implements rivertype.HookWorkBegin.
func (h *hook) WorkBegin(_ context.Context, job *rivertype.JobRow) error {
	if h.refuses(job) == "hook" {
		return errors.New("circuit open")
	}
	return nil
}

// InsertBegin implements rivertype.HookInsertBegin.
func (h *hook) InsertBegin(_ context.Context, params *rivertype.JobInsertParams) error {
	if slices.Contains(params.Tags, "workflow_limit") {
		params.MaxAttempts = 1
	}
	return nil
}

// breakerWorkflows are one for each way of refusing.
func breakerWorkflows() []squidmesh.Workflow {
	var all []squidmesh.Workflow
	for _, way := range []string{"error", "panic", "cancel", "limit", "snooze", "hook"} {
		all = append(all, squidmesh.Workflow{Name: way, Triggers: byHand, Steps: []squidmesh.Step{{Name: "work", Do: nothing()}}})
	}
	return append(all, squidmesh.Workflow{
		Name: "saga", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "book", Do: nothing(), Undo: nothing(), Next: "rest"},
			{Name: "rest", Do: squidmesh.Approval(), OnError: squidmesh.Complete},
		},
	})
}

func breakerProgram(t *testing.T, heartbeat time.Duration, workflows ...squidmesh.Workflow) (program[pgx.Tx], *breaker) {
	b := &breaker{}
	pool := dbtest.Postgres(t, dbtest.River)
	p := startProgram(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Workflows: workflows, Heartbeat: heartbeat,
		Redact: func(_, text string) string { return strings.ReplaceAll(text, "4111-1111", "****") },
	}, riverpgxv5.New(pool), func(c *river.Config) {
		c.Middleware = []rivertype.Middleware{b}
		c.Hooks = []rivertype.Hook{&hook{breaker: b}}
	})
	return p, b
}

// However the program's own middleware refuses a delivery, it costs as long as that lasts, and a moment more. River alone would have
// waited for 16 seconds after the second refusal, for an hour, or for ever.
func TestBreaker_CostsLittleMoreThanItLasts(t *testing.T) {
	t.Parallel()

	const lasts, most = 4 * time.Second, 6 * time.Second
	p, b := breakerProgram(t, 0, breakerWorkflows()...)
	for way, says := range map[string]string{
		"error":  "your middleware returned: circuit open for card ****",
		"panic":  "your middleware returned: circuit open",
		"cancel": "your middleware returned: JobCancelError: circuit open",
		"limit":  "your middleware returned: JobCancelError: circuit open",
		"snooze": "your middleware snoozed it",
		"hook":   "your middleware returned: circuit open",
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			b.refuse("workflow_"+way, lasts)
			id := startNamed(t, p, way)
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				ex, err := p.ExplainRun(t.Context(), id)
				require.NoError(c, err)
				require.Equal(c, flow.ReasonDeliveryRefused, ex.Code, ex.Sentence)
				require.Contains(c, ex.Sentence, "Step work is due, and its delivery did not get here: "+says+". It is tried again within ")
			}, lasts, 20*time.Millisecond)
			awaitStatus(t, p, id, squidmesh.RunCompleted)
			took := time.Since(began)
			t.Logf("took %s", took)
			require.LessOrEqual(t, took, most)
			in, err := p.InspectRun(t.Context(), id, &squidmesh.InspectOptions{History: true})
			require.NoError(t, err)
			for _, e := range in.Audit {
				require.NotEqual(t, flow.AuditRedelivered, e.Kind, "it was the same job all the time")
			}
		})
	}
	t.Run("undo", func(t *testing.T) {
		t.Parallel()
		id := startNamed(t, p, "saga")
		awaitStatus(t, p, id, squidmesh.RunPaused)
		began := time.Now()
		b.refuse("workflow_saga", lasts)
		_, err := p.CancelRun(t.Context(), id, squidmesh.CancelParams{Decision: squidmesh.Decision{Actor: "ann"}, Compensate: true})
		require.NoError(t, err)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			ex, err := p.ExplainRun(t.Context(), id)
			require.NoError(c, err)
			require.Contains(c, ex.Sentence, "The undo of book is due, and its delivery did not get here: your middleware returned: circuit open")
		}, lasts, 20*time.Millisecond)
		awaitStatus(t, p, id, squidmesh.RunCancelled)
		require.LessOrEqual(t, time.Since(began), most)
	})
}

// A window of a cron trigger is looked after every five seconds.
func TestBreaker_CronWindowComesSoonAfterIt(t *testing.T) {
	t.Parallel()

	p, b := breakerProgram(t, 0, squidmesh.Workflow{
		Name: "cron", Triggers: []squidmesh.Trigger{squidmesh.Cron("yearly", "0 0 1 1 *", "", squidmesh.Contract{})}, Steps: []squidmesh.Step{{Name: "work", Do: nothing()}},
	})
	const lasts = 4 * time.Second
	b.refuse("workflow_cron", lasts)
	began := time.Now()
	_, err := p.FireTrigger(t.Context(), "cron", "yearly", squidmesh.TriggerParams{Actor: "ann"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		page, err := p.ListRuns(t.Context(), squidmesh.ListParams{})
		return err == nil && len(page.Runs) == 1 && page.Runs[0].Status == squidmesh.RunCompleted
	}, time.Minute, 20*time.Millisecond)
	require.LessOrEqual(t, time.Since(began), lasts+7*time.Second, fmt.Sprint("after ", time.Since(began)))
}
