package flow

import (
	"time"
)

// WorkerID identifies one registration of a process. A process that lost its lease registers again under a new id. Zero is nobody.
type WorkerID int64

// DefaultHeartbeat is the default of [squidmesh.Config.Heartbeat].
const DefaultHeartbeat = time.Second

// Worker is the row of a process that executes.
type Worker struct {
	ID   WorkerID `json:"id"`
	Name string   `json:"name"`
	// Queues are the queues of its definitions. Only the queue's own client knows which of them its process works; the program has
	// to see to it that it works them all.
	Queues    []string `json:"queues,omitzero"`
	Functions []string `json:"functions,omitzero"` // workflow/step
	Shapes    []string `json:"shapes,omitzero"`    // of the definitions that its functions were written for; their specs are saved

	// The store keeps these. LeaseUntil is when the lease ends. LostAt is when the worker was declared lost; zero is never.
	LeaseUntil time.Time `json:"lease_until,omitzero"`
	LostAt     time.Time `json:"lost_at,omitzero"`
}

const (
	// OverdueAfter is how late a delivery must be before a tick asks the executor what became of its job.
	OverdueAfter = time.Second
)
