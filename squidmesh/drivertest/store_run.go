package drivertest

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func runTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"InsertRun_KeepsEveryColumn":             insertKeepsEveryColumn[TTx],
		"InsertRun_TakenKeyReturnsItsRun":        takenKeyReturnsItsRun[TTx],
		"FreeKey_LetsAnotherRunHaveIt":           freeKeyLetsAnotherRunHaveIt[TTx],
		"FreeKey_OneOfManyTakesItOver":           oneOfManyTakesAKeyOver[TTx],
		"InsertRun_TakenIDReturnsItsRun":         takenIDReturnsItsRun[TTx],
		"InsertRun_OneOfManyConcurrentKeysWins":  oneOfManyConcurrentKeysWins[TTx],
		"InsertRun_WaitsForAnUncommittedKey":     waitsForAnUncommittedKey[TTx],
		"Lock_AnswersExistingRunsAndTheClock":    lockAnswersExistingRunsAndTheClock[TTx],
		"Lock_WaitsAndReadsTheClockAfterwards":   lockWaitsAndReadsTheClockAfterwards[TTx],
		"Lock_SkipsWhatSomebodyElseHolds":        lockSkipsWhatSomebodyElseHolds[TTx],
		"Lock_OpposedOrdersDoNotDeadlock":        opposedOrdersDoNotDeadlock[TTx],
		"Lock_AnswersWhetherTheWorkerIsLost":     lockAnswersWhetherTheWorkerIsLost[TTx],
		"InsertRun_IsInvisibleUntilItsCommit":    insertIsInvisibleUntilItsCommit[TTx],
		"Apply_OfANewRunLeavesItsRowToInsertRun": applyOfANewRunLeavesItsRow[TTx],
	}
}

func insertKeepsEveryColumn[TTx any](b *storeBench[TTx]) {
	full := newRun("checkout")
	full.Key, full.SignalID, full.ReplayedFrom = "key 漢", "signal", newRunID() // the key's hash is only for whoever finds the key taken
	full.WindowAt, full.WindowEnd, full.ReceivedAt = sampleTime.Add(time.Hour), sampleTime.Add(2*time.Hour), sampleTime.Add(time.Second)
	full.Payload = json.RawMessage(sampleJSON)
	full.Status, full.Verdict, full.Compensate, full.Version, full.Seq = flow.RunFailed, flow.VerdictFailed, true, 7, 8
	full.Open, full.Retrying, full.FinishedAt = 3, 2, sampleTime.Add(time.Minute)
	full.Reason = &flow.StepError{
		Step: "a", Phase: flow.PhaseUndo, Attempt: 2, Code: "panic", Message: "it's 漢", Causes: []string{"x"},
		Details: json.RawMessage(`{"a":[1]}`), Stack: "s", At: sampleTime,
	}
	for _, run := range []flow.Run{full, newRun("bare")} {
		b.insert(run)
		require.Equal(b, run, b.run(run.ID))
		require.Equal(b, string(run.Payload), string(b.load(run.ID, flow.Reads{Payload: true}).Payload))

		run.Payload = nil
		require.Equal(b, []flow.Run{run}, b.find(driver.RunQuery{IDs: []flow.RunID{run.ID}}), "no payload unless asked for")
	}
}

func takenKeyReturnsItsRun[TTx any](b *storeBench[TTx]) {
	first := newRun("checkout")
	first.Key, first.KeyHash = "order-1", "hash-1"
	b.insert(first)

	second := newRun("checkout")
	second.Key, second.KeyHash = "order-1", "hash-2"
	b.write(func(ctx context.Context, tx TTx) {
		taken, err := b.store.InsertRun(ctx, tx, second)
		require.NoError(b, err)
		require.NotNil(b, taken)
		first.Payload = nil
		require.Equal(b, first, *taken)
	})
	require.Empty(b, b.find(driver.RunQuery{IDs: []flow.RunID{second.ID}}))

	other := newRun("refund")
	other.Key = "order-1"
	b.insert(other) // keys belong to their workflow
	b.insert(newRun("checkout"))
	b.insert(newRun("checkout")) // and no key is not a key
}

// freeKeyLetsAnotherRunHaveIt: a key that was freed is not taken, and finds its run.
func freeKeyLetsAnotherRunHaveIt[TTx any](b *storeBench[TTx]) {
	keyed := func(status flow.RunStatus, after time.Duration) flow.Run {
		run := newRun("checkout")
		run.Key, run.Status, run.CreatedAt = "order-1", status, sampleTime.Add(after)
		b.insert(run)
		run.Payload = nil
		return run
	}
	free := func(run flow.Run) {
		b.write(func(ctx context.Context, tx TTx) { require.NoError(b, b.store.FreeKey(ctx, tx, run.ID)) })
	}
	failed := keyed(flow.RunFailed, 0)
	free(failed)
	free(failed)
	cancelled := keyed(flow.RunCancelled, time.Second)
	free(failed) // which is not the one that has the key now
	b.write(func(ctx context.Context, tx TTx) {
		taken, err := b.store.InsertRun(ctx, tx, func() flow.Run { run := newRun("checkout"); run.Key = "order-1"; return run }())
		require.NoError(b, err)
		require.Equal(b, &cancelled, taken)
	})
	free(cancelled)
	running := keyed(flow.RunRunning, 2*time.Second)
	free(running)
	b.write(func(ctx context.Context, tx TTx) {
		taken, err := b.store.InsertRun(ctx, tx, func() flow.Run { run := newRun("checkout"); run.Key = "order-1"; return run }())
		require.NoError(b, err)
		require.Equal(b, &running, taken, "it may still complete")
		require.NoError(b, b.store.FreeKey(ctx, tx, newRunID()), "nobody's")
	})
	all := []flow.Run{running, cancelled, failed}
	require.Equal(b, all, b.find(driver.RunQuery{Workflow: "checkout", Key: "order-1"}))
	require.Equal(b, all, b.find(driver.RunQuery{Key: "order-1"}))
	require.Equal(b, all[1:2], b.find(driver.RunQuery{Workflow: "checkout", Key: "order-1", Limit: 1, After: &driver.RunCursor{CreatedAt: running.CreatedAt, ID: running.ID}}))
	require.Equal(b, all[2:], b.find(driver.RunQuery{Workflow: "checkout", Key: "order-1", Statuses: []flow.RunStatus{flow.RunFailed}}))
}

func oneOfManyTakesAKeyOver[TTx any](b *storeBench[TTx]) {
	failed := newRun("checkout")
	failed.Key, failed.Status = "order-1", flow.RunFailed
	b.insert(failed)
	var group sync.WaitGroup
	var won atomic.Int32
	for range 8 {
		run := newRun("checkout")
		run.Key = "order-1"
		group.Go(func() {
			assert.NoError(b, b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
				if err := b.store.FreeKey(ctx, tx, failed.ID); err != nil {
					return err
				}
				taken, err := b.store.InsertRun(ctx, tx, run)
				if taken == nil && err == nil {
					won.Add(1)
				}
				return err
			}))
		})
	}
	group.Wait()
	require.EqualValues(b, 1, won.Load())
}

// takenIDReturnsItsRun: a start is repeated whose first COMMIT took effect without anybody hearing of it.
func takenIDReturnsItsRun[TTx any](b *storeBench[TTx]) {
	for _, key := range []string{"", "order-1"} {
		run := newRun("checkout")
		run.Key = key
		b.insert(run)
		b.write(func(ctx context.Context, tx TTx) {
			taken, err := b.store.InsertRun(ctx, tx, run)
			require.NoError(b, err)
			require.NotNil(b, taken)
			require.Equal(b, run.ID, taken.ID)
		})
	}
}

func oneOfManyConcurrentKeysWins[TTx any](b *storeBench[TTx]) {
	const starts = 8
	type result struct {
		id  flow.RunID
		err error
	}
	results := make(chan result, starts)
	for range starts {
		go func() {
			run := newRun("checkout")
			run.Key = "order-1"
			err := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
				taken, err := b.store.InsertRun(ctx, tx, run)
				if taken != nil {
					run.ID = taken.ID
				}
				return err
			})
			results <- result{run.ID, err}
		}()
	}
	seen := map[flow.RunID]bool{}
	for range starts {
		r := <-results
		require.NoError(b, r.err)
		seen[r.id] = true
	}
	require.Len(b, seen, 1)
	require.Len(b, b.find(driver.RunQuery{Workflow: "checkout", Key: "order-1"}), 1)
}

// waitsForAnUncommittedKey: the second start must not decide before the first one's fate is known, in either case.
func waitsForAnUncommittedKey[TTx any](b *storeBench[TTx]) {
	for _, commits := range []bool{true, false} {
		run := newRun("checkout")
		run.Key = "order-" + map[bool]string{true: "kept", false: "taken-back"}[commits]
		second := run
		second.ID = newRunID()

		release, inserted, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			done <- b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
				_, err := b.store.InsertRun(ctx, tx, run)
				close(inserted)
				<-release
				if err == nil && !commits {
					err = context.Canceled
				}
				return err
			})
		}()
		<-inserted
		time.AfterFunc(50*time.Millisecond, func() { close(release) })
		b.write(func(ctx context.Context, tx TTx) {
			taken, err := b.store.InsertRun(ctx, tx, second)
			require.NoError(b, err)
			require.Equal(b, commits, taken != nil)
		})
		<-done
	}
}

func lockAnswersExistingRunsAndTheClock[TTx any](b *storeBench[TTx]) {
	one, two := newRun("a"), newRun("b")
	b.insert(one)
	b.insert(two)
	for _, skip := range []bool{true, false} {
		var last time.Time
		b.write(func(ctx context.Context, tx TTx) {
			locked, err := b.store.Lock(ctx, tx, driver.LockQuery{Runs: []flow.RunID{two.ID, newRunID(), one.ID, one.ID}, SkipLocked: skip})
			require.NoError(b, err)
			want := one
			want.Payload = nil
			require.Len(b, locked.Runs, 2)
			require.Equal(b, want, locked.Runs[one.ID])
			require.False(b, locked.WorkerLost)
			require.Equal(b, time.UTC, locked.Now.Location())
			require.Zero(b, locked.Now.Nanosecond()%1000, "times have microseconds")
			require.WithinDuration(b, time.Now(), locked.Now, time.Minute)

			again, err := b.store.Lock(ctx, tx, driver.LockQuery{})
			require.NoError(b, err)
			require.Empty(b, again.Runs)
			require.False(b, again.Now.Before(locked.Now), "the clock goes on within a transaction")
			last = again.Now
		})
		require.False(b, last.IsZero())
	}
}

func lockWaitsAndReadsTheClockAfterwards[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.insert(run)
	released := make(chan time.Time, 1)
	b.holding(run.ID, func(release func()) {
		time.AfterFunc(300*time.Millisecond, func() {
			released <- time.Now()
			release()
		})
		b.write(func(ctx context.Context, tx TTx) {
			locked, err := b.store.Lock(ctx, tx, driver.LockQuery{Runs: []flow.RunID{run.ID}})
			require.NoError(b, err)
			// Database and test share a machine, hence a clock.
			require.False(b, locked.Now.Before((<-released).Truncate(time.Microsecond)), "the clock was read before the lock was granted")
		})
	})
}

func lockSkipsWhatSomebodyElseHolds[TTx any](b *storeBench[TTx]) {
	if !b.postgres() {
		return // one writer: nobody else can hold anything
	}
	held, free := newRun("a"), newRun("a")
	b.insert(held)
	b.insert(free)
	b.holding(held.ID, func(func()) {
		b.write(func(ctx context.Context, tx TTx) {
			locked, err := b.store.Lock(ctx, tx, driver.LockQuery{Runs: []flow.RunID{held.ID, free.ID}, SkipLocked: true})
			require.NoError(b, err)
			require.Len(b, locked.Runs, 1)
			require.Contains(b, locked.Runs, free.ID)
		})
	})
}

func opposedOrdersDoNotDeadlock[TTx any](b *storeBench[TTx]) {
	var all []flow.RunID
	for range 10 {
		run := newRun("a")
		b.insert(run)
		all = append(all, run.ID)
	}
	reversed := make([]flow.RunID, 0, len(all))
	for i := range all {
		reversed = append(reversed, all[len(all)-1-i])
	}
	done := make(chan error, 2)
	for _, order := range [][]flow.RunID{all, reversed} {
		go func() {
			for range 30 {
				err := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
					_, err := b.store.Lock(ctx, tx, driver.LockQuery{Runs: order})
					return err
				})
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	require.NoError(b, <-done)
	require.NoError(b, <-done)
}

func lockAnswersWhetherTheWorkerIsLost[TTx any](b *storeBench[TTx]) {
	worker := b.tick(driver.WorkerTick{Register: &flow.Worker{Name: "w"}, Lease: time.Minute}).Registered
	lost := func(id flow.WorkerID) (lost bool) {
		b.write(func(ctx context.Context, tx TTx) {
			locked, err := b.store.Lock(ctx, tx, driver.LockQuery{Worker: id})
			require.NoError(b, err)
			lost = locked.WorkerLost
		})
		return lost
	}
	require.False(b, lost(0), "nobody was asked about")
	require.False(b, lost(worker))
	require.True(b, lost(worker+1), "an unknown worker is a lost one")
	b.tick(driver.WorkerTick{Resign: worker, Lease: time.Minute})
	require.True(b, lost(worker))
}

func insertIsInvisibleUntilItsCommit[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	b.write(func(ctx context.Context, tx TTx) {
		_, err := b.store.InsertRun(ctx, tx, run)
		require.NoError(b, err)
		require.Empty(b, b.find(driver.RunQuery{IDs: []flow.RunID{run.ID}}), "and a reader does not wait for it")
	})
	require.Len(b, b.find(driver.RunQuery{IDs: []flow.RunID{run.ID}}), 1)
}

func applyOfANewRunLeavesItsRow[TTx any](b *storeBench[TTx]) {
	run := newRun("a")
	start := flow.Transition{
		Run: run, NewRun: true, Steps: []flow.StepChange{scheduled(run.ID, "a", sampleTime)},
		Audit: []flow.AuditEntry{{Run: run.ID, Seq: 1, Kind: flow.AuditStarted, At: sampleTime}},
	}
	b.write(func(ctx context.Context, tx TTx) {
		taken, err := b.store.InsertRun(ctx, tx, run)
		require.NoError(b, err)
		require.Nil(b, taken)
		require.NoError(b, b.store.Apply(ctx, tx, []flow.Transition{start}))
	})
	require.Equal(b, run, b.run(run.ID))
	require.Equal(b, start.Steps[0].StepState, b.load(run.ID, flow.Reads{All: true}).Steps[do("a")])
	require.Equal(b, start.Audit, b.history(run.ID).Audit)
}

// holding calls fn while another transaction holds the lock of a run, until release is called or fn returns.
func (b *storeBench[TTx]) holding(id flow.RunID, fn func(release func())) {
	b.Helper()
	locked, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	release := sync.OnceFunc(func() { close(end) })
	go func() {
		done <- b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
			_, err := b.store.Lock(ctx, tx, driver.LockQuery{Runs: []flow.RunID{id}})
			close(locked)
			<-end
			return err
		})
	}()
	<-locked
	fn(release)
	release()
	require.NoError(b, <-done)
}
