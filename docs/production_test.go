package docs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// statements are those in the SQL blocks below a heading of production.md, by the first words of their comments.
func statements(t *testing.T, heading string) map[string]string {
	t.Helper()
	_, section, found := strings.Cut(read(t, "production.md"), "\n## "+heading+"\n")
	require.True(t, found, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	all := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(section, -1) {
		for _, statement := range regexp.MustCompile(`(?m);$`).Split(block[1], -1) {
			if statement = strings.TrimSpace(statement); statement != "" {
				name, _, _ := strings.Cut(strings.TrimPrefix(statement, "-- "), ":")
				all[fmt.Sprintf("%02d %s", len(all), name)] = statement
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// worker runs a workflow on a pool with River, until stop is called.
func worker(t *testing.T, pool *pgxpool.Pool, workflows ...squidmesh.Workflow) (rt *squidmesh.Runtime[pgx.Tx], stop func()) {
	t.Helper()
	ex := riveradapter.New[pgx.Tx](nil)
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{Store: pgstore.New(pool, nil), Executor: ex, Workflows: workflows})
	require.NoError(t, err)
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Workers: workers, TestOnly: true, Queues: map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(10)},
	})
	require.NoError(t, err)
	ex.SetClient(client)
	ctx := context.WithoutCancel(t.Context())
	require.NoError(t, rt.Start(ctx))
	require.NoError(t, client.Start(ctx))
	return rt, func() { require.NoError(t, riveradapter.Stop(ctx, client, rt)) }
}

// What MaxConns needs besides FuncTx steps is the sum of the rows that say how many.
func TestProduction_CountsConnections(t *testing.T) {
	t.Parallel()
	page := read(t, "production.md")
	sum := 0
	for _, row := range []string{
		`commits of all other steps \| a quarter of the pool, (\d) at most`, `steps whose runs somebody holds \| (\d) for all of them`,
		`River's listener \| (\d)`, `River's fetch, completion and leader \| (\d)`,
	} {
		found := regexp.MustCompile(`\n\| ` + row + ` \|`).FindStringSubmatch(page)
		require.NotNil(t, found, row)
		n, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		sum += n
	}
	require.Contains(t, page, fmt.Sprintf("plus %d, plus your own use. The %d are ", sum, sum))

	config, err := pgxpool.ParseConfig("postgres://nobody@localhost/none")
	require.NoError(t, err)
	for connections, commits := range map[int32]int{4: 1, 8: 2, 100: 4} {
		config.MaxConns = connections
		pool, err := pgxpool.NewWithConfig(t.Context(), config) // connects when it is used
		require.NoError(t, err)
		require.Equal(t, commits, pgstore.New(pool, nil).Traits().SideBySide)
		pool.Close()
	}
	require.Contains(t, page, "a quarter of the pool, 4 at most")
}

// The grants of the page are enough to work and to look, and for nothing else.
func TestProduction_Grants(t *testing.T) {
	t.Parallel()
	owner := dbtest.Postgres(t, dbtest.River)
	schema := dbtest.Schema(owner)
	names := strings.NewReplacer("shop_owner", owner.Config().ConnConfig.User, "shop_worker", schema+"_w", "shop_reader", schema+"_r", "schema shop", "schema "+schema)
	ctx := context.WithoutCancel(t.Context())
	exec := func(sql string) {
		_, err := owner.Exec(ctx, names.Replace(sql))
		require.NoError(t, err, "%s", sql)
	}
	for _, role := range []string{"shop_worker", "shop_reader"} {
		exec("create role " + role + " login password 'secret'")
		t.Cleanup(func() { exec("drop owned by " + role); exec("drop role " + role) })
	}
	for _, grant := range statements(t, "Rights") {
		exec(grant)
	}
	as := func(role string) *pgxpool.Pool {
		return dbtest.Changed(t, owner, func(c *pgxpool.Config) { c.ConnConfig.User, c.ConnConfig.Password = names.Replace(role), "secret" })
	}

	w := oneStep[Order]("ship", squidmesh.Step{Name: "ship", Do: squidmesh.Effect(func(context.Context, Order) error { return nil })})
	w.Triggers = append(w.Triggers, squidmesh.Cron("hourly", "@hourly", "", squidmesh.Payload[Order](squidmesh.Defaults{"id": "1", "cents": 1})))
	rt, stop := worker(t, as("shop_worker"), w)
	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "ship", Trigger: "asked", Payload: Order{ID: "1001", Cents: 1}})
	require.NoError(t, err)
	_, err = rt.AwaitRun(ctx, run.ID)
	require.NoError(t, err)
	_, err = rt.FireTrigger(ctx, "ship", "hourly", squidmesh.TriggerParams{Actor: "ana"})
	require.NoError(t, err)
	_, err = rt.PruneRuns(ctx, squidmesh.Retention{Completed: time.Hour})
	require.NoError(t, err)
	stop()
	_, err = as("shop_worker").Exec(ctx, "create table mine (id int)")
	require.ErrorContains(t, err, "permission denied")

	reader := as("shop_reader")
	looks, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(reader, nil), Executor: riveradapter.New[pgx.Tx](nil), Workflows: []squidmesh.Workflow{w},
	})
	require.NoError(t, err)
	_, err = looks.ListRuns(ctx, squidmesh.ListParams{})
	require.NoError(t, err)
	_, err = looks.InspectRun(ctx, run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	_, err = looks.ExplainRun(ctx, run.ID)
	require.NoError(t, err)
	_, err = looks.ListTriggers(ctx, squidmesh.ListTriggersParams{})
	require.NoError(t, err)
	_, err = looks.CheckDeploy(ctx, nil)
	require.NoError(t, err)
	_, err = looks.CancelRun(ctx, run.ID, squidmesh.CancelParams{})
	require.Error(t, err)
	for _, alert := range statements(t, "Alerts") {
		_, err := reader.Exec(ctx, alert)
		require.NoError(t, err, "%s", alert)
	}
}

// Each alert of the page is silent where all is well, and speaks where something is wrong.
func TestProduction_Alerts(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t, dbtest.River)
	ctx := context.WithoutCancel(t.Context())
	speak := func() (names []string) {
		for name, alert := range statements(t, "Alerts") {
			rows, err := pool.Query(ctx, alert)
			require.NoError(t, err, "%s", alert)
			n := 0
			for rows.Next() {
				n++
			}
			require.NoError(t, rows.Err(), "%s", alert)
			if n > 0 {
				names = append(names, name)
			}
		}
		return names
	}
	fails := squidmesh.Effect(func(context.Context, Order) error { return errors.New("no") })
	works := squidmesh.Effect(func(context.Context, Order) error { return nil })
	manual := func(steps ...squidmesh.Step) squidmesh.Workflow {
		return squidmesh.Workflow{Name: "w", Triggers: []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Payload[Order]())}, Steps: steps}
	}
	named := func(name string, w squidmesh.Workflow) squidmesh.Workflow { w.Name = name; return w }
	nightly := named("nightly", squidmesh.Workflow{
		Triggers: []squidmesh.Trigger{squidmesh.Cron("hourly", "@hourly", "", squidmesh.Contract{})},
		Steps:    []squidmesh.Step{{Name: "go_on", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })}},
	})
	rt, stop := worker(t, pool, nightly,
		named("good", manual(squidmesh.Step{Name: "go_on", Do: works})),
		named("bad", manual(squidmesh.Step{Name: "go_on", Do: fails})),
		named("asks", manual(squidmesh.Step{Name: "ask", Do: squidmesh.Pause()})),
		named("undoes", manual(
			squidmesh.Step{Name: "do", Do: works, Undo: fails, UndoRetry: squidmesh.Constant(1, 0), Next: "fail"},
			squidmesh.Step{Name: "fail", Do: fails})),
		named("waits", manual(squidmesh.Step{Name: "wait", Do: squidmesh.Wait(time.Hour)})))
	begin := func(workflow string, until ...squidmesh.RunStatus) {
		run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: workflow, Payload: Order{ID: "1001", Cents: 1}})
		require.NoError(t, err)
		_, err = rt.AwaitRun(ctx, run.ID, until...)
		require.NoError(t, err)
	}
	begin("good")
	begin("waits", squidmesh.RunRunning)
	begin("asks", squidmesh.RunPaused)
	require.Empty(t, speak())

	begin("bad")
	begin("undoes", squidmesh.RunCompensating)
	require.Eventually(t, func() bool {
		var n int
		return pool.QueryRow(ctx, `select count(*) from squidmesh_step where phase = 'undo' and status = 'paused'`).Scan(&n) == nil && n == 1
	}, time.Minute, time.Millisecond)
	stop()
	for _, trouble := range []string{
		`update squidmesh_run set last_at = now() - interval '2 days' where status = 'paused'`,
		`update squidmesh_step set due_at = now() - interval '1 hour' where due_at is not null`,
		`update squidmesh_trigger set next_at = now() - interval '1 hour'`,
		`insert into squidmesh_fire (workflow, name, key, signal_id, window_at, state, reason, fired_at, sent)
			values ('nightly', 'hourly', 'k', 's', now(), 'refused', 'no', now(), 1)`,
	} {
		_, err := pool.Exec(ctx, trouble)
		require.NoError(t, err, trouble)
	}
	require.Len(t, speak(), len(statements(t, "Alerts")), "%v speak", speak())
}

func TestProduction_Sizes(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t, dbtest.River)
	for _, statement := range statements(t, "Sizes") {
		tag, err := pool.Exec(t.Context(), statement)
		require.NoError(t, err, "%s", statement)
		require.Greater(t, tag.RowsAffected(), int64(10))
	}
}

// ready says whether the tables are those that this program was built for.
func ready(ctx context.Context, pool *pgxpool.Pool) error {
	result, err := migrations.Postgres(pool, nil).Validate(ctx)
	if err == nil && !result.OK {
		err = errors.New(strings.Join(result.Messages, "; "))
	}
	return err
}

func TestProduction_Ready(t *testing.T) {
	t.Parallel()
	require.NoError(t, ready(t.Context(), dbtest.Postgres(t)))
	err := ready(t.Context(), dbtest.Postgres(t, dbtest.Empty))
	require.Error(t, err)
}

// behindPgBouncer opens a pool through a proxy that lends connections by the transaction.
func behindPgBouncer(ctx context.Context) (*pgxpool.Pool, *river.Config, error) {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, nil, err
	}
	config.MaxConns = 20
	pgstore.TunePool(config, &pgstore.PoolOptions{Pooler: true})
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return pool, &river.Config{PollOnly: true}, err
}

var _ = behindPgBouncer
