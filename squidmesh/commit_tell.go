package squidmesh

import (
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// told does what follows a commit for one member: it tells running steps to stop, has queues woken, sets timers, and tells the
// observer. Nothing of it may come before the commit.
func (cm *committer[TTx]) told(m *member) {
	c := m.c
	if c.Empty() {
		return
	}
	switch {
	case c.Interrupt && c.Run.Verdict != flow.VerdictNone:
		cm.live.interrupt(c.Run.ID)
	case c.Interrupt:
		// The run goes on behind the block, perhaps here and already, so only the block's children may be told.
		if p := cm.definitions.specs.get(c.Run.Shape); p != nil {
			cm.live.interruptBlock(driver.BlockKey{Run: c.Run.ID, Name: p.spec.Find(c.Audit[0].Name).Block})
		}
	}
	if e, ok := m.event.(flow.Claimed); ok {
		cm.queue.pacer.claimed(deliveryID{m.id, e.StepKey, e.Attempt})
	}
	for _, job := range c.jobs {
		if job.Delay <= 0 {
			cm.queue.waker.Wake(job.Queue)
		}
	}
	cm.queue.paced(m.id, c.jobs)
	cm.teller.observe(m)
}

// settle does what follows a commit, for all its members. It keeps the memories of the runs, which only now are what the database
// has.
func (cm *committer[TTx]) settle(w *batchWrite) {
	for _, r := range w.order {
		switch {
		case !r.folded.Empty():
			cm.carrier.put(r.folded.Run, r.memory)
		case r.run.ID != (RunID{}): // else a start whose place was taken
			cm.carrier.put(r.run, r.memory)
		}
		for _, m := range r.members {
			if m.err == nil {
				cm.told(m)
			}
		}
	}
}
