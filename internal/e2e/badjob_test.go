package e2e

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// badJob is a row of River's table that somebody has written by hand.
type badJob struct {
	name, kind, args string
	reason           string // that the cancelled job shows
}

// badJobs are jobs about a run that must leave it alone.
func badJobs(run squidmesh.RunID) []badJob {
	id := run.String()
	step := `{"v":1,"kind":"step","run_id":"` + id + `","step":"review","attempt":1}`
	undo := `{"v":1,"kind":"compensation","run_id":"` + id + `"}`
	cron := `{"v":1,"kind":"cron","workflow":"parcel","trigger":"nightly"}`
	return []badJob{
		{"empty object", riveradapter.KindStep, `{}`, "delivery.v: "},
		{"empty object, undo", riveradapter.KindCompensation, `{}`, "delivery.v: "},
		{"empty object, cron", riveradapter.KindCron, `{}`, "delivery.v: "},
		{"another version", riveradapter.KindStep, `{"run_id":"x","v":99}`, "delivery.kind: "},
		{"a later version", riveradapter.KindStep, strings.Replace(step, `"v":1`, `"v":99`, 1), "delivery.v: is version 99"},
		{"cut off, as text", riveradapter.KindStep, `"{\"v\":1,\"kind\""`, "delivery: "},
		{"null", riveradapter.KindStep, `null`, "delivery: "},
		{"list", riveradapter.KindStep, `[` + step + `]`, "delivery: "},
		{"unknown kind of delivery", riveradapter.KindStep, strings.Replace(step, `"step",`, `"leap",`, 1), "delivery.kind: "},
		{"unknown field", riveradapter.KindStep, strings.Replace(step, `"v":1`, `"v":1,"force":true`, 1), "delivery.force: "},
		{"another run's form", riveradapter.KindStep, strings.Replace(step, id, "{"+strings.ToUpper(id)+"}", 1), "delivery.run_id: "},
		{"unknown run", riveradapter.KindStep, strings.Replace(step, id, uuid.NewString(), 1), "unknown_run: "},
		{"above 4 KiB", riveradapter.KindStep, strings.Replace(step, "review", strings.Repeat("x", 5000), 1), "delivery: "},
		{"undo in a step's job", riveradapter.KindStep, undo, "delivery.kind: is compensation, jobs of kind squidmesh.step deliver a step"},
		{"cron in a step's job", riveradapter.KindStep, cron, "delivery.kind: is cron, "},
		{"step in an undo's job", riveradapter.KindCompensation, step, "delivery.kind: is step, "},
		{"cron in an undo's job", riveradapter.KindCompensation, cron, "delivery.kind: is cron, "},
		{"step in a cron's job", riveradapter.KindCron, step, "delivery.kind: is step, "},
		{"undo in a cron's job", riveradapter.KindCron, undo, "delivery.kind: is compensation, "},
	}
}

const (
	insertJobPostgres = `insert into river_job (kind, args, max_attempts, queue, state) values ($1, $2, $3, 'squidmesh', 'available') returning id`
	insertJobSQLite   = `insert into river_job (kind, args, max_attempts, queue, state) values (?, jsonb(?), ?, 'squidmesh', 'available') returning id`
)

func TestBadJob_Postgres(t *testing.T) {
	t.Parallel()

	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{parcels()}})
	runBadJobs(t, p, func(kind, args string, attempts int) (id int64) {
		require.NoError(t, pool.QueryRow(t.Context(), insertJobPostgres, kind, args, attempts).Scan(&id))
		return id
	}, nil)
}

func TestBadJob_SQLite(t *testing.T) {
	t.Parallel()

	p, store := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{parcels()}})
	runBadJobs(t, p, func(kind, args string, attempts int) (id int64) {
		require.NoError(t, store.DB().QueryRowContext(t.Context(), insertJobSQLite, kind, args, attempts).Scan(&id))
		return id
	}, []badJob{
		// PostgreSQL's jsonb takes none of these.
		{"NUL", riveradapter.KindStep, `{"v":1,"kind":"st\u0000ep"}`, `delivery.kind: \u0000 `},
		{"a key twice", riveradapter.KindStep, `{"v":1,"v":1,"kind":"step"}`, "delivery.v: "},
		{"lone surrogate", riveradapter.KindStep, `{"v":1,"kind":"\ud800"}`, `delivery.kind: a \ud800 `},
	})
}

// A job that cannot be ours to execute ends cancelled, with the reason for whoever looks at it, and the run that it speaks of is as it was.
func runBadJobs[TTx any](t *testing.T, p program[TTx], insert func(kind, args string, attempts int) int64, more []badJob) {
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "parcel", Payload: parcel{Number: "1", Lines: 1}})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunPaused)
	before, err := p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)

	for _, bad := range append(badJobs(run.ID), more...) {
		t.Run(bad.name, func(t *testing.T) {
			job := awaitJob(t, p, insert(bad.kind, bad.args, 25))
			require.Equal(t, rivertype.JobStateCancelled, job.State)
			require.Len(t, job.Errors, 1)
			require.Contains(t, job.Errors[0].Error, bad.reason)
			require.LessOrEqual(t, len(job.Errors[0].Error), 300, "an error repeats little of what was given")
		})
	}
	t.Run("unknown kind of job", func(t *testing.T) {
		// River itself answers for those, and tries them as often as they say.
		job := awaitJob(t, p, insert("squidmesh.leap", `{}`, 1))
		require.Equal(t, rivertype.JobStateDiscarded, job.State)
		require.Contains(t, job.Errors[0].Error, "squidmesh.leap")
	})

	after, err := p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Equal(t, before, after)
	page, err := p.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1, "nothing was started")
}

// awaitJob waits until River is through with a job.
func awaitJob[TTx any](t *testing.T, p program[TTx], id int64) *rivertype.JobRow {
	t.Helper()
	ended, cancel := p.client.Subscribe(river.EventKindJobCancelled, river.EventKindJobCompleted, river.EventKindJobFailed, river.EventKindJobSnoozed)
	defer cancel()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	for {
		job, err := p.client.JobGet(ctx, id)
		require.NoError(t, err)
		if job.FinalizedAt != nil {
			return job
		}
		require.Empty(t, job.Errors, "it will be tried again")
		select {
		case <-ended:
		case <-time.After(20 * time.Millisecond): // it may have ended before anybody listened
		case <-ctx.Done():
			require.FailNow(t, "the job does not end", "%+v", job)
		}
	}
}
