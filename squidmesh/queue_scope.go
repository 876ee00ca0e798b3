package squidmesh

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

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
func (q *queue[TTx]) scopeIn(ctx context.Context, tx TTx) (string, error) {
	if q.scope.name.Load() == nil {
		if err := q.findScope(ctx, tx); err != nil {
			return "", err
		}
	}
	return *q.scope.name.Load(), nil
}

// findScope reads the name of the store.
func (q *queue[TTx]) findScope(ctx context.Context, tx TTx) error {
	name, err := q.store.Scope(ctx, tx)
	if err == nil {
		err = check.Line("Scope", name, driver.MaxScope)
	}
	if err != nil {
		return fmt.Errorf("find the scope of the store: %w", err)
	}
	q.scope.name.Store(&name)
	return nil
}

// scopesInQueues are those that deliveries name which stand in this program's queues: whether there are other stores, and whether the queue
// answers at all, which else the first start of a run would find out. Nil is the answer of an executor that cannot be asked.
func (q *queue[TTx]) scopesInQueues(ctx context.Context) (scopes []string, err error) {
	prober, ok := q.executor.(driver.ScopeProber[TTx])
	if !ok {
		return nil, nil
	}
	err = q.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		scopes, err = q.probeScopes(ctx, tx, prober)
		return err
	})
	return scopes, err
}

// warnOfOthers warns of other stores among those whose deliveries stand in this program's queues.
func (q *queue[TTx]) warnOfOthers(scopes []string) {
	own := *q.scope.name.Load()
	if scopes = slices.DeleteFunc(scopes, func(scope string) bool { return scope == own }); len(scopes) > 0 {
		q.logger.Warn("squidmesh: deliveries of other stores stand in this program's queues: "+flow.KeepApart, "queues", q.queues(), "theirs", scopes, "ours", own)
	}
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

// missed is since when a process has missed what was due at a time, if its job came to a program of another store: no longer than it is
// there itself, which began at a time.
func missed(job flow.JobState, due, began time.Time) time.Time {
	if job.BackFor == flow.DeliveryForeign && began.After(due) {
		return began
	}
	return due
}
