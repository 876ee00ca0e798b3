package squidmesh

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// maxAbandoned is the default of [Config.MaxAbandoned].
const maxAbandoned = 10

// abandonedLoggedEvery is the pause between two log lines about one step that is not claimed because of what it has abandoned.
const abandonedLoggedEvery = 10 * time.Minute

// AbandonedCalls are calls of one step's function, or of its undo, that go on in this process although their attempts have ended.
type AbandonedCalls struct {
	Workflow string `json:"workflow"`
	flow.StepKey
	Calls int `json:"calls"`
}

// Abandoned returns the functions that ignored the end of their contexts and still run in this process, by workflow, step and
// phase. It is empty if all is well. Each call is a goroutine that nobody can end, with whatever it holds. At [Config.MaxAbandoned]
// calls of a step, this process does not claim the step until one of them returns. It touches no database.
func (rt *Runtime[TTx]) Abandoned() []AbandonedCalls { return rt.performer.abandoned.list() }

// functionKey names a function of a process.
type functionKey struct {
	workflow string
	flow.StepKey
}

// abandonedSet counts the calls that have been abandoned and have not returned. The zero set is empty.
type abandonedSet struct {
	most   int
	logger *slog.Logger

	mu     sync.Mutex
	calls  map[functionKey]int
	logged map[functionKey]time.Time // when it was last said that a step is not claimed
	full   atomic.Int32              // how many functions are at the limit: mostly none, and then nobody waits for the lock
}

// invocation is one call of a function, which returns at some time, and may be abandoned before.
type invocation struct {
	set   *abandonedSet
	key   functionKey
	state atomic.Int32
}

// The states of an invocation.
const (
	invoked int32 = iota
	invokedAbandoned
	invokedReturned
)

func (s *abandonedSet) invocation(key functionKey) *invocation { return &invocation{set: s, key: key} }

// abandon counts the call until it returns. It reports false if it has returned.
func (i *invocation) abandon() bool {
	i.set.add(i.key, 1)
	if i.state.CompareAndSwap(invoked, invokedAbandoned) {
		return true
	}
	i.set.add(i.key, -1)
	return false
}

// returned is called in the goroutine of the call when it is over.
func (i *invocation) returned() {
	if i.state.Swap(invokedReturned) == invokedAbandoned {
		i.set.add(i.key, -1)
	}
}

func (s *abandonedSet) add(key functionKey, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls, s.logged = map[functionKey]int{}, map[functionKey]time.Time{}
	}
	before := s.calls[key]
	after := before + n
	s.calls[key] = after
	if after == 0 {
		delete(s.calls, key)
	}
	switch {
	case before < s.most && after >= s.most:
		s.full.Add(1)
	case before >= s.most && after < s.most:
		s.full.Add(-1)
		delete(s.logged, key)
		s.logger.Info("squidmesh: step is claimed again, since an abandoned call of it returned", s.about(key, after)...)
	}
}

func (s *abandonedSet) about(key functionKey, calls int) []any {
	return []any{logWorkflow, key.workflow, logStep, key.Name, logPhase, key.Phase, "abandoned", calls}
}

// stuck are the steps of a workflow that are at the limit; nil if none is.
func (s *abandonedSet) stuck(workflow string) map[flow.StepKey]bool {
	if s.full.Load() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var stuck map[flow.StepKey]bool
	for key, calls := range s.calls {
		if key.workflow == workflow && calls >= s.most {
			if stuck == nil {
				stuck = map[flow.StepKey]bool{}
			}
			stuck[key.StepKey] = true
		}
	}
	return stuck
}

// refused says that a delivery of the step was sent back: the first time, and then rarely.
func (s *abandonedSet) refused(key functionKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.logged[key]; s.calls[key] < s.most || ok && time.Since(last) < abandonedLoggedEvery {
		return
	}
	s.logged[key] = time.Now()
	s.logger.Error("squidmesh: step is not claimed by this process, where too many calls of it ignore the end of their contexts",
		s.about(key, s.calls[key])...)
}

func (s *abandonedSet) list() []AbandonedCalls {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]AbandonedCalls, 0, len(s.calls))
	for key, calls := range s.calls {
		list = append(list, AbandonedCalls{Workflow: key.workflow, StepKey: key.StepKey, Calls: calls})
	}
	slices.SortFunc(list, func(a, b AbandonedCalls) int {
		return cmp.Or(cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Phase, b.Phase))
	})
	return list
}
