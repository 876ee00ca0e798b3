package squidmesh

import (
	"context"
	"encoding/json"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// size returns about how many bytes the member brings: a result or a payload. All else is small beside that.
func (m *member) size() int {
	if m.start != nil {
		return m.start.payload.size
	}
	return flow.TraitsOf(m.event).Size
}

// about returns the attributes of a log line about a member: which attempt of which run it is about, and under which job it comes.
func (m *member) about() []any {
	about := []any{logRun, m.id}
	if m.c.run.Workflow != "" {
		about = append(about, logWorkflow, m.c.run.Workflow)
	}
	if a := flow.TraitsOf(m.event).Attempted; a.Name != "" {
		about = append(about, logStep, a.Name, logPhase, a.Phase, logAttempt, a.Attempt)
	}
	if e, ok := m.event.(flow.Lost); ok {
		about = append(about, "worker", e.Worker)
	}
	if m.job != "" {
		about = append(about, logJob, m.job)
	}
	return about
}

// member is one event on its way into the database, alone or together with others. One goroutine at a time has it: its caller's, or
// the one that commits its batch. After a commit, either c, err or own says what became of it.
type member struct {
	id    RunID
	event flow.Event
	start *pendingStart // of a member that starts a run instead

	// doubtful is what an earlier try of a start led to whose COMMIT may still take effect, as the server may be at work on it. It
	// is nil if no try is in doubt.
	doubtful *committed

	// joined says that the transaction is the caller's, who may roll back. So nothing is remembered of it, and a tick tells the
	// observers if it commits.
	joined bool

	// What the observer is told: the context whose values it gets, the job under which the member comes, when it was asked for, and
	// how long the step's function took.
	ctx   context.Context
	job   string
	asked time.Time
	took  time.Duration

	plain bool // the database could not store what the end of the attempt brought, so that it brings nothing any more

	c   committed
	err error // the event was refused: nothing of it is written
	own error // it could not go with the others, and why
}

// committed is what one event led to. It counts only after the commit.
type committed struct {
	flow.Transition
	jobs     []Dispatched
	input    json.RawMessage // of the claim
	run      Run             // the row as it was, for facts that never change
	existing *Run            // of a start whose key was taken: the run that has it
}
