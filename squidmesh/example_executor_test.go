package squidmesh_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// tableQueue is an executor that is not River: jobs are rows of one table, and a loop delivers those that are due.
type tableQueue struct{ db *sql.DB }

func (q tableQueue) insert(ctx context.Context, tx *sql.Tx, s driver.Schedule, d driver.Delivery) (driver.JobMetadata, error) {
	due := s.DueAt
	if due.IsZero() {
		due = s.Now
	}
	args, err := json.Marshal(d)
	if err != nil {
		return driver.JobMetadata{}, err
	}
	res, err := tx.ExecContext(ctx, `insert into job (due, args) values (?, ?)`, due.UnixMicro(), string(args))
	if err != nil {
		return driver.JobMetadata{}, err
	}
	id, err := res.LastInsertId()
	return driver.JobMetadata{JobID: strconv.FormatInt(id, 10), Queue: s.Queue, Worker: "loop", ScheduledAt: due}, err
}

func (q tableQueue) EnqueueStep(ctx context.Context, tx *sql.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	return q.insert(ctx, tx, job.Schedule, job.Delivery())
}

func (q tableQueue) EnqueueSteps(ctx context.Context, tx *sql.Tx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	var all []driver.JobMetadata
	for _, job := range jobs {
		m, err := q.insert(ctx, tx, job.Schedule, job.Delivery())
		if err != nil {
			return nil, err // the caller rolls back, so none of them exists
		}
		all = append(all, m)
	}
	return all, nil
}

func (q tableQueue) EnqueueCompensation(ctx context.Context, tx *sql.Tx, job driver.CompensationJob) (driver.JobMetadata, error) {
	return q.insert(ctx, tx, job.Schedule, job.Delivery())
}

func (q tableQueue) EnqueueCron(ctx context.Context, tx *sql.Tx, job driver.CronJob) (driver.JobMetadata, error) {
	return q.insert(ctx, tx, job.Schedule, job.Delivery())
}

// work delivers due jobs until the context ends. A job is deleted only after its outcome is known, so a crash delivers it
// again, which the runtime answers with "nothing to do".
func (q tableQueue) work(ctx context.Context, perform func(context.Context, driver.Delivery) (flow.Outcome, error)) {
	for ctx.Err() == nil {
		var id int64
		var args string
		now := time.Now()
		err := q.db.QueryRowContext(ctx, `select id, args from job where due <= ? order by due limit 1`, now.UnixMicro()).Scan(&id, &args)
		if err != nil {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		delivery, err := driver.ParseDelivery([]byte(args))
		outcome := flow.Outcome{Kind: flow.OutcomeDrop}
		if err == nil {
			outcome, err = perform(ctx, delivery)
		}
		switch {
		case err != nil:
			q.must(ctx, `update job set due = ? where id = ?`, now.Add(time.Second).UnixMicro(), id)
		case outcome.Kind == flow.OutcomeAgain:
			q.must(ctx, `update job set due = ? where id = ?`, now.Add(outcome.After).UnixMicro(), id)
		default:
			q.must(ctx, `delete from job where id = ?`, id)
		}
	}
}

func (q tableQueue) must(ctx context.Context, query string, args ...any) {
	if _, err := q.db.ExecContext(context.WithoutCancel(ctx), query, args...); err != nil {
		panic(err)
	}
}

// Any queue that can write within the runtime's transaction can be the executor. This one is a table and a loop.
func ExampleExecutor() {
	ctx, cancel := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "squidmesh-example")
	check(err)
	defer os.RemoveAll(dir)
	store, err := sqlitestore.Open(ctx, filepath.Join(dir, "example.db"), nil)
	check(err)
	defer store.Close()
	check(migrations.UpAllSQLite(ctx, store.DB(), nil))
	queue := tableQueue{store.DB()}
	queue.must(ctx, `create table job (id integer primary key, due integer, args text)`)

	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{Store: store, Executor: queue, Workflows: []squidmesh.Workflow{{
		Name:     "greet",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "breathe", Do: squidmesh.Wait(10 * time.Millisecond), Next: "speak"},
			{Name: "speak", Do: squidmesh.Effect(func(_ context.Context, in Order) error {
				fmt.Println("hello,", in.ID)
				return nil
			})},
		},
	}}})
	check(err)
	check(rt.Start(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		queue.work(ctx, rt.Perform)
	}()

	run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "greet", Payload: Order{ID: "ana"}})
	check(err)
	ended, err := rt.AwaitRun(ctx, run.ID)
	fmt.Println(ended.Status, err)
	cancel()
	<-stopped
	check(rt.Stop(context.Background()))
	// Output:
	// hello, ana
	// completed <nil>
}
