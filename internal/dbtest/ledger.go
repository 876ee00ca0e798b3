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
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// LedgerSteps is how many steps a run of a [Ledger] has.
const LedgerSteps = 200

var ledgerOutput = json.RawMessage(`"` + strings.Repeat("x", 254) + `"`)

// Ledger drives runs of many steps through their decisions and writes them to a store, without a runtime.
type Ledger[TTx any] struct {
	// InTx runs what a commit does; that of the store unless it is set.
	InTx func(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error

	store    driver.Store[TTx]
	spec     *squidmesh.Spec
	runnable map[flow.StepKey]bool
}

// Account is one run: its snapshot and how far it is.
type Account struct {
	snap flow.Snapshot
	at   int
}

func (a *Account) step() flow.StepKey {
	return flow.StepKey{Name: fmt.Sprintf("step%d", a.at), Phase: flow.PhaseDo}
}

// NewLedger makes one without runs.
func NewLedger[TTx any](tb testing.TB, store driver.Store[TTx]) *Ledger[TTx] {
	tb.Helper()
	w := squidmesh.Workflow{
		Name: "line", Triggers: []squidmesh.Trigger{squidmesh.Manual("manual", squidmesh.Payload[struct {
			Data string `json:"data"`
		}]())},
	}
	l := &Ledger[TTx]{InTx: store.InTx, store: store, runnable: map[flow.StepKey]bool{}}
	for i := range LedgerSteps {
		w.Steps = append(w.Steps, squidmesh.Step{
			Name: fmt.Sprintf("step%d", i), Output: fmt.Sprintf("data%d", i),
			Do: squidmesh.Func(func(context.Context, struct{}) (string, error) { return "", nil }),
		})
		if i > 0 {
			w.Steps[i-1].Next = w.Steps[i].Name
		}
		l.runnable[flow.StepKey{Name: w.Steps[i].Name, Phase: flow.PhaseDo}] = true
	}
	var err error
	if l.spec, err = squidmesh.Compile(w); err != nil {
		tb.Fatal(err)
	}
	return l
}

func (l *Ledger[TTx]) inTx(tb testing.TB, fn func(ctx context.Context, tx TTx) error) {
	tb.Helper()
	if err := l.InTx(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

// decide advances a run's snapshot.
func (l *Ledger[TTx]) decide(a *Account, e flow.Event, now time.Time) (flow.Transition, error) {
	t, err := flow.Decide(l.spec, a.snap, e, now)
	if err == nil && t.Empty() {
		err = fmt.Errorf("%T changes nothing: %+v", e, t.Outcome)
	}
	a.snap = a.snap.With(t)
	return t, err
}

func (l *Ledger[TTx]) attempted(a *Account) flow.Attempted {
	return flow.Attempted{
		StepKey: a.step(), Attempt: 1, Worker: 1, Runnable: l.runnable,
		Hold: flow.StepKey{Name: "step0", Phase: flow.PhaseDo},
	}
}

// Start starts runs, whose first steps it claims.
func (l *Ledger[TTx]) Start(tb testing.TB, n int) []*Account {
	tb.Helper()
	runs := make([]*Account, n)
	for i := range runs {
		runs[i] = &Account{}
		l.inTx(tb, func(ctx context.Context, tx TTx) error {
			locked, err := l.store.Lock(ctx, tx, driver.LockQuery{})
			if err != nil {
				return err
			}
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			payload := json.RawMessage(`{"data":` + string(ledgerOutput) + `}`)
			t, err := l.decide(runs[i], flow.Started{ID: id, Trigger: "manual", Payload: payload}, locked.Now)
			if err != nil {
				return err
			}
			if _, err := l.store.InsertRun(ctx, tx, t.Run); err != nil {
				return err
			}
			return l.store.Apply(ctx, tx, []flow.Transition{t})
		})
	}
	l.commit(tb, runs, func(a *Account) flow.Event { return flow.Claimed{Attempted: l.attempted(a)} })
	return runs
}

// Advance completes the current step of each run and continues with the next.
func (l *Ledger[TTx]) Advance(tb testing.TB, runs []*Account) {
	tb.Helper()
	l.commit(tb, runs, func(a *Account) flow.Event {
		return flow.Succeeded{Attempted: l.attempted(a), Output: ledgerOutput}
	})
	for _, a := range runs {
		a.at++
	}
}

// commit is what a group commit does: one lock, a decision for each run, one apply.
func (l *Ledger[TTx]) commit(tb testing.TB, runs []*Account, event func(*Account) flow.Event) {
	tb.Helper()
	ids := make([]squidmesh.RunID, len(runs))
	for i, a := range runs {
		ids[i] = a.snap.Run.ID
	}
	l.inTx(tb, func(ctx context.Context, tx TTx) error {
		locked, err := l.store.Lock(ctx, tx, driver.LockQuery{Runs: ids, SkipLocked: true})
		if err != nil {
			return err
		}
		ts := make([]flow.Transition, len(runs))
		for i, a := range runs {
			if ts[i], err = l.decide(a, event(a), locked.Now); err != nil {
				return err
			}
		}
		return l.store.Apply(ctx, tx, ts)
	})
}
