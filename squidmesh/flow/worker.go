package flow

import (
	"time"
)

// WorkerID identifies one registration of a process. A process that lost its lease registers again under a new id. Zero is
// nobody.
type WorkerID int64

// DefaultHeartbeat is the default of [squidmesh.Config.Heartbeat].
const DefaultHeartbeat = time.Second

// Worker is the row of a process that executes.
type Worker struct {
	ID   WorkerID `json:"id"`
	Name string   `json:"name"`
	// Queues are those that its definitions use. Which of them its process works, the queue's own client knows; that it works them all
	// is for the program to see to.
	Queues    []string `json:"queues,omitzero"`
	Functions []string `json:"functions,omitzero"` // workflow/step
	Shapes    []string `json:"shapes,omitzero"`    // of the definitions that its functions were written for; their specs are saved

	// Kept by the store: when the lease ends, and when the worker was declared lost, zero for never.
	LeaseUntil time.Time `json:"lease_until,omitzero"`
	LostAt     time.Time `json:"lost_at,omitzero"`
}

const (
	// OverdueAfter is how late a delivery must be before the executor is asked what became of its job.
	OverdueAfter = time.Second
)
