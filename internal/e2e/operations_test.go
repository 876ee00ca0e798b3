package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

func nothing() squidmesh.Action {
	return squidmesh.Effect(func(context.Context, struct{}) error { return nil })
}

// fork is a workflow whose start enqueues two steps at once.
func fork() squidmesh.Workflow {
	return squidmesh.Workflow{Name: "fork", Triggers: byHand, Steps: []squidmesh.Step{
		{Name: "both", Parallel: []squidmesh.Step{{Name: "left", Do: nothing()}, {Name: "right", Do: nothing()}}},
	}}
}

// refusing inserts all jobs and says then that it could not, as a queue does whose last insert fails.
type refusing[TTx any] struct{ driver.Executor[TTx] }

var errQueue = errors.New("queue is full")

func (r refusing[TTx]) EnqueueSteps(ctx context.Context, tx TTx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	if _, err := r.Executor.EnqueueSteps(ctx, tx, jobs); err != nil {
		return nil, err
	}
	return nil, errQueue
}

func TestStartRun_RefusedBatchLeavesNothing(t *testing.T) {
	t.Parallel()

	// check starts a run whose jobs are refused, with and without an idempotency key, and counts what is left.
	check := func(t *testing.T, start func(squidmesh.StartParams) error, count func(table string) (rows int, err error)) {
		for _, key := range []string{"", "once"} {
			err := start(squidmesh.StartParams{Workflow: "fork", Key: key})
			require.ErrorIs(t, err, squidmesh.ErrDispatch)
			require.ErrorIs(t, err, errQueue)
			for _, table := range tables {
				rows, err := count(table)
				require.NoError(t, err)
				require.Zero(t, rows, table)
			}
		}
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()

		p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{fork()}})
		rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
			Store: pgstore.New(pool, nil), Executor: refusing[pgx.Tx]{riveradapter.New(p.client)}, Workflows: []squidmesh.Workflow{fork()},
		})
		require.NoError(t, err)
		check(t, func(params squidmesh.StartParams) error {
			_, err := rt.StartRun(t.Context(), params)
			return err
		}, func(table string) (rows int, err error) {
			err = pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&rows)
			return rows, err
		})
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()

		p, store := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{fork()}})
		rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
			Store: store, Executor: refusing[*sql.Tx]{riveradapter.New(p.client)}, Workflows: []squidmesh.Workflow{fork()},
		})
		require.NoError(t, err)
		check(t, func(params squidmesh.StartParams) error {
			_, err := rt.StartRun(t.Context(), params)
			return err
		}, func(table string) (rows int, err error) {
			err = store.DB().QueryRowContext(t.Context(), "select count(*) from "+table).Scan(&rows)
			return rows, err
		})
	})
}

// What River said of a job is told to the observer and stored with the step.
func TestObserver_HearsOfJobs(t *testing.T) {
	t.Parallel()

	check := func(t *testing.T, observed *observations, start func() (squidmesh.StartResult, error),
		inspect func(squidmesh.RunID) (*squidmesh.Inspection, error),
	) {
		run, err := start()
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(observed.of(run.ID)) > 0 }, time.Minute, time.Millisecond)
		started := observed.of(run.ID)[0]
		require.Equal(t, flow.AuditStarted, started.Entry.Kind)
		require.Equal(t, 1, started.Entry.Seq)
		require.Len(t, started.Jobs, 1)
		job := started.Jobs[0]
		require.NotEmpty(t, job.JobID)
		require.Equal(t, "squidmesh", job.Queue)
		require.Equal(t, riveradapter.KindStep, job.Worker)
		require.WithinDuration(t, run.CreatedAt.Add(time.Hour), job.ScheduledAt, time.Second)

		in, err := inspect(run.ID)
		require.NoError(t, err)
		returned, err := json.Marshal(run.Run)
		require.NoError(t, err)
		stored, err := json.Marshal(in.Run)
		require.NoError(t, err)
		require.JSONEq(t, string(stored), string(returned), "a start returns the run as it is stored")
		require.Equal(t, job.JobID, in.Steps[0].Do.JobID)
		require.Equal(t, job.Queue, in.Steps[0].Do.Queue)
		require.WithinDuration(t, job.ScheduledAt, in.Steps[0].Do.DueAt, time.Millisecond)
	}
	hour := squidmesh.Workflow{Name: "hour", Triggers: byHand, Steps: []squidmesh.Step{{Name: "hour", Do: squidmesh.Wait(time.Hour)}}}
	params := squidmesh.StartParams{Workflow: "hour"}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()

		observed := &observations{}
		p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{hour}, Observer: observed})
		check(t, observed, func() (squidmesh.StartResult, error) { return p.StartRun(t.Context(), params) },
			func(id squidmesh.RunID) (*squidmesh.Inspection, error) { return p.InspectRun(t.Context(), id, nil) })
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()

		observed := &observations{}
		p, _ := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{hour}, Observer: observed})
		check(t, observed, func() (squidmesh.StartResult, error) { return p.StartRun(t.Context(), params) },
			func(id squidmesh.RunID) (*squidmesh.Inspection, error) { return p.InspectRun(t.Context(), id, nil) })
	})
}

// What is rolled back has not happened, by whomever it is rolled back.
func TestObserver_HearsNothingOfWhatRollsBack(t *testing.T) {
	t.Parallel()

	observed := &observations{}
	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{fork()}, Observer: observed})
	params := squidmesh.StartParams{Workflow: "fork"}
	refused, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: refusing[pgx.Tx]{riveradapter.New(p.client)}, Workflows: []squidmesh.Workflow{fork()},
		Observer: observed,
	})
	require.NoError(t, err)
	_, err = refused.StartRun(t.Context(), params)
	require.ErrorIs(t, err, errQueue)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	gone, err := p.StartRunTx(t.Context(), tx, params)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))

	run, err := p.StartRun(t.Context(), params)
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
	in, err := p.InspectRun(t.Context(), run.ID, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(observed.of(run.ID)) == in.Run.Seq }, time.Minute, time.Millisecond)
	all := observed.snapshot()
	for _, one := range all {
		require.Equal(t, run.ID, one.Run.ID, "of the refused run nobody knows the id; of the one that is gone: %s", gone.ID)
	}
	require.True(t, slices.ContainsFunc(all, func(one squidmesh.Observation) bool {
		return one.Entry.Seq == in.Run.Seq && one.Run.Status == squidmesh.RunCompleted
	}))
}

// observations keeps what an observer hears.
type observations struct {
	mu  sync.Mutex
	all []squidmesh.Observation
}

func (o *observations) Observe(_ context.Context, one squidmesh.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, one)
}

func (o *observations) snapshot() []squidmesh.Observation {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

func (o *observations) of(id squidmesh.RunID) (all []squidmesh.Observation) {
	for _, one := range o.snapshot() {
		if one.Run.ID == id {
			all = append(all, one)
		}
	}
	return all
}

// lists is what TestListRuns needs of a program.
type lists interface {
	StartRun(ctx context.Context, params squidmesh.StartParams) (squidmesh.StartResult, error)
	CancelRun(ctx context.Context, id squidmesh.RunID, params squidmesh.CancelParams) (squidmesh.Run, error)
	ListRuns(ctx context.Context, params squidmesh.ListParams) (squidmesh.RunPage, error)
}

func TestListRuns(t *testing.T) {
	t.Parallel()

	gate := func(name string) squidmesh.Workflow {
		return squidmesh.Workflow{Name: name, Triggers: byHand, Steps: []squidmesh.Step{{Name: "gate", Do: squidmesh.Pause()}}}
	}
	workflows := []squidmesh.Workflow{gate("one"), gate("two")}
	check := func(t *testing.T, p lists) {
		var all []squidmesh.Run // oldest first
		for i := range 7 {
			run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: []string{"one", "two"}[i%2], Key: fmt.Sprint("key-", i)})
			require.NoError(t, err)
			all = append(all, run.Run)
		}
		_, err := p.CancelRun(t.Context(), all[4].ID, squidmesh.CancelParams{})
		require.NoError(t, err)

		// list goes through all pages of the size, and names the runs by their places in all.
		list := func(params squidmesh.ListParams) (found []int, pages int) {
			for {
				page, err := p.ListRuns(t.Context(), params)
				require.NoError(t, err)
				pages++
				for _, run := range page.Runs {
					require.Nil(t, run.Payload)
					for i := range all {
						if all[i].ID == run.ID {
							found = append(found, i)
						}
					}
				}
				if page.Next == "" {
					return found, pages
				}
				params.Cursor = page.Next
			}
		}
		newestFirst := []int{6, 5, 4, 3, 2, 1, 0}
		for limit, pages := range map[int]int{0: 1, 1: 7, 3: 3, 7: 1, 1000: 1} {
			found, n := list(squidmesh.ListParams{Limit: limit})
			require.Equal(t, newestFirst, found, "limit %d", limit)
			require.Equal(t, pages, n, "limit %d", limit)
		}
		for name, tt := range map[string]struct {
			params squidmesh.ListParams
			want   []int
		}{
			"workflow":      {squidmesh.ListParams{Workflow: "two"}, []int{5, 3, 1}},
			"status":        {squidmesh.ListParams{Statuses: []squidmesh.RunStatus{squidmesh.RunCancelled, squidmesh.RunFailed}}, []int{4}},
			"both":          {squidmesh.ListParams{Workflow: "two", Statuses: []squidmesh.RunStatus{squidmesh.RunCancelled}}, nil},
			"key":           {squidmesh.ListParams{Key: "key-3"}, []int{3}},
			"key elsewhere": {squidmesh.ListParams{Workflow: "one", Key: "key-3"}, nil},
			"unknown":       {squidmesh.ListParams{Workflow: "three"}, nil},
			"from":          {squidmesh.ListParams{CreatedFrom: all[5].CreatedAt}, []int{6, 5}},
			"before":        {squidmesh.ListParams{CreatedBefore: all[2].CreatedAt}, []int{1, 0}},
			"pages of some": {squidmesh.ListParams{Workflow: "one", Limit: 2}, []int{6, 4, 2, 0}},
		} {
			found, _ := list(tt.params)
			require.Equal(t, tt.want, found, name)
		}

		for name, tt := range map[string]struct {
			params      squidmesh.ListParams
			field, code string
		}{
			"negative limit": {squidmesh.ListParams{Limit: -1}, "Limit", "out_of_range"},
			"limit too high": {squidmesh.ListParams{Limit: 1001}, "Limit", "out_of_range"},
			"status":         {squidmesh.ListParams{Statuses: []squidmesh.RunStatus{"done"}}, "Statuses", "unknown_status"},
			"cursor":         {squidmesh.ListParams{Cursor: "what?"}, "Cursor", "invalid_cursor"},
			"cursor's text":  {squidmesh.ListParams{Cursor: "bm8gY3Vyc29y"}, "Cursor", "invalid_cursor"},
		} {
			_, err := p.ListRuns(t.Context(), tt.params)
			var bad *squidmesh.InputError
			require.ErrorAs(t, err, &bad, name)
			require.Equal(t, tt.field, bad.Field, name)
			require.Equal(t, tt.code, bad.Code, name)
		}
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()

		p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: workflows})
		check(t, p)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()

		p, _ := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: workflows})
		check(t, p)
	})
}

// A program whose connections look elsewhere by default keeps squidmesh's tables and River's in a schema that it names.
func TestProgram_InASchemaThatIsOnNoSearchPath(t *testing.T) {
	t.Parallel()

	schema := dbtest.Schema(dbtest.Postgres(t, dbtest.Empty))
	pool := dbtest.Changed(t, dbtest.Postgres(t, dbtest.Empty), func(config *pgxpool.Config) {
		delete(config.ConnConfig.RuntimeParams, "search_path")
	})
	var path string
	require.NoError(t, pool.QueryRow(t.Context(), "show search_path").Scan(&path))
	require.NotContains(t, path, schema)
	require.NoError(t, migrations.UpAllPostgres(t.Context(), pool, &migrations.Options{Schema: schema}))

	book := func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
		_, err := tx.Exec(ctx, "insert into "+schema+".booking values (1)")
		return err
	}
	_, err := pool.Exec(t.Context(), "create table "+schema+".booking (id integer)")
	require.NoError(t, err)
	p := programOn(t, pool, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, &pgstore.Options{Schema: schema}),
		Workflows: []squidmesh.Workflow{{Name: "book", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "fork", Next: "nap", Parallel: []squidmesh.Step{{Name: "left", Do: nothing()}, {Name: "right", Do: nothing()}}},
			{Name: "nap", Do: squidmesh.Wait(50 * time.Millisecond), Next: "review"},
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Next: "book", OnError: squidmesh.Complete},
			{Name: "book", Do: squidmesh.EffectTx(book)},
		}}},
	}, func(c *river.Config) { c.Schema = schema })

	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "book", Key: "once"})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunPaused)
	_, err = p.ApproveRun(t.Context(), run.ID, squidmesh.Decision{Actor: "ann"})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
	in, err := p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Len(t, in.Audit, in.Run.Seq)
	again, err := p.ReplayRun(t.Context(), run.ID, squidmesh.ReplayParams{})
	require.NoError(t, err)
	_, err = p.CancelRun(t.Context(), again.ID, squidmesh.CancelParams{})
	require.NoError(t, err)
	awaitStatus(t, p, again.ID, squidmesh.RunCancelled)

	// Each drawing of the run names its steps and their statuses.
	steps := make([]flow.StepState, 0, len(in.Steps))
	for _, st := range in.Steps {
		if st.Do != nil {
			steps = append(steps, *st.Do)
		}
	}
	for _, drawing := range []string{flow.MermaidRun(in.Spec, in.Run, steps), flow.DOTRun(in.Spec, in.Run, steps)} {
		require.True(t, strings.Contains(drawing, "book") && strings.Contains(drawing, "completed"), drawing)
	}
}
