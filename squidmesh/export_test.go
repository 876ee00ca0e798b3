package squidmesh

import (
	"context"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// TickCron does what a tick does about cron triggers.
func (rt *Runtime[TTx]) TickCron(ctx context.Context) error {
	var report driver.WorkerReport
	err := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) (err error) {
		report, err = rt.store.Workers(ctx, tx, driver.WorkerTick{Lease: rt.traits.Lease, Triggers: rt.cron.cronKeys(), Limit: 1})
		return err
	})
	if err != nil {
		return err
	}
	var began time.Time
	if svc := rt.worker.started(); svc != nil {
		began = svc.began
	}
	return joinTroubles(slices.Concat(rt.cron.fireTriggers(ctx, report).troubles, rt.cron.careForFires(ctx, report, began).troubles))
}

// Restore does at once what a runtime does every half an hour.
func (rt *Runtime[TTx]) Restore(ctx context.Context) error { return rt.worker.restore(ctx, 0) }

// Sealed is a store with a codec before it, as a runtime uses it.
func Sealed[TTx any](store driver.Store[TTx], codec Codec) driver.Store[TTx] {
	return sealedStore[TTx]{store, sealer{codec: codec}}
}

// SealedStrictly is Sealed where nothing in the clear is read.
func SealedStrictly[TTx any](store driver.Store[TTx], codec Codec) driver.Store[TTx] {
	return sealedStore[TTx]{store, sealer{codec: codec, strict: true}}
}

// Waiting is how many events wait for the shared commit in flight to end.
func (rt *Runtime[TTx]) Waiting() int {
	rt.committer.line.mu.Lock()
	defer rt.committer.line.mu.Unlock()
	return len(rt.committer.line.waiting)
}

// Started reports whether the runtime takes deliveries.
func (rt *Runtime[TTx]) Started() bool { return rt.worker.started() != nil }

// AgeNotes makes it longer ago that the database was told which definitions are in use.
func (rt *Runtime[TTx]) AgeNotes(by time.Duration) {
	for _, spec := range rt.workflows() {
		p := rt.registry.pin(spec)
		p.savedAt = rt.definitions.specs.get(spec.Shape()).savedAt.Add(-by)
		rt.definitions.specs.put(spec.Shape(), p)
	}
}
