package squidmeshtest

import (
	"encoding/json"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Driver is what a script drives: a core, a runtime on a store, or a whole program. It is used by one goroutine at a time.
type Driver interface {
	// Start, Replay, Operate and Cron do what the runtime's operations do. Events are commands of operators; elsewhere
	// says that another process takes the command.
	Start(params squidmesh.StartParams) (squidmesh.StartResult, error)
	Replay(run squidmesh.RunID, params squidmesh.ReplayParams) (squidmesh.StartResult, error)
	Operate(run squidmesh.RunID, command squidmesh.Event, elsewhere bool) (squidmesh.Run, error)

	// Deliver hands a delivery over and returns when it has been dealt with, or stands still inside a held function.
	Deliver(d squidmesh.Delivery) (Progress, error)
	// Finish lets a held attempt go, and Release takes its delivery away. Lost means an attempt of a lost worker.
	Finish(run squidmesh.RunID, key squidmesh.StepKey, lost bool) (Progress, error)
	Release(run squidmesh.RunID, key squidmesh.StepKey) (Progress, error)

	// Advance moves the clock. Lose declares the worker lost and lets a new one take over. Tick does what a worker does
	// once a second. RefuseJobs makes the queue refuse everything, or not. Deploy replaces a definition.
	Advance(d time.Duration) error
	Lose() error
	Tick() error
	RefuseJobs(refuse bool) error
	Deploy(variant string) error

	// News returns what was committed since it was called last.
	News() News
	// View reads a run as it is stored.
	View(run squidmesh.RunID) (View, error)
	// Now is the clock.
	Now() time.Time
	// Close ends everything that the driver started.
	Close()
}

// Progress is how far a delivery came.
type Progress struct {
	Outcome squidmesh.Outcome
	// Held is the function that it stands in; nil when it has been dealt with.
	Held *squidmesh.StepKey
}

// News is what a driver committed.
type News struct {
	Transitions []squidmesh.Transition
	// Jobs is what the queue took.
	Jobs []QueuedJob
}

// View is everything that is stored of a run.
type View struct {
	Run         squidmesh.Run
	Spec        *squidmesh.Spec
	Steps       map[squidmesh.StepKey]squidmesh.StepState
	Statuses    map[string]string // as inspection shows them
	Outputs     map[string]json.RawMessage
	Attempts    []squidmesh.AttemptRecord
	Audit       []squidmesh.AuditEntry
	Explanation squidmesh.Explanation
}

// viewOf takes a view out of an inspection with its history.
func viewOf(in *squidmesh.Inspection, ex squidmesh.Explanation) View {
	v := View{
		Run: in.Run, Spec: in.Spec, Attempts: in.Attempts, Audit: in.Audit, Explanation: ex,
		Steps:    map[squidmesh.StepKey]squidmesh.StepState{},
		Statuses: map[string]string{},
		Outputs:  map[string]json.RawMessage{},
	}
	for _, st := range in.Steps {
		v.Statuses[st.Name] = st.Status
		if st.Do != nil {
			v.Steps[st.Do.StepKey] = *st.Do
		}
		if st.Undo != nil {
			v.Steps[st.Undo.StepKey] = *st.Undo
		}
		if st.Output != nil {
			v.Outputs[st.Name] = st.Output
		}
	}
	return v
}
