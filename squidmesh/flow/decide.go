package flow

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/encode"
)

// usualSteps is how many step rows most transitions write: one step ends, and one follows.
const usualSteps = 2

// JobHorizon is how long before its due time a delivery gets its job. Until then its row waits without one.
const JobHorizon = 24 * time.Hour

// Decide holds every rule of the runtime and nothing else: it maps a run as it stands, and one event, to the transition that the
// event causes. It is pure: the same arguments give the same answer.
//
// The snapshot holds the run's row and at least what [ReadsOf] names. More rows give the same transition. Now is the database's
// clock, read after the run was locked.
//
// A delivery or a result that comes too late, too early or twice is no error. Its transition is empty, and its Outcome says why. A
// command that the run's state does not allow is a [*RefusedError]. A command whose Metadata is no JSON is an [*InputError].
//
// The promises that comments here cite by number are those under "What holds" in the documentation of package squidmesh. One event
// makes one transition, which the caller writes in one transaction (promise 1).
func Decide(spec *Spec, s Snapshot, e Event, now time.Time) (Transition, error) {
	// The database keeps microseconds, and the monotonic clock means nothing to it.
	d := &ruling{spec: spec, snap: s, run: s.Run, now: now.Round(0).Truncate(time.Microsecond), rows: map[StepKey]int{}}
	d.at = d.now
	// A failover may have set the database's clock back. The audit's times never go back (promise 7).
	if s.Run.LastAt.After(d.at) {
		d.at = s.Run.LastAt
	}
	d.entry = AuditEntry{Run: s.Run.ID, Seq: s.Run.Seq + 1, At: d.at}
	d.t.Outcome = Outcome{Kind: OutcomeDone}

	if by := TraitsOf(e).Decision; len(by.Metadata) > 0 && !json.Valid(by.Metadata) {
		return Transition{}, &InputError{Field: "Metadata", Code: "invalid_json", Detail: "is no JSON"}
	}
	var err error
	switch e := e.(type) {
	case Started:
		d.started(e)
	case Claimed:
		d.claimed(e)
	case Succeeded:
		d.succeeded(e)
	case Failed:
		d.failed(e)
	case Released:
		d.released(e)
	case Lost:
		d.lost(e)
	case Expired:
		d.expired(e)
	case Redelivered:
		d.redelivered(e)
	case Compensated:
		d.compensated()
	case Unblocked:
		err = d.unblocked(e)
	case Approved:
		err = d.approved(e)
	case Rejected:
		err = d.rejected(e)
	case Cancelled:
		err = d.cancelled(e)
	case UndoRetried:
		err = d.undoRetried(e)
	case UndoAccepted:
		err = d.undoAccepted(e)
	case Replayed:
		err = d.replayed(e)
	default:
		panic(fmt.Sprintf("squidmesh: event %T has no rule", e))
	}
	if err != nil {
		return Transition{}, err
	}
	return d.transition(), nil
}

// ruling is a transition in the making. A rule reads rows by row and all, and writes them by put, so each sees what was ruled
// before it.
type ruling struct {
	spec *Spec
	snap Snapshot
	now  time.Time // the database's clock
	at   time.Time // what is recorded: never before the run's newest entry

	// The transition so far. Rows in it replace those of the snapshot.
	run   Run // as it will be
	t     Transition
	rows  map[StepKey]int // places in t.Steps
	entry AuditEntry
	data  AuditData

	// What the rule leaves for transition, which closes the books. They stay zero if the rule does not say so.
	worker    Attempted // who may continue with a successor
	executing *StepSpec // the step that just ended: a successor must share its queue
	ended     bool      // the attempt of the event is over, and with it its hold
	begun     bool      // something was claimed, or a timer set: the run is not pending any more
	pausing   bool      // a decision was opened
	terminal  RunStatus
}

// row returns a step row as ruled so far.
func (d *ruling) row(key StepKey) (StepState, bool) {
	if i, ok := d.rows[key]; ok {
		return d.t.Steps[i].StepState, true
	}
	row, ok := d.snap.Steps[key]
	return row, ok
}

// put writes a step row. It is the only place that writes one, so Open and Retrying of the run always count the rows that are open
// and that wait for a retry. A block has a row and does not count: its children do.
func (d *ruling) put(row StepState) {
	before, existed := d.row(row.StepKey)
	if !d.isBlock(row.Name) {
		d.run.Open += count(row.Open()) - count(existed && before.Open())
		d.run.Retrying += count(row.retrying()) - count(existed && before.retrying())
	}
	if i, ok := d.rows[row.StepKey]; ok {
		d.t.Steps[i].StepState = row
		return
	}
	if d.t.Steps == nil {
		d.t.Steps = make([]StepChange, 0, usualSteps)
	}
	_, stored := d.snap.Steps[row.StepKey]
	d.rows[row.StepKey] = len(d.t.Steps)
	d.t.Steps = append(d.t.Steps, StepChange{StepState: row, New: !stored})
}

func (d *ruling) isBlock(name string) bool {
	st := d.spec.Find(name)
	return st != nil && st.Kind == KindBlock
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// all returns the rows of a phase as ruled so far, in the order of the spec. It needs a snapshot that holds every row.
func (d *ruling) all(phase Phase) []StepState {
	var rows []StepState
	for i := range d.spec.steps {
		if row, ok := d.row(StepKey{d.spec.steps[i].Name, phase}); ok {
			rows = append(rows, row)
		}
	}
	return rows
}

// record says what the audit entry of this transition is about. Without it nothing is written. If it is called again, the last call
// counts.
func (d *ruling) record(kind AuditKind, key StepKey, attempt int) {
	d.entry.Kind, d.entry.StepKey, d.entry.Attempt = kind, key, attempt
}

// attempt adds the record of an attempt that ended. A success at the first try needs none.
func (d *ruling) attempt(row StepState, outcome AttemptOutcome, failure *StepError) {
	if outcome == AttemptSucceeded && row.Attempt == 1 {
		return
	}
	d.t.Attempts = append(d.t.Attempts, AttemptRecord{
		Run: d.run.ID, StepKey: row.StepKey, Attempt: row.Attempt, Worker: row.Worker,
		Outcome: outcome, StartedAt: row.StartedAt, EndedAt: d.at, Error: failure,
	})
}

// transition closes the books: it lets the worker go on, asks for jobs, and sets the run's status, version and audit. A rule that
// recorded nothing changes nothing of the run; only a lost worker's holds may go. Version and Seq rise by one, so the audit has no
// gaps (promise 7).
func (d *ruling) transition() Transition {
	if d.entry.Kind == "" {
		return Transition{Outcome: d.t.Outcome, Unheld: d.t.Unheld}
	}
	d.continueOne()
	d.jobs()
	d.holds()
	for i := range d.t.Steps {
		c := &d.t.Steps[i]
		c.Ended = !c.New && c.ends(d.snap.Steps[c.StepKey])
	}

	if status := d.status(); status != d.run.Status {
		d.run.Status, d.data.RunStatus = status, status
	}
	if d.run.Status.Terminal() {
		d.run.FinishedAt = d.at
	}
	d.run.Version++
	d.run.Seq, d.run.LastAt = d.entry.Seq, d.at

	data, err := encode.JSON(&d.data)
	if err != nil {
		panic(fmt.Sprintf("squidmesh: encode audit entry: %v", err)) // plain data, and metadata that was checked above
	}
	d.entry.Data = data
	d.t.Data = d.data
	d.t.Run = d.run
	d.t.Audit = []AuditEntry{d.entry}
	return d.t
}

// status applies the order of precedence of [Run].
func (d *ruling) status() RunStatus {
	switch {
	case d.terminal != "":
		return d.terminal
	case d.run.Status == RunCompensating:
		return RunCompensating
	case d.run.Verdict == VerdictCancelled:
		return RunCancelling
	case d.run.Open > 0 && d.run.Open == d.run.Retrying:
		return RunRetrying
	case d.pausing:
		return RunPaused
	case d.run.Status == RunPending && !d.begun:
		return RunPending
	default:
		return RunRunning
	}
}
