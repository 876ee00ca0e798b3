package flow

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// RunID identifies a run. It is a UUID of version 7, so ids sort by the time of the start.
type RunID = uuid.UUID

// RunStatus says where a run stands. [Run] has the order of precedence.
type RunStatus string

// The statuses of a run; the last three are terminal.
const (
	RunPending      RunStatus = "pending"
	RunRunning      RunStatus = "running"
	RunRetrying     RunStatus = "retrying"
	RunPaused       RunStatus = "paused"
	RunCancelling   RunStatus = "cancelling"
	RunCompensating RunStatus = "compensating"
	RunCompleted    RunStatus = "completed"
	RunFailed       RunStatus = "failed"
	RunCancelled    RunStatus = "cancelled"
)

// RunStatuses lists all statuses in the order of a run's life.
var RunStatuses = []RunStatus{
	RunPending, RunRunning, RunRetrying, RunPaused, RunCancelling, RunCompensating, RunCompleted, RunFailed, RunCancelled,
}

// Terminal reports whether a run with this status has ended. Nothing happens to it any more.
func (s RunStatus) Terminal() bool {
	return s == RunCompleted || s == RunFailed || s == RunCancelled
}

// StepStatus says where a step row stands. A step that the run has not reached has no row.
type StepStatus string

// The statuses of a step row; the last three are final.
const (
	StepScheduled StepStatus = "scheduled" // waits for its delivery, or for steps before it (Missing > 0)
	StepRunning   StepStatus = "running"   // claimed; of a block: its children are at work
	StepPaused    StepStatus = "paused"    // waits for an operator's decision
	StepCompleted StepStatus = "completed"
	StepFailed    StepStatus = "failed"
	StepCancelled StepStatus = "cancelled"
)

// Final reports whether the row has reached its end.
func (s StepStatus) Final() bool {
	return s == StepCompleted || s == StepFailed || s == StepCancelled
}

// Phase says whether a step's own work is meant, or its undo.
type Phase string

// The two phases of a step; each is a row of its own.
const (
	PhaseDo   Phase = "do"
	PhaseUndo Phase = "undo"
)

// StepKey identifies a step row within its run.
type StepKey struct {
	Name  string `json:"step,omitzero"`
	Phase Phase  `json:"phase,omitzero"`
}

// Verdict says how a run will end once it has drained: once no attempt of it is at work.
type Verdict string

// The verdicts. With VerdictNone the run goes on.
const (
	VerdictNone      Verdict = ""
	VerdictFailed    Verdict = "failed"
	VerdictCancelled Verdict = "cancelled"
)

// Run is the row of a run.
//
// Its status follows from its rows. The first of these that applies is the status:
//
//   - cancelling: it was cancelled and has not drained
//   - compensating: undos are to do
//   - running: something is claimed or due, timers included
//   - retrying: only retries are to come
//   - paused: only decisions are open
//
// A run is pending until its first claim, wait or decision begins, whatever is due. A run with a terminal status has no open rows,
// and no event changes it.
type Run struct {
	// Written once, at the start.
	ID           RunID           `json:"id"`
	Workflow     string          `json:"workflow"`
	Trigger      string          `json:"trigger"`
	Shape        string          `json:"shape"`                // the pinned Spec
	Key          string          `json:"key,omitzero"`         // idempotency key; empty for none, and for the runs of cron triggers
	KeyHash      string          `json:"-"`                    // what the payload was under that key: for stores, empty in what the runtime returns and tells
	WindowAt     time.Time       `json:"window_at,omitzero"`   // of a cron run: the start of its window
	WindowEnd    time.Time       `json:"window_end,omitzero"`  // the next window; zero if there is none
	ReceivedAt   time.Time       `json:"received_at,omitzero"` // when the cron delivery arrived that started it
	SignalID     string          `json:"signal_id,omitzero"`   // of what fired
	ReplayedFrom RunID           `json:"replayed_from,omitzero"`
	Payload      json.RawMessage `json:"payload,omitzero"`
	CreatedAt    time.Time       `json:"created_at"`

	// Written by transitions.
	Status     RunStatus  `json:"status"`
	Verdict    Verdict    `json:"verdict,omitzero"`
	Compensate bool       `json:"compensate,omitzero"` // what completed is to be undone before the verdict is taken
	Version    int        `json:"version"`             // rises by one with each transition
	Seq        int        `json:"seq"`                 // of the newest audit entry
	LastAt     time.Time  `json:"last_at,omitzero"`
	Open       int        `json:"open"`              // rows that are due, claimed or paused; blocks and rows that wait for others do not count
	Retrying   int        `json:"retrying,omitzero"` // how many of those wait for a retry
	Reason     *StepError `json:"reason,omitzero"`   // the latest final failure of a step, routed or not
	FinishedAt time.Time  `json:"finished_at,omitzero"`
}

// StepState is the row of one phase of a step.
type StepState struct {
	Run RunID `json:"run_id,omitzero"`
	StepKey

	Status   StepStatus `json:"status"`
	Attempt  int        `json:"attempt"`           // the attempt that is scheduled or running: the fence. It rises after every claim and is never reset
	Failures int        `json:"failures,omitzero"` // failed attempts, which count towards Retry
	Losses   int        `json:"losses,omitzero"`   // attempts that died with their worker
	Missing  int        `json:"missing,omitzero"`  // dependencies that have not completed

	Worker     WorkerID  `json:"worker,omitzero"`      // who runs it, or ran it last
	Cause      string    `json:"cause,omitzero"`       // the step whose final failure led here
	DueAt      time.Time `json:"due_at,omitzero"`      // of a delivery; zero when no delivery is awaited
	DeadlineAt time.Time `json:"deadline_at,omitzero"` // when the running attempt times out, or the open decision expires; zero is never
	JobID      string    `json:"job_id,omitzero"`      // of the delivery that was enqueued last
	Queue      string    `json:"queue,omitzero"`
	StartedAt  time.Time `json:"started_at,omitzero"` // of the current or last attempt
	FinishedAt time.Time `json:"finished_at,omitzero"`
	DoneSeq    int       `json:"done_seq,omitzero"` // audit entry of its completion, which also holds the output
}

// Open reports whether the row counts in [Run.Open].
func (s StepState) Open() bool {
	switch s.Status {
	case StepScheduled:
		return s.Missing == 0
	case StepRunning, StepPaused:
		return true
	default:
		return false
	}
}

// retrying reports whether the row counts in [Run.Retrying].
func (s StepState) retrying() bool {
	return s.Status == StepScheduled && s.Failures > 0
}

// releases is how many attempts before this one were given back: those that neither failed nor were lost. If an operator retries an
// undo, it counts the attempts before that too.
func (s StepState) releases() int { return max(0, s.Attempt-1-s.Failures-s.Losses) }

// AttemptOutcome says how an attempt ended.
type AttemptOutcome string

// The outcomes of an attempt. The worker of a released attempt gave it back unfinished; the worker of a lost one died.
const (
	AttemptSucceeded AttemptOutcome = "succeeded"
	AttemptFailed    AttemptOutcome = "failed"
	AttemptReleased  AttemptOutcome = "released"
	AttemptLost      AttemptOutcome = "lost"
	AttemptCancelled AttemptOutcome = "cancelled"
)

// AttemptRecord is the row of an attempt that ended. A success at the first try has none.
type AttemptRecord struct {
	Run RunID `json:"run_id,omitzero"`
	StepKey
	Attempt   int            `json:"attempt"`
	Worker    WorkerID       `json:"worker,omitzero"`
	Outcome   AttemptOutcome `json:"outcome"`
	StartedAt time.Time      `json:"started_at,omitzero"`
	EndedAt   time.Time      `json:"ended_at,omitzero"`
	Error     *StepError     `json:"error,omitzero"`
}

// AuditKind says what an audit entry records.
type AuditKind string

// The kinds of audit entries.
const (
	AuditStarted     AuditKind = "started"
	AuditClaimed     AuditKind = "claimed"
	AuditSucceeded   AuditKind = "succeeded"
	AuditFailed      AuditKind = "failed"   // finally
	AuditRetried     AuditKind = "retried"  // failed, with another attempt to come
	AuditReleased    AuditKind = "released" // given back by its worker
	AuditLost        AuditKind = "lost"     // its worker died
	AuditCancelled   AuditKind = "cancelled"
	AuditUnblocked   AuditKind = "unblocked"
	AuditApproved    AuditKind = "approved"
	AuditRejected    AuditKind = "rejected"
	AuditExpired     AuditKind = "expired" // nobody decided in time
	AuditUndone      AuditKind = "undone"
	AuditUndoFailed  AuditKind = "undo_failed"  // finally; awaits a decision
	AuditUndoRetried AuditKind = "undo_retried" // by an operator
	AuditAccepted    AuditKind = "undo_accepted"
	AuditEnqueued    AuditKind = "enqueued"    // a row without a job got one: a wait of more than a day, or after a refusal of the queue
	AuditRedelivered AuditKind = "redelivered" // its job was lost
)

// AuditEntry records one transition of a run. Entries are only appended, at most one for each commit and run, and numbered without
// gaps.
type AuditEntry struct {
	Run RunID `json:"run_id,omitzero"`
	Seq int   `json:"seq"`
	StepKey
	Kind    AuditKind       `json:"kind"`
	Attempt int             `json:"attempt,omitzero"`
	At      time.Time       `json:"at"` // never earlier than the entry before it
	Actor   string          `json:"actor,omitzero"`
	Data    json.RawMessage `json:"data,omitzero"`   // an AuditData
	Output  json.RawMessage `json:"output,omitzero"` // of a step that completed
}

// AuditData is what an audit entry tells besides its columns.
type AuditData struct {
	// Reached lists the rows that the transition made claimable, claimed or paused, with their attempts.
	Reached []AuditReached `json:"reached,omitempty"`
	// Closed names the other steps whose rows the transition ended, all of phase do.
	Closed []string `json:"closed,omitempty"`
	// Failed names the steps, of phase do, that failed because they lost one worker too many.
	Failed    []string        `json:"failed,omitempty"`
	RunStatus RunStatus       `json:"run_status,omitempty"` // when it changed
	Verdict   Verdict         `json:"verdict,omitempty"`    // when it was set
	Route     string          `json:"route,omitempty"`      // taken by a choice
	Target    string          `json:"target,omitempty"`     // of an error route
	Recovery  Recovery        `json:"recovery,omitempty"`
	Error     *StepError      `json:"error,omitempty"`
	Comment   string          `json:"comment,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Worker    WorkerID        `json:"worker,omitempty"`
	Trigger   string          `json:"trigger,omitempty"`
	Replayed  string          `json:"replayed_from,omitempty"`
	// Compensate says that completed steps will be undone.
	Compensate bool `json:"compensate,omitempty"`

	// For a start: the run's key, and what a cron run is for.
	Key        string    `json:"key,omitempty"`
	SignalID   string    `json:"signal_id,omitempty"`
	WindowAt   time.Time `json:"window_at,omitzero"`
	WindowEnd  time.Time `json:"window_end,omitzero"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
}

// AuditReached is one row that a transition made claimable, claimed or paused.
type AuditReached struct {
	Step    string     `json:"step"`
	Phase   Phase      `json:"phase,omitempty"` // empty is do
	Status  StepStatus `json:"status"`
	Attempt int        `json:"attempt"`
	DueAt   *time.Time `json:"due_at,omitempty"`
	// DeadlineAt is when an open decision expires.
	DeadlineAt *time.Time `json:"deadline_at,omitempty"`
	Worker     WorkerID   `json:"worker,omitempty"`
}
