package squidmesh_test

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// gatedQueue takes jobs when it is told to: the commit that brings them is in flight until then.
type gatedQueue[TTx any] struct {
	driver.Executor[TTx]
	jobs  chan int // how many came, each time
	gate  chan struct{}
	exits *atomic.Bool // the goroutine that brings several
}

func (q gatedQueue[TTx]) EnqueueStep(ctx context.Context, _ TTx, job driver.StepJob) (driver.JobMetadata, error) {
	return driver.JobMetadata{JobID: "1", Queue: job.Queue}, q.take(ctx, 1)
}

func (q gatedQueue[TTx]) EnqueueSteps(ctx context.Context, _ TTx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	if q.exits.Load() {
		runtime.Goexit()
	}
	all := make([]driver.JobMetadata, len(jobs))
	for i, job := range jobs {
		all[i] = driver.JobMetadata{JobID: "1", Queue: job.Queue}
	}
	return all, q.take(ctx, len(jobs))
}

func (q gatedQueue[TTx]) take(ctx context.Context, jobs int) error {
	q.jobs <- jobs
	select {
	case <-q.gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// crowd is callers who start runs at a runtime with a gated queue.
type crowd[TTx any] struct {
	*testing.T
	gatedQueue[TTx]
	rt    *squidmesh.Runtime[TTx]
	ended chan error
}

func newCrowd(t *testing.T) *crowd[*sql.Tx] { return newCrowdAt(t, dbtest.SQLite(t, nil), doNothing) }

func doNothing(context.Context, nothing) error { return nil }

// newCrowdAt is a crowd whose runs have a step that does something. Changes are made to its runtime's configuration.
func newCrowdAt[TTx any](
	t *testing.T, store driver.Store[TTx], only func(context.Context, nothing) error, changes ...func(*squidmesh.Config[TTx]),
) *crowd[TTx] {
	queue := gatedQueue[TTx]{jobs: make(chan int), gate: make(chan struct{}), exits: &atomic.Bool{}}
	config := &squidmesh.Config[TTx]{
		Store: store, Executor: queue, ManualTick: true, Workflows: []squidmesh.Workflow{{
			Name: "single", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[word]())},
			Steps: []squidmesh.Step{{Name: "only", Do: squidmesh.Effect(only)}},
		}},
	}
	for _, change := range changes {
		change(config)
	}
	rt, err := squidmesh.New(config)
	require.NoError(t, err)
	return &crowd[TTx]{T: t, gatedQueue: queue, rt: rt, ended: make(chan error)}
}

// start calls StartRun without waiting for its end.
func (c *crowd[TTx]) start(ctx context.Context) { c.startWith(ctx, "hello") }

func (c *crowd[TTx]) startWith(ctx context.Context, text string) {
	go func() {
		_, err := c.rt.StartRun(ctx, squidmesh.StartParams{Workflow: "single", Payload: word{text}})
		c.ended <- err
	}()
}

// wait returns when so many callers wait behind the commit in flight.
func (c *crowd[TTx]) wait(callers int) {
	c.Helper()
	require.Eventually(c, func() bool { return c.rt.Waiting() == callers }, time.Minute, time.Millisecond)
}

// runs is how many were written.
func (c *crowd[TTx]) runs() int {
	c.Helper()
	page, err := c.rt.ListRuns(c.Context(), squidmesh.ListParams{Limit: 500})
	require.NoError(c, err)
	return len(page.Runs)
}

// pool is one of so many connections to a database of its own.
func pool(t *testing.T, conns int32) *pgxpool.Pool {
	config := dbtest.Postgres(t).Config()
	config.MaxConns = conns
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// patient is for transactions that stand at the gate: the server ends one that is idle for half a lease.
var patient = &pgstore.Options{Lease: time.Hour}

// Where transactions write side by side the first few events do not wait for each other. Who comes then shares one commit, beside which no
// other begins.
func TestLine_TheFirstFewGoSideBySide(t *testing.T) {
	t.Parallel()

	c := newCrowdAt(t, pgstore.New(pool(t, 16), patient), doNothing)
	for range 4 {
		c.start(t.Context())
		require.Equal(t, 1, <-c.jobs)
	}
	for range 5 {
		c.start(t.Context())
	}
	c.wait(5)
	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
	require.Equal(t, 5, <-c.jobs, "beside the three that are left")
	c.start(t.Context())
	c.start(t.Context())
	c.wait(2)
	for range 3 {
		c.gate <- struct{}{}
		require.NoError(t, <-c.ended)
	}
	c.wait(2)
	c.gate <- struct{}{} // for the five
	require.Equal(t, 2, <-c.jobs)
	c.gate <- struct{}{}
	for range 7 {
		require.NoError(t, <-c.ended)
	}
	require.Equal(t, 11, c.runs())
	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
}

// askingQueue asks the pool, of which it has a connection already.
type askingQueue struct {
	driver.Executor[pgx.Tx]
	pool *pgxpool.Pool
}

func (q askingQueue) EnqueueStep(ctx context.Context, _ pgx.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	_, err := q.pool.Exec(ctx, "select 1")
	return driver.JobMetadata{JobID: "1", Queue: job.Queue}, err
}

func (q askingQueue) EnqueueSteps(ctx context.Context, tx pgx.Tx, jobs []driver.StepJob) (all []driver.JobMetadata, err error) {
	for _, job := range jobs {
		m, err := q.EnqueueStep(ctx, tx, job)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Commits side by side leave most of the pool to others, so an executor that takes a connection while it holds one gets it.
func TestLine_LeavesConnectionsToOthers(t *testing.T) {
	t.Parallel()

	pool := pool(t, 4)
	c := newCrowdAt(t, pgstore.New(pool, nil), doNothing, func(config *squidmesh.Config[pgx.Tx]) {
		config.Executor = askingQueue{pool: pool}
	})
	for range 100 {
		c.start(t.Context())
	}
	for range 100 {
		require.NoError(t, <-c.ended)
	}
}

// Whoever comes while a commit is in flight shares the next one, up to 256 at a time.
func TestLine_WhoComesMeanwhileSharesTheNextCommit(t *testing.T) {
	t.Parallel()

	c := newCrowd(t)
	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	for range 300 {
		c.start(t.Context())
	}
	c.wait(300)
	c.gate <- struct{}{}
	require.Equal(t, 256, <-c.jobs)
	c.wait(44)
	c.gate <- struct{}{}
	require.Equal(t, 44, <-c.jobs)
	c.gate <- struct{}{}
	for range 301 {
		require.NoError(t, <-c.ended)
	}
	require.Equal(t, 301, c.runs())
}

// Large payloads make small commits: four megabytes are enough for one.
func TestLine_LargePayloadsAreSpread(t *testing.T) {
	t.Parallel()

	c := newCrowd(t)
	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	for range 20 {
		c.startWith(t.Context(), strings.Repeat("x", 250<<10))
	}
	c.wait(20)
	c.gate <- struct{}{}
	require.Equal(t, 16, <-c.jobs)
	c.gate <- struct{}{}
	require.Equal(t, 4, <-c.jobs)
	c.gate <- struct{}{}
	for range 21 {
		require.NoError(t, <-c.ended)
	}
	require.Equal(t, 21, c.runs())
}

// A caller whose time is over goes at once: with nothing written if its event still waited.
func TestLine_ACallerThatWaitsMayGo(t *testing.T) {
	t.Parallel()

	c := newCrowd(t)
	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	ctx, cancel := context.WithCancel(t.Context())
	c.start(ctx)
	c.wait(1)
	cancel()
	err := <-c.ended
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, squidmesh.ErrCommitUnknown)
	require.Zero(t, c.rt.Waiting())

	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
	require.Equal(t, 1, c.runs())
}

// If its event was on its way with those of others, the caller does not know, and the others are not disturbed.
func TestLine_ACallerThatGoesDisturbsNobody(t *testing.T) {
	t.Parallel()

	c := newCrowd(t)
	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	ctx, cancel := context.WithCancel(t.Context())
	c.start(ctx)
	c.wait(1)
	c.start(t.Context())
	c.wait(2)
	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
	require.Equal(t, 2, <-c.jobs)
	cancel()
	err := <-c.ended
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, squidmesh.ErrCommitUnknown)

	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
	require.Equal(t, 3, c.runs())
}

// A caller that is alone ends its own commit, of which nothing is left; the next one finds the way free.
func TestLine_ACallerThatIsAloneTakesItsCommitAlong(t *testing.T) {
	t.Parallel()

	c := newCrowd(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.start(ctx)
	require.Equal(t, 1, <-c.jobs)
	cancel()
	require.ErrorIs(t, <-c.ended, context.Canceled)
	require.Zero(t, c.runs())

	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
	require.Equal(t, 1, c.runs())
}

// Stop waits for a delivery whose commit is shared. The step that is claimed by it is told to stop like all others, and given back.
func TestLine_StopWaitsForWhoWaits(t *testing.T) {
	t.Parallel()

	c := newCrowdAt(t, dbtest.SQLite(t, nil), func(ctx context.Context, _ nothing) error {
		<-ctx.Done()
		return ctx.Err()
	})
	require.NoError(t, c.rt.Start(t.Context()))
	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
	page, err := c.rt.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	id := page.Runs[0].ID

	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	performed, stopped := make(chan error), make(chan error)
	go func() {
		_, err := c.rt.Perform(t.Context(), driver.StepJob{RunID: id, Step: "only", Attempt: 1}.Delivery())
		performed <- err
	}()
	c.wait(1)
	go func() { stopped <- c.rt.Stop(t.Context()) }()
	require.Eventually(t, func() bool { return !c.rt.Started() }, time.Minute, time.Millisecond)
	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
	require.Equal(t, 1, <-c.jobs, "the step's next delivery")
	c.gate <- struct{}{}
	require.NoError(t, <-performed)
	require.NoError(t, <-stopped)
	in, err := c.rt.InspectRun(t.Context(), id, nil)
	require.NoError(t, err)
	require.EqualValues(t, flow.StepScheduled, in.Steps[0].Status)
}

// An executor that ends the goroutine which calls it, as a test's assertion does, ends one try of those who share it, and no more.
func TestLine_OutlivesAnExecutorThatExits(t *testing.T) {
	t.Parallel()

	c := newCrowd(t)
	c.exits.Store(true) // of several jobs at once
	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	c.start(t.Context())
	c.start(t.Context())
	c.wait(2)
	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
	for range 2 { // each by itself
		require.Equal(t, 1, <-c.jobs)
		c.gate <- struct{}{}
		require.NoError(t, <-c.ended)
	}
	require.Equal(t, 3, c.runs())
	c.start(t.Context())
	require.Equal(t, 1, <-c.jobs)
	c.gate <- struct{}{}
	require.NoError(t, <-c.ended)
}

// A run may come more than once in a batch: each event finds what the one before it has done.
func TestLine_OneRunMayComeTwice(t *testing.T) {
	t.Parallel()

	called, leave := make(chan struct{}), make(chan struct{})
	work := squidmesh.Effect(func(context.Context, nothing) error {
		called <- struct{}{}
		<-leave
		return nil
	})
	c := newCrowdAt(t, dbtest.SQLite(t, nil), doNothing, func(config *squidmesh.Config[*sql.Tx]) {
		config.Workflows = append(config.Workflows, squidmesh.Workflow{
			Name: "pair", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Contract{})},
			Steps: []squidmesh.Step{{Name: "both", Parallel: []squidmesh.Step{{Name: "a", Do: work}, {Name: "b", Do: work}}}},
		})
	})
	require.NoError(t, c.rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, c.rt.Stop(context.Background())) })
	ids := make(chan squidmesh.RunID)
	go func() {
		run, err := c.rt.StartRun(c.Context(), squidmesh.StartParams{Workflow: "pair"})
		ids <- run.ID
		c.ended <- err
	}()
	require.Equal(t, 2, <-c.jobs)
	c.gate <- struct{}{}
	id := <-ids
	require.NoError(t, <-c.ended)

	together := func(begin func()) { // in one batch, behind the commit of a start
		c.start(t.Context())
		require.Equal(t, 1, <-c.jobs)
		begin()
		c.wait(2)
		c.gate <- struct{}{}
		require.NoError(t, <-c.ended)
	}
	performed := make(chan error, 2)
	together(func() {
		for _, step := range []string{"a", "b"} {
			go func() {
				_, err := c.rt.Perform(t.Context(), driver.StepJob{RunID: id, Step: step, Attempt: 1}.Delivery())
				performed <- err
			}()
		}
	})
	<-called
	<-called
	together(func() { close(leave) })
	require.NoError(t, <-performed)
	require.NoError(t, <-performed)

	in, err := c.rt.InspectRun(t.Context(), id, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
	var kinds []flow.AuditKind
	for i, e := range in.Audit {
		require.Equal(t, i+1, e.Seq)
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []flow.AuditKind{
		flow.AuditStarted, flow.AuditClaimed, flow.AuditClaimed, flow.AuditSucceeded, flow.AuditSucceeded,
	}, kinds)
}

// unanswered is a store one of whose COMMITs is not answered, whether it took effect or not.
type unanswered struct {
	driver.Store[*sql.Tx]
	calls *atomic.Int32
	at    int32
	takes bool
}

func (u unanswered) InTx(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	if u.calls.Add(1) != u.at {
		return u.Store.InTx(ctx, fn)
	}
	err := u.Store.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := fn(ctx, tx); err != nil || u.takes {
			return err
		}
		return errors.New("taken back")
	})
	return errors.Join(squidmesh.ErrCommitUnknown, err)
}

// When the answer to a batch's COMMIT is lost each of its members finds out its own fate, and those of which nothing is there go on alone.
func TestLine_MembersFindOutTheirFate(t *testing.T) {
	t.Parallel()

	for name, takes := range map[string]bool{"it took effect": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			const batch = 3 // the third transaction, after those that save the definition and the first run
			c := newCrowdAt(t, dbtest.SQLite(t, nil), doNothing, func(config *squidmesh.Config[*sql.Tx]) {
				config.Store = unanswered{config.Store, &atomic.Int32{}, batch, takes}
			})
			c.start(t.Context())
			require.Equal(t, 1, <-c.jobs)
			c.start(t.Context())
			c.start(t.Context())
			c.wait(2)
			c.gate <- struct{}{}
			require.NoError(t, <-c.ended)
			require.Equal(t, 2, <-c.jobs)
			c.gate <- struct{}{}
			for range 2 {
				if !takes {
					require.Equal(t, 1, <-c.jobs, "alone")
					c.gate <- struct{}{}
				}
				require.NoError(t, <-c.ended)
			}
			require.Equal(t, 3, c.runs())
		})
	}
}

// losing is a store that saves the definition, loses one COMMIT, answers some transactions more, and is away then.
type losing struct {
	driver.Store[*sql.Tx]
	calls   *atomic.Int32
	answers int32
}

func (l losing) InTx(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	switch n := l.calls.Add(1); {
	case n == 2:
		return l.Store.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			return errors.Join(fn(ctx, tx), squidmesh.ErrCommitUnknown)
		})
	case n <= 2+l.answers:
		return l.Store.InTx(ctx, fn)
	default:
		return errors.New("database is away")
	}
}

// Who starts a run hears that its fate is unknown, soon, when the answer of a COMMIT is lost and the database is away afterwards: at once, or
// after it had said that there is no such run, since that may not have been the last word.
func TestStartRun_WhoseFateCannotBeFoundOut(t *testing.T) {
	t.Parallel()

	for name, answers := range map[string]int32{"nobody answers": 0, "not there yet": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
				Store:     losing{dbtest.SQLite(t, nil), &atomic.Int32{}, answers},
				Executor:  refusingExecutor{},
				Workflows: []squidmesh.Workflow{relay(squidmesh.Effect(func(context.Context, nothing) error { return nil }))},
			})
			require.NoError(t, err)
			_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
			require.ErrorIs(t, err, squidmesh.ErrCommitUnknown)
			require.ErrorContains(t, err, "database is away")
		})
	}
}
