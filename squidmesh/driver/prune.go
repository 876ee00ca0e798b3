package driver

import (
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Pruned counts what was deleted, or would be.
type Pruned struct {
	Completed int `json:"completed"` // runs
	Failed    int `json:"failed"`    // runs
	Cancelled int `json:"cancelled"` // runs
	Fires     int `json:"fires"`     // that started no run
	Shapes    int `json:"shapes"`    // definitions
}

// Runs counts those of every status.
func (p Pruned) Runs() int { return p.Completed + p.Failed + p.Cancelled }

func (p *Pruned) Add(more Pruned) {
	p.Completed += more.Completed
	p.Failed += more.Failed
	p.Cancelled += more.Cancelled
	p.Fires += more.Fires
	p.Shapes += more.Shapes
}

// PruneQuery says what is too old to be kept. A zero time keeps for ever.
type PruneQuery struct {
	// Completed, Failed and Cancelled select runs of that status which ended before.
	Completed, Failed, Cancelled time.Time
	// Fires selects those that started no run and were fired before.
	Fires time.Time
	// Shapes selects specs that were noted as in use before, and that no run has: see SaveSpecs.
	Shapes time.Time
	// Now bounds the PrunedTo of triggers: windows that begin later do not raise it, since that would close all before them.
	Now time.Time
	// Limit caps the runs, and the fires.
	Limit int
	// Count only counts, without the limit, within View.
	Count bool
}

// EndedRuns is one part of a [PruneQuery]: runs of a status that ended before a time, and where to count them.
type EndedRuns struct {
	Status flow.RunStatus
	Before time.Time
	Count  *int
}

// Runs are the parts of the query that select runs, in the order in which they share its limit. They count into pruned.
func (q PruneQuery) Runs(pruned *Pruned) []EndedRuns {
	var parts []EndedRuns
	for _, part := range []EndedRuns{
		{flow.RunCompleted, q.Completed, &pruned.Completed},
		{flow.RunFailed, q.Failed, &pruned.Failed},
		{flow.RunCancelled, q.Cancelled, &pruned.Cancelled},
	} {
		if !part.Before.IsZero() {
			parts = append(parts, part)
		}
	}
	return parts
}
