package e2e

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// A join is the last sibling's to make. When all finish in the same moment, on connections of their own and in two processes,
// each must see the others or be seen: a lost join would leave the run without anything to do.
func TestSiblingsThatFinishAtOnceAlwaysJoin(t *testing.T) {
	t.Parallel()

	for _, siblings := range []int{2, 8} {
		t.Run(strconv.Itoa(siblings), func(t *testing.T) {
			t.Parallel()

			const runs, atOnce = 200, 4
			j := newJoin(t, siblings)
			var group errgroup.Group
			group.SetLimit(atOnce)
			for range runs {
				group.Go(func() error { return j.run(t.Context()) })
			}
			require.NoError(t, group.Wait())
			require.EqualValues(t, runs, j.joined.Load())
		})
	}
}

// join is two processes that run siblings.
type join struct {
	siblings int
	runtimes [2]*squidmesh.Runtime[pgx.Tx]
	barriers sync.Map // by run
	joined   atomic.Int64
}

func newJoin(t *testing.T, siblings int) *join {
	t.Helper()
	j := &join{siblings: siblings}
	block := squidmesh.Step{Name: "block", Next: "join"}
	for i := range siblings {
		block.Parallel = append(block.Parallel, squidmesh.Step{Name: fmt.Sprintf("s%d", i), Do: squidmesh.Effect(j.meet)})
	}
	workflow := squidmesh.Workflow{
		Name: "join", Triggers: []squidmesh.Trigger{squidmesh.Manual("start", squidmesh.Contract{})},
		Steps: []squidmesh.Step{block, {Name: "join", Do: squidmesh.Effect(func(context.Context, struct{}) error {
			j.joined.Add(1)
			return nil
		})}},
	}
	store := pgstore.New(dbtest.Postgres(t), &pgstore.Options{Lease: time.Minute})
	for i := range j.runtimes {
		rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
			Store: store, Executor: noQueue[pgx.Tx]{}, TimeSlice: time.Minute, Workflows: []squidmesh.Workflow{workflow},
		})
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
		j.runtimes[i] = rt
	}
	return j
}

// barrier lets siblings go once all are there.
type barrier struct {
	missing atomic.Int64
	open    chan struct{}
}

// meet is the body of a sibling: it ends when all others end.
func (j *join) meet(ctx context.Context, _ struct{}) error {
	info, _ := squidmesh.Info(ctx)
	fresh := &barrier{open: make(chan struct{})}
	fresh.missing.Store(int64(j.siblings))
	value, _ := j.barriers.LoadOrStore(info.RunID, fresh)
	b := value.(*barrier)
	if b.missing.Add(-1) == 0 {
		close(b.open)
	}
	select {
	case <-b.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run starts a run, delivers all siblings at once, and expects that the last one joined and completed it.
func (j *join) run(ctx context.Context) error {
	run, err := j.runtimes[0].StartRun(ctx, squidmesh.StartParams{Workflow: "join"})
	if err != nil {
		return err
	}
	var group errgroup.Group
	for i := range j.siblings {
		group.Go(func() error {
			_, err := j.runtimes[i%2].Perform(ctx, driver.StepJob{RunID: run.ID, Step: fmt.Sprintf("s%d", i), Attempt: 1}.Delivery())
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	in, err := j.runtimes[0].InspectRun(ctx, run.ID, nil)
	if err != nil {
		return err
	}
	if in.Run.Status != squidmesh.RunCompleted {
		return fmt.Errorf("the join of run %s was lost: %s", run.ID, in.Run.Status)
	}
	return nil
}

// noQueue is an executor whose jobs nobody delivers.
type noQueue[TTx any] struct{}

func (noQueue[TTx]) EnqueueStep(_ context.Context, _ TTx, job driver.StepJob) (driver.JobMetadata, error) {
	return driver.JobMetadata{JobID: "none", Queue: job.Queue}, nil
}

func (noQueue[TTx]) EnqueueSteps(_ context.Context, _ TTx, jobs []driver.StepJob) ([]driver.JobMetadata, error) {
	all := make([]driver.JobMetadata, len(jobs))
	for i, job := range jobs {
		all[i] = driver.JobMetadata{JobID: "none", Queue: job.Queue}
	}
	return all, nil
}

func (noQueue[TTx]) EnqueueCompensation(context.Context, TTx, driver.CompensationJob) (driver.JobMetadata, error) {
	return driver.JobMetadata{JobID: "none"}, nil
}

func (noQueue[TTx]) EnqueueCron(context.Context, TTx, driver.CronJob) (driver.JobMetadata, error) {
	return driver.JobMetadata{JobID: "none"}, nil
}
