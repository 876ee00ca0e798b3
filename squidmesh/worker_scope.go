package squidmesh

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// foreignPause is the pause before a delivery of another store comes again: short at first, so that its own program gets it soon, then ever
// longer, so that a program that is away for long costs the others little.
var foreignPause = Retry{Base: 200 * time.Millisecond, Max: 30 * time.Second, Jitter: 0.5}

// maxScopes bounds the jobs that a start looks at.
const maxScopes = 100

// foreignLoggedEvery is how often deliveries of other stores are logged while they come.
const foreignLoggedEvery = time.Minute

// scope is what the store is called among those that share queues, and what is known of the others.
type scope struct {
	name atomic.Pointer[string] // nil until it was read

	mu     sync.Mutex
	logged time.Time // when it was last said that deliveries of other stores come
	since  int       // how many have come since then
}

// scopeIn is the name of the store. It is read once: a schema that is renamed under a living process keeps its old name there.
func (rt *Runtime[TTx]) scopeIn(ctx context.Context, tx TTx) (string, error) {
	if rt.scope.name.Load() == nil {
		if err := rt.findScope(ctx, tx); err != nil {
			return "", err
		}
	}
	return *rt.scope.name.Load(), nil
}

// findScope reads the name of the store.
func (rt *Runtime[TTx]) findScope(ctx context.Context, tx TTx) error {
	name, err := rt.store.Scope(ctx, tx)
	if err == nil {
		err = check.Line("Scope", name, driver.MaxScope)
	}
	if err != nil {
		return fmt.Errorf("find the scope of the store: %w", err)
	}
	rt.scope.name.Store(&name)
	return nil
}

// scopesInQueues are those that deliveries name which stand in this program's queues: whether there are other stores, and whether the queue
// answers at all, which else the first start of a run would find out. Nil is the answer of an executor that cannot be asked.
func (rt *Runtime[TTx]) scopesInQueues(ctx context.Context) (scopes []string, err error) {
	prober, ok := rt.executor.(driver.ScopeProber[TTx])
	if !ok {
		return nil, nil
	}
	err = rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		scopes, err = rt.probeScopes(ctx, tx, prober)
		return err
	})
	return scopes, err
}

// warnOfOthers warns of other stores among those whose deliveries stand in this program's queues.
func (rt *Runtime[TTx]) warnOfOthers(scopes []string) {
	own := *rt.scope.name.Load()
	if scopes = slices.DeleteFunc(scopes, func(scope string) bool { return scope == own }); len(scopes) > 0 {
		rt.logger.Warn("squidmesh: deliveries of other stores stand in this program's queues: "+flow.KeepApart, "queues", rt.queues(), "theirs", scopes, "ours", own)
	}
}

// belongTo says of all jobs which store they belong to.
func belongTo(b *driver.Batch, scope string) {
	for i := range b.Steps {
		b.Steps[i].Scope = scope
	}
	for i := range b.Compensations {
		b.Compensations[i].Scope = scope
	}
	for i := range b.Crons {
		b.Crons[i].Scope = scope
	}
}

// foreign reports whether a delivery belongs to another store. What names one may be this store's all the same, since schemas are renamed
// and databases restored under other names: then its row is here, and was sent by the very job that the delivery came by.
func (rt *Runtime[TTx]) foreign(ctx context.Context, d driver.Delivery) (bool, error) {
	switch own := rt.scope.name.Load(); {
	case d.Scope == "", own != nil && d.Scope == *own:
		return false, nil
	case d.Job == "":
		return true, nil
	}
	sent := rt.sentStep
	if d.Kind == driver.DeliverCron {
		sent = rt.sentFire
	}
	job, err := sent(ctx, d)
	if err != nil {
		return false, fmt.Errorf("find whose delivery %s is: %w", d.Job, err)
	}
	return job != d.Job, nil
}

// sentStep is the job of the attempt that a delivery of a step or undo is for; empty if there is none here.
func (rt *Runtime[TTx]) sentStep(ctx context.Context, d driver.Delivery) (job string, err error) {
	id, key := uuid.MustParse(d.RunID), driver.DeliveredStep(d)
	err = rt.view(ctx, func(ctx context.Context, tx TTx) error {
		loaded, err := rt.loadRun(ctx, tx, id, flow.Reads{Steps: []StepKey{key}})
		if row := loaded.Steps[key]; row.Attempt == d.Attempt {
			job = row.JobID
		}
		return err
	})
	return job, err
}

// sentFire is the job of the fire that a cron delivery is for; empty if there is none here.
func (rt *Runtime[TTx]) sentFire(ctx context.Context, d driver.Delivery) (job string, err error) {
	err = rt.inTx(ctx, func(ctx context.Context, tx TTx) error {
		f, _, err := rt.fireOf(ctx, tx, flow.TriggerKey{Workflow: d.Workflow, Trigger: d.Trigger}, cronSignals(d))
		job = f.JobID
		return err
	})
	return job, err
}

// sendBack answers a delivery of another store: it comes again, to whoever fetches it then, and is never given up.
func (rt *Runtime[TTx]) sendBack(d driver.Delivery) flow.Outcome {
	if others := rt.scope.others(); others > 0 {
		rt.logger.Warn("squidmesh: deliveries of another store come to this program and are sent back: "+flow.KeepApart, append(aboutDelivery(d), "queue", d.Queue, "theirs", d.Scope, "ours", *rt.scope.name.Load(), "deliveries", others)...)
	}
	return flow.Outcome{Kind: flow.OutcomeAgain, After: foreignPause.Delay(min(d.SentBack, 30)+1, d.RunID, d.SignalID, d.Job), Reason: flow.DeliveryForeign}
}

// missed is since when this process has missed what was due at a time, if its job came to a program of another store: no longer than it is
// there itself.
func (rt *Runtime[TTx]) missed(job flow.JobState, due time.Time) time.Time {
	if svc := rt.started(); svc != nil && job.BackFor == flow.DeliveryForeign && svc.began.After(due) {
		return svc.began
	}
	return due
}

// others counts a delivery of another store. It returns how many have come since it was last said, if it is to be said now.
func (s *scope) others() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since++
	if !s.logged.IsZero() && time.Since(s.logged) < foreignLoggedEvery {
		return 0
	}
	since := s.since
	s.logged, s.since = time.Now(), 0
	return since
}
