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

// Runs counts the runs of all statuses.
func (p Pruned) Runs() int { return p.Completed + p.Failed + p.Cancelled }

// Add adds the counts of another call.
func (p *Pruned) Add(more Pruned) {
	p.Completed += more.Completed
	p.Failed += more.Failed
	p.Cancelled += more.Cancelled
	p.Fires += more.Fires
	p.Shapes += more.Shapes
}

// PruneQuery says what is too old to be kept. A zero time keeps for ever.
type PruneQuery struct {
	// Completed, Failed and Cancelled select runs with that status that ended before then.
	Completed, Failed, Cancelled time.Time
	// Fires selects fires that started no run and were fired before then.
	Fires time.Time
	// Shapes selects specs that no run has and that were last noted as in use before then. See SaveSpecs.
	Shapes time.Time
	// Now bounds the PrunedTo of triggers. A window that begins later does not raise it, since that would close all windows before
	// it.
	Now time.Time
	// Limit caps the number of runs, and that of fires.
	Limit int
	// Count only counts, without the limit, within View.
	Count bool
}

// EndedRuns is one part of a [PruneQuery]: runs with a status that ended before a time, and where to count them.
type EndedRuns struct {
	Status flow.RunStatus
	Before time.Time
	Count  *int
}

// Runs returns the parts of the query that select runs, in the order in which they share its limit. They count into pruned.
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
