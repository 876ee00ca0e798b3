package scenariotest

import (
	"encoding/json"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Driver is what a script drives: a core, a runtime on a store, or a whole program. It is used by one goroutine at a time.
type Driver interface {
	// Start starts a run, as [squidmesh.Runtime.StartRun] does and with its errors.
	Start(params squidmesh.StartParams) (squidmesh.StartResult, error)
	// Replay starts a finished run anew, as [squidmesh.Runtime.ReplayRun] does and with its errors.
	Replay(run flow.RunID, params squidmesh.ReplayParams) (squidmesh.StartResult, error)
	// Operate takes the command of an operator, an event such as [flow.Approved] or [flow.Cancelled], and has the errors of
	// the runtime's call for it. Elsewhere says that another process than the one that executes takes it.
	Operate(run flow.RunID, command flow.Event, elsewhere bool) (flow.Run, error)

	// Deliver hands a delivery over and returns when it has been dealt with, or stands still inside a held function.
	Deliver(d driver.Delivery) (Progress, error)
	// Finish lets a held attempt go, and returns as Deliver does. Lost means an attempt of a lost worker.
	Finish(run flow.RunID, key flow.StepKey, lost bool) (Progress, error)
	// Release takes the delivery of a held attempt away: its context ends with [squidmesh.ErrReleased].
	Release(run flow.RunID, key flow.StepKey) (Progress, error)

	// Advance moves the clock.
	Advance(d time.Duration) error
	// Lose declares the worker lost; a new one takes its attempts over before Lose returns. What stood still in it stays held.
	Lose() error
	// Tick does what a worker does once a second, and returns when that is done.
	Tick() error
	// RefuseJobs makes the queue refuse every job from now on, or take them again.
	RefuseJobs(refuse bool) error
	// Deploy replaces the definition of a workflow by the variant of that name, for starts and claims from now on. Runs that were
	// started before stay pinned to their shape.
	Deploy(variant string) error

	// News returns what was committed since it was called last.
	News() byhand.News
	// View reads a run as it is stored.
	View(run flow.RunID) (View, error)
	// Now is the clock.
	Now() time.Time
	// Close ends everything that the driver started.
	Close()
}

// Progress is how far a delivery came.
type Progress struct {
	Outcome flow.Outcome
	// Held is the function that it stands in; nil when it has been dealt with.
	Held *flow.StepKey
}

// View is everything that is stored of a run.
type View struct {
	Run         flow.Run
	Spec        *flow.Spec
	Steps       map[flow.StepKey]flow.StepState
	Statuses    map[string]string // as inspection shows them
	Outputs     map[string]json.RawMessage
	Attempts    []flow.AttemptRecord
	Audit       []flow.AuditEntry
	Explanation flow.Explanation
}

// viewOf takes a view out of an inspection with its history.
func viewOf(in *squidmesh.Inspection, ex flow.Explanation) View {
	v := View{
		Run: in.Run, Spec: in.Spec, Attempts: in.Attempts, Audit: in.Audit, Explanation: ex,
		Steps:    map[flow.StepKey]flow.StepState{},
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
