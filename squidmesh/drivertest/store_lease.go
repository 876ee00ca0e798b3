package drivertest

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func leaseTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Leases_ALivingOneIsNotLost":            livingWorkerIsNotLost[TTx],
		"Leases_ASilentOneIsLostForGood":        silentWorkerIsLostForGood[TTx],
		"Leases_ALateOneLivesUntilItIsDeclared": lateWorkerLivesUntilDeclared[TTx],
		"Leases_NobodyIsLostForAnOutage":        nobodyIsLostForAnOutage[TTx],
		"Leases_WhoWasAwayIsNoWitness":          whoWasAwayIsNoWitness[TTx],
		"Leases_APartOfATickDoesNoMore":         partOfATickDoesNoMore[TTx],
		"Leases_OneThatResignsLeavesItsHolds":   resigningWorkerLeavesItsHolds[TTx],
		"Leases_AnExclusiveOneLosesAllOthers":   exclusiveWorkerLosesOthers[TTx],
		"Leases_TickTogether":                   workersTickTogether[TTx],
	}
}

// long is a lease that does not end during a test; spent one that is over already.
const (
	long  = time.Hour
	spent = time.Microsecond
)

func (b *storeBench[TTx]) register(lease time.Duration) flow.WorkerID {
	b.Helper()
	report := b.tick(driver.WorkerTick{
		Register: &flow.Worker{Name: "host", Queues: []string{"default"}, Functions: []string{"checkout/a"}}, Lease: lease, Limit: 100,
	})
	require.Positive(b, report.Registered)
	require.Less(b, int64(report.Registered), int64(1)<<53, "ids survive JSON readers")
	require.True(b, report.Alive)
	return report.Registered
}

func (b *storeBench[TTx]) beat(worker flow.WorkerID) driver.WorkerReport {
	b.Helper()
	return b.tick(driver.WorkerTick{Heartbeat: worker, Lease: long, Limit: 100})
}

// silent registers a worker whose lease has run out.
func (b *storeBench[TTx]) silent() flow.WorkerID {
	b.Helper()
	worker := b.register(long)
	b.tick(driver.WorkerTick{Only: driver.TickLease, Heartbeat: worker, Lease: spent})
	return worker
}

// expire has a worker declare the silent ones lost, for which it has been there long enough. It returns the ids of all that are lost and
// hold something.
func (b *storeBench[TTx]) expire(judge flow.WorkerID) (lost []flow.WorkerID) {
	b.Helper()
	began := b.databaseTime()
	require.Eventually(b, func() bool { return b.databaseTime().After(began.Add(spent)) }, time.Minute, time.Microsecond)
	for _, h := range b.tick(driver.WorkerTick{Only: driver.TickLook, Heartbeat: judge, Lease: spent, Limit: 100}).Orphans {
		if !slices.Contains(lost, h.Worker) {
			lost = append(lost, h.Worker)
		}
	}
	slices.Sort(lost)
	return lost
}

func livingWorkerIsNotLost[TTx any](b *storeBench[TTx]) {
	one, two := b.register(long), b.register(long)
	b.hold(one, "a")
	for range 3 {
		report := b.beat(two)
		require.True(b, report.Alive)
		require.Empty(b, report.Orphans)
		require.WithinDuration(b, time.Now(), report.Now, time.Minute)
		require.Equal(b, time.UTC, report.Now.Location())
		require.True(b, b.beat(one).Alive)
	}
}

func silentWorkerIsLostForGood[TTx any](b *storeBench[TTx]) {
	silent := b.silent()
	_, first := b.hold(silent, "b", "a")
	_, second := b.hold(silent, "a")
	want := append(slices.Clone(first), second...)
	slices.SortFunc(want, compareHolds)

	other := b.register(long)
	require.True(b, b.beat(other).Alive)
	b.expire(other)
	for range 2 {
		report := b.beat(other)
		require.True(b, report.Alive)
		require.Equal(b, want, report.Orphans, "in the order of their runs, until somebody takes them over")
	}
	require.False(b, b.beat(silent).Alive, "lost is final")
	require.False(b, b.beat(silent).Alive)
	require.False(b, b.beat(other+1).Alive, "an unknown worker is lost too")
}

func lateWorkerLivesUntilDeclared[TTx any](b *storeBench[TTx]) {
	late := b.silent()
	require.True(b, b.beat(late).Alive, "nobody was there to declare it lost")
	other := b.register(long)
	require.Empty(b, b.beat(other).Orphans)
	require.True(b, b.beat(late).Alive, "and it has a lease again")
}

// nobodyIsLostForAnOutage: who comes back first, or starts then, does not judge those who could not renew their leases either. Who does not
// come back is lost a lease later.
func nobodyIsLostForAnOutage[TTx any](b *storeBench[TTx]) {
	first, second, dead := b.silent(), b.silent(), b.silent()
	for _, worker := range []flow.WorkerID{first, second, dead} {
		b.hold(worker, "a")
	}
	for range 2 {
		report := b.beat(first)
		require.True(b, report.Alive)
		require.Empty(b, report.Orphans, "it has not been there for a lease")
	}
	require.Empty(b, b.beat(b.register(long)).Orphans, "nor has one that starts")
	report := b.beat(second)
	require.True(b, report.Alive)
	require.Empty(b, report.Orphans)
	require.Equal(b, []flow.WorkerID{dead}, b.expire(first))
	require.False(b, b.beat(dead).Alive)
	require.True(b, b.beat(first).Alive)
	require.True(b, b.beat(second).Alive)

	// Another one that has been there is as good a witness.
	silent := b.silent()
	b.hold(silent, "a")
	require.Contains(b, b.expire(b.register(long)), silent)
}

// whoWasAwayIsNoWitness: a lease that has not run out yet proves nothing. Just after an outage of most of a lease, that of the last one to
// renew still runs, and neither this one, if it looks before it renews, nor another one may judge by it.
func whoWasAwayIsNoWitness[TTx any](b *storeBench[TTx]) {
	const lease = time.Second
	last, silent := b.register(lease), b.silent()
	b.hold(silent, "a")
	away := b.databaseTime().Add(lease * 3 / 4)
	require.Eventually(b, func() bool { return b.databaseTime().After(away) }, time.Minute, time.Millisecond)
	first := b.register(long)
	for _, judge := range []flow.WorkerID{last, first} {
		look := driver.WorkerTick{Only: driver.TickLook, Heartbeat: judge, Lease: lease * 3 / 4, Limit: 100}
		require.Empty(b, b.tick(look).Orphans)
	}
	require.True(b, b.beat(silent).Alive)
	b.beat(last)
	require.Empty(b, b.expire(last), "who came back")
}

func partOfATickDoesNoMore[TTx any](b *storeBench[TTx]) {
	gone, worker, other := b.register(long), b.silent(), b.register(long)
	_, held := b.hold(gone, "a")
	b.hold(worker, "a")
	b.tick(driver.WorkerTick{Only: driver.TickLease, Resign: gone, Lease: long})
	look := driver.WorkerTick{Only: driver.TickLook, Heartbeat: worker, Lease: long, Limit: 100}
	renew := driver.WorkerTick{Only: driver.TickLease, Heartbeat: worker, Lease: long, Limit: 100}

	report := b.tick(renew)
	require.True(b, report.Alive)
	require.Empty(b, report.Orphans, "renewing does not look")
	require.Equal(b, []flow.WorkerID{gone}, b.expire(other), "the lease has been renewed")
	report = b.tick(look)
	require.True(b, report.Alive)
	require.Equal(b, held, report.Orphans)

	renew.Lease = spent
	b.tick(renew)
	require.True(b, b.tick(look).Alive)
	require.Contains(b, b.expire(other), worker, "looking does not renew")
	require.False(b, b.tick(look).Alive)
	require.False(b, b.tick(renew).Alive)

	renew = driver.WorkerTick{Only: driver.TickLease, Register: &flow.Worker{Name: "host"}, Lease: long, Limit: 100}
	report = b.tick(renew)
	require.Positive(b, report.Registered)
	require.True(b, report.Alive)
	require.Empty(b, report.Orphans)
}

func resigningWorkerLeavesItsHolds[TTx any](b *storeBench[TTx]) {
	worker := b.register(long)
	_, held := b.hold(worker, "a")
	other := b.register(long)
	require.Empty(b, b.beat(other).Orphans)
	report := b.tick(driver.WorkerTick{Resign: worker, Lease: long})
	require.False(b, report.Alive)
	require.Equal(b, held, b.beat(other).Orphans, "without waiting for the lease")
	require.False(b, b.beat(worker).Alive)
}

func exclusiveWorkerLosesOthers[TTx any](b *storeBench[TTx]) {
	before := b.register(long)
	_, held := b.hold(before, "a")
	report := b.tick(driver.WorkerTick{Register: &flow.Worker{Name: "next"}, Lease: long, LoseOthers: true, Limit: 100})
	require.True(b, report.Alive)
	require.Equal(b, held, report.Orphans)
	require.False(b, b.beat(before).Alive)
	require.True(b, b.beat(report.Registered).Alive)
}

// workersTickTogether: late workers that declare each other lost must neither wait for each other nor both be gone unheard.
func workersTickTogether[TTx any](b *storeBench[TTx]) {
	const workers = 4
	done := make(chan error, workers)
	for range workers {
		go func() {
			done <- func() error {
				var worker flow.WorkerID
				for range 20 {
					err := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
						tick := driver.WorkerTick{Heartbeat: worker, Lease: spent, Limit: 100}
						if worker == 0 {
							tick.Register = &flow.Worker{Name: "host"}
						}
						report, err := b.store.Workers(ctx, tx, tick)
						if report.Registered != 0 {
							worker = report.Registered
						}
						if !report.Alive {
							worker = 0
						}
						return err
					})
					if err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range workers {
		require.NoError(b, <-done)
	}
}
