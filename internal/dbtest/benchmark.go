package dbtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// BenchmarkStore benchmarks the hot path of a store: what a claim loads, and what a commit of one or many runs costs.
func BenchmarkStore[TTx any](b *testing.B, store squidmesh.Store[TTx]) {
	ledger := newLedger(b, store)
	b.Run("Load", func(b *testing.B) {
		run := ledger.start(b, 1)[0]
		for range 10 {
			ledger.advance(b, []*account{run})
		}
		b.Run("reads=step", func(b *testing.B) { ledger.load(b, run, squidmesh.Reads{Steps: []squidmesh.StepKey{run.step()}}) })
		b.Run("reads=input", func(b *testing.B) { ledger.load(b, run, squidmesh.Reads{Outputs: []string{"step5"}, Payload: true}) })
		b.Run("reads=all", func(b *testing.B) { ledger.load(b, run, squidmesh.Reads{All: true}) })
	})
	b.Run("Apply", func(b *testing.B) {
		for _, n := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("runs=%d", n), func(b *testing.B) { ledger.apply(b, n) })
		}
	})
}

const ledgerSteps = 200

var ledgerOutput = json.RawMessage(`"` + strings.Repeat("x", 254) + `"`)

// ledger drives runs of many steps through their decisions and writes them to a store, without a runtime.
type ledger[TTx any] struct {
	store    squidmesh.Store[TTx]
	spec     *squidmesh.Spec
	runnable map[squidmesh.StepKey]bool
}

// account is one run: its snapshot and how far it is.
type account struct {
	snap squidmesh.Snapshot
	at   int
}

func (a *account) step() squidmesh.StepKey {
	return squidmesh.StepKey{Name: fmt.Sprintf("step%d", a.at), Phase: squidmesh.PhaseDo}
}

func newLedger[TTx any](b *testing.B, store squidmesh.Store[TTx]) *ledger[TTx] {
	b.Helper()
	w := squidmesh.Workflow{
		Name: "line", Triggers: []squidmesh.Trigger{squidmesh.Manual("manual", squidmesh.Payload[struct {
			Data string `json:"data"`
		}]())},
	}
	l := &ledger[TTx]{store: store, runnable: map[squidmesh.StepKey]bool{}}
	for i := range ledgerSteps {
		w.Steps = append(w.Steps, squidmesh.Step{
			Name: fmt.Sprintf("step%d", i), Output: fmt.Sprintf("data%d", i),
			Do: squidmesh.Func(func(context.Context, struct{}) (string, error) { return "", nil }),
		})
		if i > 0 {
			w.Steps[i-1].Next = w.Steps[i].Name
		}
		l.runnable[squidmesh.StepKey{Name: w.Steps[i].Name, Phase: squidmesh.PhaseDo}] = true
	}
	var err error
	if l.spec, err = squidmesh.Compile(w); err != nil {
		b.Fatal(err)
	}
	return l
}

func (l *ledger[TTx]) inTx(b *testing.B, fn func(ctx context.Context, tx TTx) error) {
	b.Helper()
	if err := l.store.InTx(b.Context(), fn); err != nil {
		b.Fatal(err)
	}
}

// decide advances a run's snapshot.
func (l *ledger[TTx]) decide(a *account, e squidmesh.Event, now time.Time) (squidmesh.Transition, error) {
	t, err := squidmesh.Decide(l.spec, a.snap, e, now)
	if err == nil && t.Empty() {
		err = fmt.Errorf("%T changes nothing: %+v", e, t.Outcome)
	}
	a.snap = a.snap.With(t)
	return t, err
}

func (l *ledger[TTx]) attempted(a *account) squidmesh.Attempted {
	return squidmesh.Attempted{
		StepKey: a.step(), Attempt: 1, Worker: 1, Runnable: l.runnable,
		Hold: squidmesh.StepKey{Name: "step0", Phase: squidmesh.PhaseDo},
	}
}

// start starts runs, whose first steps it claims.
func (l *ledger[TTx]) start(b *testing.B, n int) []*account {
	b.Helper()
	runs := make([]*account, n)
	for i := range runs {
		runs[i] = &account{}
		l.inTx(b, func(ctx context.Context, tx TTx) error {
			locked, err := l.store.Lock(ctx, tx, squidmesh.LockQuery{})
			if err != nil {
				return err
			}
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			payload := json.RawMessage(`{"data":` + string(ledgerOutput) + `}`)
			t, err := l.decide(runs[i], squidmesh.Started{ID: id, Trigger: "manual", Payload: payload}, locked.Now)
			if err != nil {
				return err
			}
			if _, err := l.store.InsertRun(ctx, tx, t.Run); err != nil {
				return err
			}
			return l.store.Apply(ctx, tx, []squidmesh.Transition{t})
		})
	}
	l.commit(b, runs, func(a *account) squidmesh.Event { return squidmesh.Claimed{Attempted: l.attempted(a)} })
	return runs
}

// advance completes the current step of each run and continues with the next.
func (l *ledger[TTx]) advance(b *testing.B, runs []*account) {
	b.Helper()
	l.commit(b, runs, func(a *account) squidmesh.Event {
		return squidmesh.Succeeded{Attempted: l.attempted(a), Output: ledgerOutput}
	})
	for _, a := range runs {
		a.at++
	}
}

// commit is what a group commit does: one lock, a decision for each run, one apply.
func (l *ledger[TTx]) commit(b *testing.B, runs []*account, event func(*account) squidmesh.Event) {
	b.Helper()
	ids := make([]squidmesh.RunID, len(runs))
	for i, a := range runs {
		ids[i] = a.snap.Run.ID
	}
	l.inTx(b, func(ctx context.Context, tx TTx) error {
		locked, err := l.store.Lock(ctx, tx, squidmesh.LockQuery{Runs: ids, SkipLocked: true})
		if err != nil {
			return err
		}
		ts := make([]squidmesh.Transition, len(runs))
		for i, a := range runs {
			if ts[i], err = l.decide(a, event(a), locked.Now); err != nil {
				return err
			}
		}
		return l.store.Apply(ctx, tx, ts)
	})
}

func (l *ledger[TTx]) load(b *testing.B, a *account, reads squidmesh.Reads) {
	l.inTx(b, func(ctx context.Context, tx TTx) error {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.store.Load(ctx, tx, map[squidmesh.RunID]squidmesh.Reads{a.snap.Run.ID: reads}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *ledger[TTx]) apply(b *testing.B, n int) {
	runs := l.start(b, n)
	b.ReportAllocs()
	for b.Loop() {
		if runs[0].at == ledgerSteps-1 {
			b.StopTimer()
			runs = l.start(b, n)
			b.StartTimer()
		}
		l.advance(b, runs)
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "steps/s")
}
