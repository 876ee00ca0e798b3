package squidmesh

import (
	"maps"
	"slices"
	"sync"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// liveSet is what executes in this process, by run.
type liveSet struct {
	mu   sync.Mutex
	runs map[RunID]map[*execution]bool
}

func (l *liveSet) add(x *execution) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil {
		l.runs = map[RunID]map[*execution]bool{}
	}
	if l.runs[x.claim.Run] == nil {
		l.runs[x.claim.Run] = map[*execution]bool{}
	}
	l.runs[x.claim.Run][x] = true
}

func (l *liveSet) remove(x *execution) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.runs[x.claim.Run], x)
	if len(l.runs[x.claim.Run]) == 0 {
		delete(l.runs, x.claim.Run)
	}
}

// interrupt tells the run's own steps to stop; undos go on.
func (l *liveSet) interrupt(id RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for x := range l.runs[id] {
		if x.claim.Phase == flow.PhaseDo {
			x.cancel(ErrInterrupted)
		}
	}
}

// blocks are those whose children are at work.
func (l *liveSet) blocks() []driver.BlockKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[driver.BlockKey]bool{}
	for id, executions := range l.runs {
		for x := range executions {
			if x.claim.Phase == flow.PhaseDo && x.step.Block != "" {
				seen[driver.BlockKey{Run: id, Name: x.step.Block}] = true
			}
		}
	}
	return slices.Collect(maps.Keys(seen))
}

// interruptBlock tells the children of a block to stop.
func (l *liveSet) interruptBlock(block driver.BlockKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for x := range l.runs[block.Run] {
		if x.claim.Phase == flow.PhaseDo && x.step.Block == block.Name {
			x.cancel(ErrInterrupted)
		}
	}
}

// cancelAll ends the contexts of everything that executes here.
func (l *liveSet) cancelAll(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, executions := range l.runs {
		for x := range executions {
			x.cancel(cause)
		}
	}
}

// all are the executions.
func (l *liveSet) all() []*execution {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*execution
	for _, executions := range l.runs {
		for x := range executions {
			all = append(all, x)
		}
	}
	return all
}
