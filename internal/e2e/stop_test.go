package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// stops are two processes on one database, the first at work on one child of a block, the second on the other.
type stops struct {
	*testing.T
	runtimes [2]*squidmesh.Runtime[pgx.Tx]
	run      squidmesh.RunID
	begun    chan string
	fail     chan error
	stopped  chan error // why the child at the second process was told to stop
	ended    chan error // deliveries
}

// stopsLease is so long that whoever is told, is told by a tick.
const stopsLease = time.Minute

func newStops(t *testing.T) *stops {
	s := &stops{T: t, begun: make(chan string, 2), fail: make(chan error, 1), stopped: make(chan error, 1), ended: make(chan error, 2)}
	workflow := squidmesh.Workflow{
		Name: "stops", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "first", Do: nothing(), Undo: nothing(), Next: "block"},
			{Name: "block", OnError: "repair", Parallel: []squidmesh.Step{
				{Name: "here", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
					s.begun <- "here"
					select {
					case err := <-s.fail:
						return err
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				})},
				{Name: "there", Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
					s.begun <- "there"
					<-ctx.Done()
					s.stopped <- context.Cause(ctx)
					return context.Cause(ctx)
				})},
			}},
			{Name: "repair", Do: nothing()},
		},
	}
	store := pgstore.New(dbtest.Postgres(t), &pgstore.Options{Lease: stopsLease})
	for i := range s.runtimes {
		rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
			Store: store, Executor: noQueue[pgx.Tx]{}, TimeSlice: time.Minute, Workflows: []squidmesh.Workflow{workflow},
		})
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
		s.runtimes[i] = rt
	}
	run, err := s.runtimes[0].StartRun(t.Context(), squidmesh.StartParams{Workflow: "stops"})
	require.NoError(t, err)
	s.run = run.ID
	s.perform(0, driver.StepJob{RunID: s.run, Step: "first", Attempt: 1}.Delivery()) // goes on with "here"
	require.Equal(t, "here", <-s.begun)
	s.perform(1, driver.StepJob{RunID: s.run, Step: "there", Attempt: 1}.Delivery())
	require.Equal(t, "there", <-s.begun)
	return s
}

func (s *stops) perform(process int, d driver.Delivery) {
	go func() {
		_, err := s.runtimes[process].Perform(context.WithoutCancel(s.Context()), d)
		s.ended <- err
	}()
}

// requireStopped waits until the other process's step has been told, which takes a tick or two, and both deliveries have ended.
func (s *stops) requireStopped(since time.Time) {
	s.Helper()
	require.ErrorIs(s, <-s.stopped, squidmesh.ErrInterrupted)
	took := time.Since(since)
	s.Logf("told after %s", took)
	require.Less(s, took, stopsLease/3, "two seconds, on a machine that has nothing else to do")
	require.NoError(s, <-s.ended)
	require.NoError(s, <-s.ended)
}

func TestCancel_ReachesTheOtherProcess(t *testing.T) {
	t.Parallel()

	s := newStops(t)
	ctx, since := t.Context(), time.Now()
	params := squidmesh.CancelParams{Decision: squidmesh.Decision{Actor: "ann", Comment: "mistaken"}, Compensate: true}
	run, err := s.runtimes[0].CancelRun(ctx, s.run, params)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCancelling, run.Status)
	_, err = s.runtimes[1].CancelRun(ctx, s.run, params)
	require.NoError(t, err, "a second cancel changes nothing")
	s.requireStopped(since)

	// What had completed is undone, once, however often that is asked for.
	asked := driver.CompensationJob{RunID: s.run}.Delivery()
	for range 2 {
		s.perform(0, asked)
		require.NoError(t, <-s.ended)
	}
	s.perform(1, driver.CompensationJob{RunID: s.run, Step: "first", Attempt: 1}.Delivery())
	require.NoError(t, <-s.ended)
	in, err := s.runtimes[0].InspectRun(ctx, s.run, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCancelled, in.Run.Status)
	for _, e := range in.Audit {
		require.NotEqual(t, flow.AuditRedelivered, e.Kind, "the undo had its job")
	}
	run, err = s.runtimes[0].CancelRun(ctx, s.run, params)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCancelled, run.Status)
}

// A block that fails and has an error route gives the run no verdict; its children are told wherever they are all the same.
func TestFailedBlock_ReachesTheOtherProcess(t *testing.T) {
	t.Parallel()

	s := newStops(t)
	since := time.Now()
	s.fail <- squidmesh.Fail(errors.New("broken"))
	s.requireStopped(since)
	run, err := s.runtimes[0].AwaitRun(t.Context(), s.run)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, run.Status, "by way of the error route")
	require.Equal(t, "here", run.Reason.Step)
}
