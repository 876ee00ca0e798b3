package squidmesh

import (
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/lever"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Limits of what is remembered: how many runs, bytes of one run, and bytes of all. They bound the process's memory. The largest
// workflow fits.
const (
	maxCarried           = 10_000
	maxCarriedBytes      = 1 << 20
	maxCarriedAltogether = 64 << 20
)

// How many bytes a memory takes besides payload and outputs, as measured: by itself, for each row, and for each other key of a map.
const (
	memoryBytes = 1 << 10
	rowBytes    = 450
	keyBytes    = 130
)

// runMemory is what this process remembers of a run since its own last commit. If the locked row is still the one of that commit,
// nothing needs to be loaded. The lock is always taken, since only the locked row tells.
type runMemory struct {
	// version and lastAt say which commit the memory is of. Both must match the locked row. A database that lost its last commits,
	// in a failover or because it did not wait for the disk, comes to the same version again, but at another time.
	version int
	lastAt  time.Time

	all    bool // every step row is known
	rows   map[flow.StepKey]flow.StepState
	noRows map[flow.StepKey]bool // that were asked for and were not there

	payload    json.RawMessage
	hasPayload bool
	outputs    map[string]json.RawMessage
	noOutputs  map[string]bool // that were asked for and were not there
	dataBytes  int             // of payload and outputs
}

// newRunMemory is the memory of a run that is just being started: everything is known of it.
func newRunMemory(payload json.RawMessage) *runMemory {
	c := emptyRunMemory()
	c.all, c.payload, c.hasPayload, c.dataBytes = true, payload, true, len(payload)
	return c
}

func emptyRunMemory() *runMemory {
	return &runMemory{
		rows: map[flow.StepKey]flow.StepState{}, noRows: map[flow.StepKey]bool{},
		outputs: map[string]json.RawMessage{}, noOutputs: map[string]bool{},
	}
}

// size returns about how many bytes the memory takes.
func (c *runMemory) size() int {
	return memoryBytes + c.dataBytes + len(c.rows)*rowBytes + (len(c.noRows)+len(c.outputs)+len(c.noOutputs))*keyBytes
}

// missing returns the part of reads that is not known yet.
func (c *runMemory) missing(reads flow.Reads) flow.Reads {
	var m flow.Reads
	if !c.all {
		m.All = reads.All
		for _, key := range reads.Steps {
			if _, ok := c.rows[key]; !ok && !c.noRows[key] {
				m.Steps = append(m.Steps, key)
			}
		}
	}
	m.Payload = reads.Payload && !c.hasPayload
	for _, name := range reads.Outputs {
		if _, ok := c.outputs[name]; !ok && !c.noOutputs[name] {
			m.Outputs = append(m.Outputs, name)
		}
	}
	return m
}

// add adds what was loaded for reads.
func (c *runMemory) add(reads flow.Reads, loaded driver.Loaded) {
	maps.Copy(c.rows, loaded.Steps)
	c.all = c.all || reads.All
	for _, key := range reads.Steps {
		if _, ok := loaded.Steps[key]; !ok {
			c.noRows[key] = true
		}
	}
	for _, name := range reads.Outputs {
		if _, ok := loaded.Outputs[name]; !ok {
			c.noOutputs[name] = true
		}
	}
	for name, output := range loaded.Outputs {
		c.outputs[name] = output
		c.dataBytes += len(output)
	}
	if reads.Payload {
		c.payload, c.hasPayload = loaded.Payload, true
		c.dataBytes += len(loaded.Payload)
	}
}

// apply brings the memory up to date with a transition. Whoever calls it must drop the memory if the transaction does not commit.
func (c *runMemory) apply(t flow.Transition) {
	c.version, c.lastAt = t.Run.Version, t.Run.LastAt
	for _, change := range t.Steps {
		c.rows[change.StepKey] = change.StepState
	}
	for _, e := range t.Audit {
		if e.Output == nil || e.Phase != flow.PhaseDo {
			continue
		}
		if _, twice := c.outputs[e.Name]; !twice {
			c.dataBytes += len(e.Output)
		}
		c.outputs[e.Name] = e.Output
	}
}

// runMemories keeps the memories of runs. A run has at most one memory in it. Whoever takes a run's memory owns it, and puts it
// back only after the commit. So a memory is never newer than the database, and after a rollback it is gone.
type runMemories struct {
	mu    sync.Mutex
	runs  map[RunID]*runMemory
	bytes int // in all of them
}

// take removes and returns the memory of a run whose locked row is given. If the memory is of another commit, it returns an empty
// one.
func (c *runMemories) take(run Run) *runMemory {
	c.mu.Lock()
	defer c.mu.Unlock()
	memory := c.forget(run.ID)
	if memory == nil || memory.version != run.Version || !memory.lastAt.Equal(run.LastAt) {
		memory = emptyRunMemory()
		memory.version, memory.lastAt = run.Version, run.LastAt
	}
	return memory
}

// put keeps a run's memory instead of an older one. It does not keep that of a run that has ended or is too large.
func (c *runMemories) put(run Run, memory *runMemory) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(run.ID)
	size := memory.size()
	if run.Status.Terminal() || size > maxCarriedBytes || lever.Off(lever.Carry) {
		return
	}
	if c.runs == nil {
		c.runs = map[RunID]*runMemory{}
	}
	for id := range c.runs { // any: a forgotten run is only loaded again
		if len(c.runs) < maxCarried && c.bytes+size <= maxCarriedAltogether {
			break
		}
		c.forget(id)
	}
	c.runs[run.ID] = memory
	c.bytes += size
}

// forget removes and returns the memory of a run. It returns nil if there is none. The caller holds mu.
func (c *runMemories) forget(id RunID) *runMemory {
	memory := c.runs[id]
	if memory != nil {
		delete(c.runs, id)
		c.bytes -= memory.size()
	}
	return memory
}
