package scenariotest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/assert"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// witness is an observer that holds what it is told against what is stored: each entry of the audit is told once, after its commit, and
// so is each job that the queue took.
type witness struct {
	mu        sync.Mutex
	committed map[entryKey]bool
	told      map[flow.RunID][]flow.AuditEntry
	early     []flow.AuditEntry

	queued, toldOf []witnessedJob
}

type entryKey struct {
	run flow.RunID
	seq int
}

// witnessedJob is a job and what it is for.
type witnessedJob struct {
	id string
	flow.StepKey
	attempt int
}

func newWitness() *witness {
	return &witness{committed: map[entryKey]bool{}, told: map[flow.RunID][]flow.AuditEntry{}}
}

// commit notes what has just been committed.
func (w *witness) commit(news byhand.News) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range news.Transitions {
		for _, e := range t.Audit {
			w.committed[entryKey{e.Run, e.Seq}] = true
		}
	}
	for _, job := range news.Jobs {
		key := flow.StepKey{Name: job.Delivery.Step, Phase: flow.PhaseDo}
		if job.Delivery.Kind == driver.DeliverCompensation {
			key.Phase = flow.PhaseUndo
		}
		w.queued = append(w.queued, witnessedJob{job.ID, key, job.Delivery.Attempt})
	}
}

// Observe implements squidmesh.Observer.
func (w *witness) Observe(_ context.Context, o squidmesh.Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.committed[entryKey{o.Entry.Run, o.Entry.Seq}] {
		w.early = append(w.early, o.Entry)
	}
	w.told[o.Run.ID] = append(w.told[o.Run.ID], o.Entry)
	for _, job := range o.Jobs {
		w.toldOf = append(w.toldOf, witnessedJob{job.JobID, job.StepKey, job.Attempt})
	}
}

// agrees compares a run's audit with what was told of it, whatever overtook what.
func (w *witness) agrees(stored View) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := slices.SortedStableFunc(slices.Values(w.told[stored.Run.ID]), func(a, b flow.AuditEntry) int { return a.Seq - b.Seq })
	want := slices.Clone(stored.Audit)
	for i := range want {
		want[i].Data, want[i].Output = nil, nil
	}
	var problems report
	assert.Equal(&problems, normal(View{Audit: want}).Audit, normal(View{Audit: told}).Audit, "what was told")
	assert.Empty(&problems, w.early, "told before its commit")
	assert.ElementsMatch(&problems, w.queued, w.toldOf, "jobs that were told of")
	if len(problems) > 0 {
		return fmt.Errorf("what the observer was told is not what was committed: %s", bytes.Join(problems, []byte("\n")))
	}
	return nil
}
