package drivertest

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func transactionTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"InTx_AnErrorComesBackAndLeavesNothing":      errorLeavesNothing[TTx],
		"InTx_APanicLeavesNothing":                   panicLeavesNothing[TTx],
		"InTx_GoexitLeavesNothing":                   goexitLeavesNothing[TTx],
		"InTx_TheEndOfTheContextLeavesNothing":       endOfContextLeavesNothing[TTx],
		"InTx_AnEndedContextBeginsNothing":           endedContextBeginsNothing[TTx],
		"InTx_RunsOnce":                              runsOnce[TTx],
		"View_RefusesToWrite":                        viewRefusesToWrite[TTx],
		"View_IsOneMoment":                           viewIsOneMoment[TTx],
		"Nested_KeepsWhatSucceeds":                   nestedKeepsWhatSucceeds[TTx],
		"Nested_AnErrorTakesBackOnlyItsOwn":          nestedErrorTakesBackOnlyItsOwn[TTx],
		"Nested_APanicTakesBackOnlyItsOwn":           nestedPanicTakesBackOnlyItsOwn[TTx],
		"Nested_InNested":                            nestedInNested[TTx],
		"Nested_AFailedStatementDoesNotSpoilTheRest": nestedFailedStatement[TTx],
		"Nested_AnEndedContextSaysUnusable":          nestedEndedContext[TTx],
		"Traits_OrdinaryErrorsAreNotTransient":       ordinaryErrorsAreNotTransient[TTx],
		"Notify_Works":                               notifyWorks[TTx],
	}
}

var errMine = errors.New("mine")

// put inserts a run and returns its id.
func (b *storeBench[TTx]) put(ctx context.Context, tx TTx) flow.RunID {
	run := newRun("put")
	taken, err := b.store.InsertRun(ctx, tx, run)
	require.NoError(b, err)
	require.Nil(b, taken)
	return run.ID
}

// only demands that exactly these runs exist.
func (b *storeBench[TTx]) only(want ...flow.RunID) {
	b.Helper()
	require.ElementsMatch(b, want, ids(b.find(driver.RunQuery{Workflow: "put"})))
}

func errorLeavesNothing[TTx any](b *storeBench[TTx]) {
	err := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
		b.put(ctx, tx)
		return errMine
	})
	require.Equal(b, errMine, err, "as it is")
	b.only()
}

func panicLeavesNothing[TTx any](b *storeBench[TTx]) {
	require.PanicsWithValue(b, "mine", func() {
		_ = b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
			b.put(ctx, tx)
			panic("mine")
		})
	})
	b.only()
}

func goexitLeavesNothing[TTx any](b *storeBench[TTx]) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
			b.put(ctx, tx)
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	b.only()
}

func endOfContextLeavesNothing[TTx any](b *storeBench[TTx]) {
	ctx, cancel := context.WithCancel(b.Context())
	err := b.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		b.put(ctx, tx)
		cancel()
		return nil
	})
	require.ErrorIs(b, err, context.Canceled)
	require.NotErrorIs(b, err, flow.ErrCommitUnknown)
	b.only()
}

func endedContextBeginsNothing[TTx any](b *storeBench[TTx]) {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	called := false
	err := b.store.InTx(ctx, func(context.Context, TTx) error { called = true; return nil })
	require.ErrorIs(b, err, context.Canceled)
	require.False(b, called)
	require.False(b, b.store.Traits().Transient(err), "the end of the caller's patience is no reason to try again")
}

func runsOnce[TTx any](b *storeBench[TTx]) {
	calls := 0
	require.Error(b, b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
		calls++
		return b.store.Apply(ctx, tx, []flow.Transition{next(newRun("unknown"))})
	}))
	require.Equal(b, 1, calls)
}

func viewRefusesToWrite[TTx any](b *storeBench[TTx]) {
	require.Error(b, b.store.View(b.Context(), func(ctx context.Context, tx TTx) error {
		_, err := b.store.InsertRun(ctx, tx, newRun("put"))
		return err
	}))
	b.only()
	require.Equal(b, errMine, b.store.View(b.Context(), func(context.Context, TTx) error { return errMine }))
}

func viewIsOneMoment[TTx any](b *storeBench[TTx]) {
	b.view(func(ctx context.Context, tx TTx) {
		before, err := b.store.Find(ctx, tx, driver.RunQuery{Workflow: "put"})
		require.NoError(b, err)
		require.Empty(b, before)
		b.write(func(ctx context.Context, tx TTx) { b.put(ctx, tx) })
		after, err := b.store.Find(ctx, tx, driver.RunQuery{Workflow: "put"})
		require.NoError(b, err)
		require.Empty(b, after)
	})
	require.Len(b, b.find(driver.RunQuery{Workflow: "put"}), 1)
}

func nestedKeepsWhatSucceeds[TTx any](b *storeBench[TTx]) {
	var kept []flow.RunID
	b.write(func(ctx context.Context, tx TTx) {
		kept = append(kept, b.put(ctx, tx))
		require.NoError(b, b.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
			kept = append(kept, b.put(ctx, tx))
			return nil
		}))
		kept = append(kept, b.put(ctx, tx))
	})
	b.only(kept...)

	require.Error(b, b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
		require.NoError(b, b.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
			b.put(ctx, tx)
			return nil
		}))
		return errMine
	}))
	b.only(kept...)
}

func nestedErrorTakesBackOnlyItsOwn[TTx any](b *storeBench[TTx]) {
	var kept []flow.RunID
	b.write(func(ctx context.Context, tx TTx) {
		kept = append(kept, b.put(ctx, tx))
		err := b.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
			b.put(ctx, tx)
			return errMine
		})
		require.Equal(b, errMine, err, "as it is")
		kept = append(kept, b.put(ctx, tx))
	})
	b.only(kept...)
}

func nestedPanicTakesBackOnlyItsOwn[TTx any](b *storeBench[TTx]) {
	var kept []flow.RunID
	b.write(func(ctx context.Context, tx TTx) {
		require.PanicsWithValue(b, "mine", func() {
			_ = b.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
				b.put(ctx, tx)
				panic("mine")
			})
		})
		kept = append(kept, b.put(ctx, tx))
	})
	b.only(kept...)
}

func nestedInNested[TTx any](b *storeBench[TTx]) {
	var kept []flow.RunID
	b.write(func(ctx context.Context, tx TTx) {
		kept = append(kept, b.put(ctx, tx))
		for _, inner := range []error{errMine, nil} {
			err := b.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
				b.put(ctx, tx)
				require.Equal(b, inner, b.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
					b.put(ctx, tx)
					return inner
				}))
				return errMine
			})
			require.Equal(b, errMine, err)
		}
	})
	b.only(kept...)
}

func nestedFailedStatement[TTx any](b *storeBench[TTx]) {
	var kept []flow.RunID
	b.write(func(ctx context.Context, tx TTx) {
		kept = append(kept, b.put(ctx, tx))
		err := b.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
			b.put(ctx, tx)
			return b.store.Apply(ctx, tx, []flow.Transition{next(newRun("missing"))})
		})
		require.Error(b, err)
		require.NotErrorIs(b, err, flow.ErrTxUnusable)
		kept = append(kept, b.put(ctx, tx))
	})
	b.only(kept...)
}

// nestedEndedContext: when the transaction's own context ends within fn, the store either still answers or says that it does
// not. Nothing is published.
func nestedEndedContext[TTx any](b *storeBench[TTx]) {
	ctx, cancel := context.WithCancel(b.Context())
	err := b.store.InTx(ctx, func(ctx context.Context, tx TTx) error {
		return b.store.Nested(ctx, tx, func(ctx context.Context, tx TTx) error {
			b.put(ctx, tx)
			cancel()
			_, err := b.store.InsertRun(ctx, tx, newRun("put"))
			require.Error(b, err)
			return errMine
		})
	})
	require.ErrorIs(b, err, errMine)
	require.NotErrorIs(b, err, flow.ErrTransactionEnded, "the body did not end it")
	b.only()
	b.write(func(ctx context.Context, tx TTx) { b.put(ctx, tx) }) // the store goes on
}

func ordinaryErrorsAreNotTransient[TTx any](b *storeBench[TTx]) {
	transient := b.store.Traits().Transient
	violation := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
		return b.store.Apply(ctx, tx, []flow.Transition{next(newRun("missing"))})
	})
	require.Error(b, violation)
	for _, err := range []error{
		nil, errMine, violation, context.Canceled, context.DeadlineExceeded, flow.ErrCommitUnknown, flow.ErrTransactionEnded,
	} {
		require.False(b, transient(err), "%v", err)
	}
}

func notifyWorks[TTx any](b *storeBench[TTx]) {
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	require.NoError(b, b.store.Notify(ctx, "river_insert", `{"queue":"default"}`))
}
