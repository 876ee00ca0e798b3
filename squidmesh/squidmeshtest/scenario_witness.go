package squidmeshtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/assert"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// witness is an observer that holds what it is told against what is stored: each entry of the audit is told once, after its commit.
type witness struct {
	mu        sync.Mutex
	committed map[entryKey]bool
	told      map[squidmesh.RunID][]squidmesh.AuditEntry
	early     []squidmesh.AuditEntry
}

type entryKey struct {
	run squidmesh.RunID
	seq int
}

func newWitness() *witness {
	return &witness{committed: map[entryKey]bool{}, told: map[squidmesh.RunID][]squidmesh.AuditEntry{}}
}

// commit notes what has just been committed.
func (w *witness) commit(ts []squidmesh.Transition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range ts {
		for _, e := range t.Audit {
			w.committed[entryKey{e.Run, e.Seq}] = true
		}
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
}

// agrees compares a run's audit with what was told of it, whatever overtook what.
func (w *witness) agrees(stored View) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := slices.SortedStableFunc(slices.Values(w.told[stored.Run.ID]), func(a, b squidmesh.AuditEntry) int { return a.Seq - b.Seq })
	want := slices.Clone(stored.Audit)
	for i := range want {
		want[i].Data, want[i].Output = nil, nil
	}
	var problems report
	assert.Equal(&problems, normal(View{Audit: want}).Audit, normal(View{Audit: told}).Audit, "what was told")
	assert.Empty(&problems, w.early, "told before its commit")
	if len(problems) > 0 {
		return fmt.Errorf("what the observer was told is not what was committed: %s", bytes.Join(problems, []byte("\n")))
	}
	return nil
}
