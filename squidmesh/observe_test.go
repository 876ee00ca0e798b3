package squidmesh_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// seen is an observer that keeps everything.
type seen struct {
	mu           sync.Mutex
	observations []squidmesh.Observation
	deliveries   []squidmesh.DeliveryObservation
	fires        []flow.Fire
}

func (s *seen) Observe(_ context.Context, o squidmesh.Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observations = append(s.observations, o)
}

func (s *seen) ObserveDelivery(_ context.Context, o squidmesh.DeliveryObservation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliveries = append(s.deliveries, o)
}

func (s *seen) ObserveFire(_ context.Context, f flow.Fire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fires = append(s.fires, f)
}

// of waits for the end of a run and returns its observations in their order.
func (s *seen) of(t *testing.T, id squidmesh.RunID) []squidmesh.Observation {
	t.Helper()
	var all []squidmesh.Observation
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		all = nil
		for _, o := range s.observations {
			if o.Run.ID == id {
				all = append(all, o)
			}
		}
		slices.SortFunc(all, func(a, b squidmesh.Observation) int { return a.Entry.Seq - b.Entry.Seq })
		return len(all) > 0 && all[len(all)-1].Run.Status.Terminal() && len(all) == all[len(all)-1].Entry.Seq
	}, time.Minute, time.Millisecond)
	return all
}

func (s *seen) delivered(t *testing.T, ok func(squidmesh.DeliveryObservation) bool) squidmesh.DeliveryObservation {
	t.Helper()
	var found squidmesh.DeliveryObservation
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := slices.IndexFunc(s.deliveries, ok)
		if i >= 0 {
			found = s.deliveries[i]
		}
		return i >= 0
	}, time.Minute, time.Millisecond)
	return found
}

func startObserved(t *testing.T, config *squidmesh.Config[*sql.Tx]) exampleRuntime {
	t.Helper()
	config.Workflows = append(config.Workflows, flaky())
	rt, stop := startConfig(config)
	t.Cleanup(stop)
	return rt
}

type word struct {
	Word string `json:"word"`
}

// flaky fails once, then asks somebody, then says a word.
func flaky() squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "flaky",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[word]())},
		Steps: []squidmesh.Step{
			{Name: "first", Do: squidmesh.Effect(func(ctx context.Context, _ word) error {
				if info, _ := squidmesh.Info(ctx); info.Attempt == 1 {
					return errors.New("not yet")
				}
				return nil
			}), Retry: squidmesh.Constant(2, 20*time.Millisecond), Next: "ask"},
			{Name: "ask", Do: squidmesh.Approval(), Output: "asked", Next: "say", OnError: squidmesh.Complete},
			{Name: "say", Do: squidmesh.Func(func(ctx context.Context, in word) (map[string]string, error) {
				squidmesh.Logger(ctx).Info("saying")
				return map[string]string{"said": in.Word}, nil
			}), Output: "result"},
		},
	}
}

// play takes flaky through its life.
func play(t *testing.T, rt exampleRuntime) squidmesh.RunID {
	t.Helper()
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "flaky", Payload: word{"hello"}, Actor: "ann"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err = rt.ApproveRun(t.Context(), run.ID, squidmesh.Decision{Actor: "bob", Comment: "fine", Metadata: json.RawMessage(`{"a":1}`)})
		return err == nil
	}, time.Minute, time.Millisecond)
	_, err = rt.AwaitRun(t.Context(), run.ID)
	require.NoError(t, err)
	return run.ID
}

func TestObserver_IsToldOfEveryTransition(t *testing.T) {
	t.Parallel()

	observer := &seen{}
	rt := startObserved(t, &squidmesh.Config[*sql.Tx]{Observer: observer})
	id := play(t, rt)
	all := observer.of(t, id)

	var kinds []flow.AuditKind
	var about []string
	before := squidmesh.RunStatus("")
	for _, o := range all {
		kinds = append(kinds, o.Entry.Kind)
		about = append(about, strings.TrimSpace(fmt.Sprintf("%s %d", o.Entry.Name, o.Entry.Attempt)))
		require.Equal(t, before, o.Before, "seq %d", o.Entry.Seq)
		require.Equal(t, id, o.Entry.Run)
		require.Equal(t, id, o.Run.ID)
		require.Equal(t, []string{"flaky", "go"}, []string{o.Run.Workflow, o.Run.Trigger})
		before = o.Run.Status
		require.Positive(t, o.Measures.Commit)
		require.Nil(t, o.Run.Payload)
		require.Nil(t, o.Entry.Output)
		require.Nil(t, o.Entry.Data)
		require.Nil(t, o.Data.Metadata)
	}
	require.Equal(t, []flow.AuditKind{
		flow.AuditStarted, flow.AuditClaimed, flow.AuditRetried, flow.AuditClaimed, flow.AuditSucceeded,
		flow.AuditApproved, flow.AuditClaimed, flow.AuditSucceeded,
	}, kinds)
	require.Equal(t, []string{"0", "first 1", "first 1", "first 2", "first 2", "ask 1", "say 1", "say 1"}, about)

	started := all[0]
	require.Equal(t, "ann", started.Entry.Actor)
	require.Len(t, started.Jobs, 1)
	require.Equal(t, flow.StepKey{Name: "first", Phase: flow.PhaseDo}, started.Jobs[0].StepKey)
	require.Equal(t, 1, started.Jobs[0].Attempt)

	claimed := all[1]
	require.Equal(t, started.Jobs[0].JobID, claimed.Job)
	require.Positive(t, claimed.Measures.Queued)
	require.Zero(t, claimed.Measures.Ran)

	retried := all[2]
	require.Equal(t, started.Jobs[0].JobID, retried.Job)
	require.Equal(t, "not yet", retried.Data.Error.Message)
	require.Positive(t, retried.Measures.Function)
	require.Positive(t, retried.Measures.Ran)
	require.GreaterOrEqual(t, retried.Measures.Delay, 19*time.Millisecond)
	require.Equal(t, 2, retried.Jobs[0].Attempt)
	require.GreaterOrEqual(t, retried.Jobs[0].Delay, 19*time.Millisecond)

	approved := all[5]
	require.Equal(t, "bob", approved.Entry.Actor)
	require.Equal(t, "fine", approved.Data.Comment)
	require.Equal(t, approved.Entry.At.Sub(all[4].Entry.At), approved.Measures.Ran, "how long it was paused")
	require.Empty(t, approved.Job)
}

func TestObserver_HearsWhatARunIsAReplayOf(t *testing.T) {
	t.Parallel()

	observer := &seen{}
	rt := startObserved(t, &squidmesh.Config[*sql.Tx]{Observer: observer})
	source := play(t, rt)
	replay, err := rt.ReplayRun(t.Context(), source, squidmesh.ReplayParams{Actor: "ann"})
	require.NoError(t, err)
	_, err = rt.CancelRun(t.Context(), replay.ID, squidmesh.CancelParams{})
	require.NoError(t, err)
	started := observer.of(t, replay.ID)[0]
	require.Equal(t, flow.AuditStarted, started.Entry.Kind)
	require.Equal(t, source, started.Run.ReplayedFrom)
	require.Zero(t, observer.of(t, source)[0].Run.ReplayedFrom)
}

// A delivery without a transition is heard of too: the origin's step skipped.
func TestObserver_HearsOfDeliveriesWithoutWork(t *testing.T) {
	t.Parallel()

	observer := &seen{}
	rt := startObserved(t, &squidmesh.Config[*sql.Tx]{Observer: observer})
	id := play(t, rt)
	first := observer.delivered(t, func(o squidmesh.DeliveryObservation) bool { return o.Delivery.RunID == id.String() })
	require.Equal(t, flow.OutcomeDone, first.Outcome.Kind)
	require.Positive(t, first.Took)
	require.NotEmpty(t, first.Delivery.Job)

	_, err := rt.Perform(t.Context(), driver.Delivery{Version: 1, Kind: driver.DeliverStep, RunID: id.String(), Step: "first", Attempt: 1, Job: "again"})
	require.NoError(t, err)
	again := observer.delivered(t, func(o squidmesh.DeliveryObservation) bool { return o.Delivery.Job == "again" })
	require.Equal(t, flow.Outcome{Kind: flow.OutcomeDone, Reason: "stale"}, again.Outcome)
}

func TestObserver_HearsOfFires(t *testing.T) {
	t.Parallel()

	observer := &seen{}
	redact := func(field, text string) string {
		return field + ": " + strings.ReplaceAll(text, "secret", "[redacted]")
	}
	rt := startObserved(t, &squidmesh.Config[*sql.Tx]{Observer: observer, Redact: redact, Workflows: []squidmesh.Workflow{{
		Name:     "nightly",
		Triggers: []squidmesh.Trigger{squidmesh.Cron("night", "0 3 * * *", "UTC", squidmesh.Payload[nothing]())},
		Steps:    []squidmesh.Step{{Name: "act", Do: squidmesh.Effect(func(context.Context, nothing) error { return nil })}},
	}}})
	fire, err := rt.FireTrigger(t.Context(), "nightly", "night", squidmesh.TriggerParams{Actor: "ann", Comment: "a secret"})
	require.NoError(t, err)
	var fires []flow.Fire
	require.Eventually(t, func() bool {
		observer.mu.Lock()
		defer observer.mu.Unlock()
		fires = slices.Clone(observer.fires)
		return len(fires) == 2
	}, time.Minute, time.Millisecond)
	slices.SortFunc(fires, func(a, b flow.Fire) int { return strings.Compare(string(a.State), string(b.State)) }) // they may overtake
	require.Equal(t, flow.FirePending, fires[0].State)
	require.Equal(t, flow.FireStarted, fires[1].State)
	require.Equal(t, fire.SignalID, fires[1].SignalID)
	for _, f := range fires {
		require.Equal(t, "ann", f.Actor)
		require.Equal(t, "comment: a [redacted]", f.Comment)
	}
	require.Equal(t, "a secret", fire.Comment, "whoever said it may read it")
	received := observer.delivered(t, func(o squidmesh.DeliveryObservation) bool { return o.Delivery.Kind == driver.DeliverCron })
	require.Equal(t, "fire_started", received.Outcome.Reason)
	started := observer.of(t, fires[1].RunID)[0]
	require.Equal(t, fires[1].RunID, started.Run.ID)
	require.Equal(t, "ann", started.Entry.Actor)
}

func TestObserver_ItsPanicIsNobodyElses(t *testing.T) {
	t.Parallel()

	log := &logLines{}
	rt := startObserved(t, &squidmesh.Config[*sql.Tx]{
		Logger:   slog.New(slog.NewJSONHandler(log, nil)),
		Observer: squidmesh.ObserverFunc(func(context.Context, squidmesh.Observation) { panic("oops") }),
	})
	play(t, rt)
	require.NotEmpty(t, log.about(t, "squidmesh: observer panicked"))
}

// logLines is the output of a JSON handler, line by line.
type logLines struct {
	mu    sync.Mutex
	lines [][]byte
}

func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, bytes.Clone(line))
	return len(line), nil
}

// about returns the attributes of all lines with a message.
func (l *logLines) about(t *testing.T, message string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for _, line := range l.lines {
		var attributes map[string]any
		require.NoError(t, json.Unmarshal(line, &attributes))
		if attributes["msg"] == message {
			all = append(all, attributes)
		}
	}
	return all
}

// refusingExecutor refuses the jobs of one step.
type refusingExecutor struct {
	driver.Executor[*sql.Tx]
	step string
}

func (r refusingExecutor) EnqueueStep(ctx context.Context, tx *sql.Tx, job driver.StepJob) (driver.JobMetadata, error) {
	if job.Step == r.step {
		return driver.JobMetadata{}, errors.New("queue is full")
	}
	return driver.JobMetadata{JobID: "1", Queue: job.Queue}, nil
}

func (refusingExecutor) EnqueueCompensation(_ context.Context, _ *sql.Tx, job driver.CompensationJob) (driver.JobMetadata, error) {
	return driver.JobMetadata{JobID: "1", Queue: job.Queue}, nil
}

// Whatever is logged about a run says which run, workflow, step, attempt and job it is about, under the same keys.
func TestLog_EveryLineAboutARunSaysWhichAttemptAndJob(t *testing.T) {
	t.Parallel()

	log := &logLines{}
	rt := startObserved(t, &squidmesh.Config[*sql.Tx]{Logger: slog.New(slog.NewJSONHandler(log, nil))})
	id := play(t, rt)
	says := func(message string, id squidmesh.RunID, step string, attempt int, job string) {
		t.Helper()
		lines := log.about(t, message)
		require.Len(t, lines, 1, message)
		require.Equal(t, id.String(), lines[0]["run"])
		require.Equal(t, "flaky", lines[0]["workflow"])
		require.Equal(t, step, lines[0]["step"])
		require.Equal(t, "do", lines[0]["phase"])
		require.InDelta(t, attempt, lines[0]["attempt"], 0)
		require.Equal(t, job, lines[0]["job"])
	}
	in, err := rt.InspectRun(t.Context(), id, nil)
	require.NoError(t, err)
	says("saying", id, "say", 1, in.Steps[2].Do.JobID)

	outcome, err := rt.Perform(t.Context(), driver.Delivery{
		Version: 1, Kind: driver.DeliverStep, RunID: "gone", Workflow: "flaky", Step: "first", Attempt: 7, Job: "77",
	})
	require.NoError(t, err)
	require.Equal(t, flow.OutcomeDrop, outcome.Kind)
	dropped := log.about(t, "squidmesh: delivery dropped")
	require.Len(t, dropped, 1)
	require.Equal(t, "gone", dropped[0]["run"])
	require.Equal(t, "first", dropped[0]["step"])
	require.InDelta(t, 7, dropped[0]["attempt"], 0)
	require.Equal(t, "77", dropped[0]["job"])
}

// Without a queue hop, and with a queue that refuses one.
func TestLog_ARefusedJobSaysWhoseItIs(t *testing.T) {
	t.Parallel()

	log := &logLines{}
	two := squidmesh.Workflow{
		Name: "two", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[nothing]())},
		Steps: []squidmesh.Step{
			{Name: "one", Do: squidmesh.Effect(func(context.Context, nothing) error { return nil }), Next: "other"},
			{Name: "other", Do: squidmesh.Effect(func(context.Context, nothing) error { return nil })},
		},
	}
	// Of two processes on one SQLite file each would end the lease of the other, once it ticked.
	whole := startObserved(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{two}, ManualTick: true})
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: whole.store, Executor: refusingExecutor{step: "other"}, Workflows: []squidmesh.Workflow{two}, DisableContinuation: true,
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "two"})
	require.NoError(t, err)
	_, err = rt.Perform(t.Context(), driver.Delivery{
		Version: 1, Kind: driver.DeliverStep, RunID: run.ID.String(), Step: "one", Attempt: 1, Job: "1",
	})
	require.NoError(t, err)
	require.NoError(t, rt.Stop(t.Context()))
	lines := log.about(t, "squidmesh: enqueue failed, left to the tick")
	require.NotEmpty(t, lines)
	require.Equal(t, run.ID.String(), lines[0]["run"])
	require.Equal(t, "two", lines[0]["workflow"])
	require.Equal(t, "one", lines[0]["step"])
	require.InDelta(t, 1, lines[0]["attempt"], 0)
	require.Equal(t, "1", lines[0]["job"])
}

type interceptedKey struct{}

func TestIntercept(t *testing.T) {
	t.Parallel()

	var mu sync.Mutex
	steps := map[string]bool{}
	action := func(outcome error) squidmesh.Action {
		return squidmesh.EffectTx(func(ctx context.Context, _ *sql.Tx, _ nothing) error {
			if ctx.Value(interceptedKey{}) == nil {
				return squidmesh.Fail(errors.New("not intercepted"))
			}
			return outcome
		})
	}
	workflow := func(name string, do squidmesh.Action) squidmesh.Workflow {
		w := only(do, "")
		w.Name = name
		return w
	}
	rt, stop := startConfig(&squidmesh.Config[*sql.Tx]{
		Workflows: []squidmesh.Workflow{
			workflow("fine", action(nil)), workflow("bad", action(errors.New("bad"))), workflow("skipped", action(nil)), workflow("spoilt", action(nil)),
		},
		Intercept: func(ctx context.Context, next func(context.Context) error) error {
			info, _ := squidmesh.Info(ctx)
			mu.Lock()
			steps[info.Workflow+"/"+info.Step] = true
			mu.Unlock()
			switch info.Workflow {
			case "bad":
				_ = next(context.WithValue(ctx, interceptedKey{}, true))
				return nil // which hides nothing
			case "skipped":
				return nil
			case "spoilt":
				return errors.Join(next(context.WithValue(ctx, interceptedKey{}, true)), errors.New("spoilt"))
			}
			return next(context.WithValue(ctx, interceptedKey{}, true))
		},
	})
	defer stop()
	for workflow, says := range map[string]string{"fine": "", "bad": "bad", "skipped": "without having called next", "spoilt": "spoilt"} {
		run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: workflow})
		require.NoError(t, err)
		ended, err := rt.AwaitRun(t.Context(), run.ID)
		require.NoError(t, err)
		if says == "" {
			require.Equal(t, squidmesh.RunCompleted, ended.Status)
			continue
		}
		require.Equal(t, squidmesh.RunFailed, ended.Status, workflow)
		require.Contains(t, ended.Reason.Message, says)
	}
	require.Len(t, steps, 4)
}
