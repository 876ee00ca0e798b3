package squidmesh

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/squidmesh/squidmesh-go/internal/lever"
)

// Limits of what is carried, so that memory stays bounded: runs, and bytes of data in each and in all.
const (
	maxCarried           = 10_000
	maxCarriedBytes      = 64 << 10
	maxCarriedAltogether = 64 << 20
)

// carried is what this process remembers of a run from its own last commit: if the locked row still has the version, nothing
// needs to be loaded. The lock is always taken; it is what tells.
type carried struct {
	version int

	all   bool // every step row is known
	rows  map[StepKey]StepState
	known map[StepKey]bool // rows that were asked for, be they there or not

	payload    json.RawMessage
	hasPayload bool
	outputs    map[string]json.RawMessage
	asked      map[string]bool // outputs that were asked for
	bytes      int
}

// newCarried is what is known of a run that is just being started: everything.
func newCarried(payload json.RawMessage) *carried {
	c := emptyCarried()
	c.all, c.payload, c.hasPayload, c.bytes = true, payload, true, len(payload)
	return c
}

func emptyCarried() *carried {
	return &carried{
		rows: map[StepKey]StepState{}, known: map[StepKey]bool{},
		outputs: map[string]json.RawMessage{}, asked: map[string]bool{},
	}
}

// missing is the part of reads that is not known yet.
func (c *carried) missing(reads Reads) Reads {
	var m Reads
	if !c.all {
		m.All = reads.All
		for _, key := range reads.Steps {
			if !c.known[key] {
				m.Steps = append(m.Steps, key)
			}
		}
	}
	m.Payload = reads.Payload && !c.hasPayload
	for _, name := range reads.Outputs {
		if _, ok := c.outputs[name]; !ok && !c.asked[name] {
			m.Outputs = append(m.Outputs, name)
		}
	}
	return m
}

// add takes over what was loaded for reads.
func (c *carried) add(reads Reads, loaded Loaded) {
	maps.Copy(c.rows, loaded.Steps)
	c.all = c.all || reads.All
	for _, key := range reads.Steps {
		c.known[key] = true
	}
	for _, name := range reads.Outputs {
		c.asked[name] = true
	}
	for name, output := range loaded.Outputs {
		c.outputs[name] = output
		c.bytes += len(output)
	}
	if reads.Payload {
		c.payload, c.hasPayload = loaded.Payload, true
		c.bytes += len(loaded.Payload)
	}
}

// apply brings the memory up to a transition.
func (c *carried) apply(t Transition) {
	c.version = t.Run.Version
	for _, change := range t.Steps {
		c.rows[change.StepKey] = change.StepState
		c.known[change.StepKey] = true
	}
	for _, e := range t.Audit {
		if e.Output == nil || e.Phase != PhaseDo {
			continue
		}
		if _, twice := c.outputs[e.Name]; !twice {
			c.bytes += len(e.Output)
		}
		c.outputs[e.Name] = e.Output
	}
}

// carrier keeps what is carried. Whoever takes a run's memory owns it, and puts it back only after its commit.
type carrier struct {
	mu    sync.Mutex
	runs  map[RunID]*carried
	bytes int // in all of them
}

// take removes and returns what is carried of a run at a version; else an empty memory.
func (c *carrier) take(id RunID, version int) *carried {
	c.mu.Lock()
	defer c.mu.Unlock()
	memory := c.forget(id)
	if memory == nil || memory.version != version {
		memory = emptyCarried()
		memory.version = version
	}
	return memory
}

// put keeps a run's memory, unless the run has ended or is too large to be remembered.
func (c *carrier) put(run Run, memory *carried) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if run.Status.Terminal() || memory.bytes > maxCarriedBytes || lever.Off(lever.Carry) {
		return
	}
	if c.runs == nil {
		c.runs = map[RunID]*carried{}
	}
	c.forget(run.ID)
	for id := range c.runs { // any: a forgotten run is only loaded again
		if len(c.runs) < maxCarried && c.bytes+memory.bytes <= maxCarriedAltogether {
			break
		}
		c.forget(id)
	}
	c.runs[run.ID] = memory
	c.bytes += memory.bytes
}

// forget removes and returns what is carried of a run; nil for nothing.
func (c *carrier) forget(id RunID) *carried {
	memory := c.runs[id]
	if memory != nil {
		delete(c.runs, id)
		c.bytes -= memory.bytes
	}
	return memory
}

// union is everything that either names.
func (r Reads) union(other Reads) Reads {
	r.All = r.All || other.All
	r.Payload = r.Payload || other.Payload
	for _, key := range other.Steps {
		if !slices.Contains(r.Steps, key) {
			r.Steps = append(r.Steps, key)
		}
	}
	for _, name := range other.Outputs {
		if !slices.Contains(r.Outputs, name) {
			r.Outputs = append(r.Outputs, name)
		}
	}
	return r
}

func (r Reads) empty() bool {
	return !r.All && !r.Payload && len(r.Steps) == 0 && len(r.Outputs) == 0
}
