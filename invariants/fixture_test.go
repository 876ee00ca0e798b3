package invariants_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// fixture is a database with runs in every kind of state, made by the runtime itself.
type fixture[TTx any] struct {
	rt    *squidmesh.Runtime[TTx]
	queue queue[TTx]
	runs  map[string]squidmesh.RunID // by key
	going chan struct{}              // told when a step is at work
	let   chan struct{}              // closed to let it go
	tasks sync.WaitGroup
}

// mode is the payload: it says how a run fares.
type mode struct {
	Mode string `json:"mode"`
}

func newFixture[TTx any](t *testing.T, store driver.Store[TTx]) *fixture[TTx] {
	t.Helper()
	f := &fixture[TTx]{runs: map[string]squidmesh.RunID{}, going: make(chan struct{}), let: make(chan struct{})}
	ring, err := squidmesh.NewKeyring("a", map[string][]byte{"a": bytes.Repeat([]byte{1}, 32)})
	require.NoError(t, err)
	f.rt, err = squidmesh.New(&squidmesh.Config[TTx]{
		Store: store, Executor: &f.queue, Workflows: f.workflows(), ManualTick: true, Codec: ring,
	})
	require.NoError(t, err)
	require.NoError(t, f.rt.Start(t.Context()))
	t.Cleanup(func() {
		close(f.let)
		f.tasks.Wait()
		require.NoError(t, f.rt.Stop(context.WithoutCancel(t.Context())))
	})

	f.start(t, "flow", "pending")
	for _, key := range []string{"done", "retry"} {
		f.start(t, "flow", key)
		f.drain(t)
	}
	for _, key := range []string{"undone", "accepted", "again"} {
		f.start(t, "saga", key)
		f.drain(t)
	}
	_, err = f.rt.AcceptUndo(t.Context(), f.runs["accepted"], squidmesh.Decision{Actor: "ada"})
	require.NoError(t, err)
	_, err = f.rt.RetryUndo(t.Context(), f.runs["again"], squidmesh.Decision{Actor: "ada"})
	require.NoError(t, err)
	f.drain(t)
	f.start(t, "saga", "undoing")
	f.drainUntil(t, func(d driver.Delivery) bool { return d.Kind == driver.DeliverCompensation })

	for _, key := range []string{"review", "approved", "rejected"} {
		f.start(t, "review", key)
	}
	_, err = f.rt.ApproveRun(t.Context(), f.runs["approved"], squidmesh.Decision{Actor: "ada"})
	require.NoError(t, err)
	_, err = f.rt.RejectRun(t.Context(), f.runs["rejected"], squidmesh.Decision{Actor: "ada"})
	require.NoError(t, err)
	f.drain(t)
	for _, workflow := range []string{"expiring_pause", "expiring_approval"} {
		f.start(t, workflow, workflow)
		f.expire(t, f.runs[workflow])
	}
	f.start(t, "flow", "cancelled")
	_, err = f.rt.CancelRun(t.Context(), f.runs["cancelled"], squidmesh.CancelParams{Compensate: true})
	require.NoError(t, err)

	f.cron(t)

	f.start(t, "flow", "working")
	f.tasks.Go(func() { f.drainUntil(t, nil) })
	<-f.going
	_, err = f.rt.FireTrigger(t.Context(), "digest", "yearly", squidmesh.TriggerParams{})
	require.NoError(t, err)
	return f
}

// expire waits until a run has ended, since nobody has decided what it asks.
func (f *fixture[TTx]) expire(t *testing.T, id squidmesh.RunID) {
	t.Helper()
	require.Eventually(t, func() bool {
		require.NoError(t, f.rt.Tick(t.Context()))
		in, err := f.rt.InspectRun(t.Context(), id, nil)
		require.NoError(t, err)
		return in.Run.Status.Terminal()
	}, time.Minute, time.Millisecond)
}

// cron starts a run by a fire, and one by a scheduler of somebody else's.
func (f *fixture[TTx]) cron(t *testing.T) {
	t.Helper()
	by := squidmesh.TriggerParams{Actor: "ada", Comment: "to see whether it works"}
	require.NoError(t, f.rt.PauseTrigger(t.Context(), "digest", "yearly", by))
	require.NoError(t, f.rt.ResumeTrigger(t.Context(), "digest", "yearly", by))
	_, err := f.rt.FireTrigger(t.Context(), "digest", "yearly", by)
	require.NoError(t, err)
	f.drain(t)
	january := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = f.rt.Perform(t.Context(), driver.Delivery{
		Version: driver.DeliveryVersion, Kind: driver.DeliverCron, Workflow: "digest", Trigger: "yearly",
		IntendedWindow: &driver.Window{StartAt: january, EndAt: january.AddDate(1, 0, 0)},
	})
	require.NoError(t, err)
	f.drain(t)
}

func (f *fixture[TTx]) start(t *testing.T, workflow, key string) {
	t.Helper()
	f.queue.take() // what is left is not meant to be delivered
	run, err := f.rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: workflow, Key: key, Payload: mode{key}})
	require.NoError(t, err)
	f.runs[key] = run.ID
}

func (f *fixture[TTx]) drain(t *testing.T) {
	t.Helper()
	f.drainUntil(t, nil)
}

// drainUntil performs what is queued, and what follows from it, but not what stop holds for.
func (f *fixture[TTx]) drainUntil(t *testing.T, stop func(driver.Delivery) bool) {
	t.Helper()
	for _, d := range f.queue.take() {
		if stop != nil && stop(d) {
			continue
		}
		if _, err := f.rt.Perform(context.WithoutCancel(t.Context()), d); err != nil {
			t.Errorf("perform %+v: %v", d, err)
		}
		f.drainUntil(t, stop)
	}
}

func (f *fixture[TTx]) workflows() []squidmesh.Workflow {
	triggers := []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[mode]())}
	nothing := squidmesh.Effect(func(context.Context, mode) error { return nil })
	return []squidmesh.Workflow{
		{Name: "flow", Triggers: triggers, Steps: []squidmesh.Step{
			{Name: "first", Do: squidmesh.Effect(first), Retry: squidmesh.Constant(3, 0), Next: "gather"},
			{Name: "gather", Next: "last", Parallel: []squidmesh.Step{
				{Name: "left", Do: nothing},
				{Name: "right", Do: squidmesh.Effect(f.right)},
				{Name: "join", Do: nothing, After: []string{"left", "right"}},
			}},
			{Name: "last", Do: nothing},
		}},
		{Name: "saga", Triggers: triggers, Steps: []squidmesh.Step{
			{Name: "reserve", Do: nothing, Undo: nothing, Next: "charge"},
			{Name: "charge", Do: nothing, Undo: squidmesh.Effect(refund), UndoRetry: squidmesh.Constant(1, 0), Next: "ship"},
			{Name: "ship", Do: squidmesh.Effect(func(context.Context, mode) error { return errors.New("no ship") })},
		}},
		{Name: "digest", Triggers: []squidmesh.Trigger{squidmesh.Cron("yearly", "@yearly", "", squidmesh.Contract{})}, Steps: []squidmesh.Step{
			{Name: "send", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })},
		}},
		{Name: "expiring_pause", Triggers: triggers, Steps: []squidmesh.Step{{Name: "ask", Do: squidmesh.Pause(), Timeout: time.Millisecond}}},
		{Name: "expiring_approval", Triggers: triggers, Steps: []squidmesh.Step{
			{Name: "ask", Do: squidmesh.Approval(), Output: "approval", Timeout: time.Millisecond, OnError: squidmesh.Complete},
		}},
		{Name: "review", Triggers: triggers, Steps: []squidmesh.Step{
			{Name: "ask", Do: squidmesh.Approval(), Next: "pass", OnError: "refuse", Output: "approval"},
			{Name: "pass", Do: nothing},
			{Name: "refuse", Do: nothing},
		}},
	}
}

func first(ctx context.Context, m mode) error {
	info, _ := squidmesh.Info(ctx)
	switch {
	case m.Mode == "retry":
		return squidmesh.RetryAfter(time.Hour, errors.New("not today"))
	case m.Mode == "done" && info.Attempt == 1:
		return errors.New("not at once")
	}
	return nil
}

func (f *fixture[TTx]) right(_ context.Context, m mode) error {
	if m.Mode == "working" {
		f.going <- struct{}{}
		<-f.let
	}
	return nil
}

func refund(ctx context.Context, m mode) error {
	info, _ := squidmesh.Info(ctx)
	if m.Mode == "accepted" || m.Mode == "again" && info.Attempt == 1 {
		return errors.New("the bank is closed")
	}
	return nil
}

// queue is an executor that keeps deliveries in memory.
type queue[TTx any] struct {
	mu         sync.Mutex
	deliveries []driver.Delivery
}

func (q *queue[TTx]) put(d driver.Delivery, s driver.Schedule) driver.JobMetadata {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.Delay == 0 {
		q.deliveries = append(q.deliveries, d)
	}
	return driver.JobMetadata{JobID: "1", Queue: s.Queue}
}

func (q *queue[TTx]) take() []driver.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := slices.Clone(q.deliveries)
	q.deliveries = nil
	return taken
}

func (q *queue[TTx]) EnqueueStep(_ context.Context, _ TTx, job driver.StepJob) (driver.JobMetadata, error) {
	return q.put(job.Delivery(), job.Schedule), nil
}

func (q *queue[TTx]) EnqueueSteps(_ context.Context, _ TTx, jobs []driver.StepJob) (all []driver.JobMetadata, _ error) {
	for _, job := range jobs {
		all = append(all, q.put(job.Delivery(), job.Schedule))
	}
	return all, nil
}

func (q *queue[TTx]) EnqueueCompensation(_ context.Context, _ TTx, job driver.CompensationJob) (driver.JobMetadata, error) {
	return q.put(job.Delivery(), job.Schedule), nil
}

func (q *queue[TTx]) EnqueueCron(_ context.Context, _ TTx, job driver.CronJob) (driver.JobMetadata, error) {
	return q.put(job.Delivery(), job.Schedule), nil
}
