package squidmesh

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ReasonCode says in one word why a run stands where it stands.
type ReasonCode string

// The reason codes. Exactly one holds for each state of a run.
const (
	ReasonCompleted           ReasonCode = "completed"
	ReasonStepFailed          ReasonCode = "step_failed"
	ReasonRetryExhausted      ReasonCode = "retry_exhausted"
	ReasonCancelled           ReasonCode = "cancelled"
	ReasonCancelling          ReasonCode = "cancelling"
	ReasonDraining            ReasonCode = "draining"
	ReasonCompensating        ReasonCode = "compensating"
	ReasonCompensationFailed  ReasonCode = "compensation_failed"
	ReasonWaitingApproval     ReasonCode = "waiting_approval"
	ReasonWaitingUnblock      ReasonCode = "waiting_unblock"
	ReasonRunning             ReasonCode = "running"
	ReasonRunningPastTimeout  ReasonCode = "running_past_timeout"
	ReasonWaitingRetry        ReasonCode = "waiting_retry"
	ReasonWaitingTimer        ReasonCode = "waiting_timer"
	ReasonQueued              ReasonCode = "queued"
	ReasonDispatchMissing     ReasonCode = "dispatch_missing"
	ReasonWaitingDependencies ReasonCode = "waiting_dependencies"

	ReasonFunctionUnknown      ReasonCode = "function_unknown"
	ReasonFunctionIncompatible ReasonCode = "function_incompatible"
)

// RunAction is something an operator can do about a run now.
type RunAction string

// The actions.
const (
	ActionCancel     RunAction = "cancel"
	ActionUnblock    RunAction = "unblock"
	ActionApprove    RunAction = "approve"
	ActionReject     RunAction = "reject"
	ActionRetryUndo  RunAction = "retry_undo"
	ActionAcceptUndo RunAction = "accept_undo"
	ActionReplay     RunAction = "replay"
	// ActionReplayIrreversible is a replay that needs AllowIrreversible.
	ActionReplayIrreversible RunAction = "replay_irreversible"
)

// Explanation says why a run stands where it stands and what would work now.
type Explanation struct {
	Run      RunID
	Status   RunStatus
	Code     ReasonCode
	Sentence string

	// Step is the step that it is about; empty if it is about the whole run.
	Step string

	// Since is when this began, Until when it ends by itself; zero where that is not known.
	Since, Until time.Time

	// Error is the failure that it is about, if any.
	Error *StepError

	// Evidence are the rows behind it: what is open, or what failed.
	Evidence []StepState

	// Actions are what Decide would accept now, and nothing else.
	Actions []RunAction
}

// ExplainRun explains a run. Errors: [ErrNotFound], [ErrUnknownShape], [ErrInsideTransaction].
func (rt *Runtime[TTx]) ExplainRun(ctx context.Context, id RunID) (*Explanation, error) {
	if err := checkCall(ctx); err != nil {
		return nil, err
	}
	var ex *Explanation
	err := rt.store.View(ctx, func(ctx context.Context, tx TTx) error {
		run, p, loaded, err := rt.viewRun(ctx, tx, id, false)
		if err != nil {
			return err
		}
		locked, err := rt.store.Lock(ctx, tx, LockQuery{}) // locks nothing, reads the clock
		if err != nil {
			return fmt.Errorf("read the clock: %w", err)
		}
		e := Explain(p.spec, Snapshot{Run: run, Steps: loaded.Steps}, locked.Now)
		ex = &e
		return nil
	})
	return ex, err
}

// Explain is the twin of [Decide]: it says why a run stands where it stands. The snapshot must hold every row.
func Explain(spec *Spec, s Snapshot, now time.Time) Explanation {
	ex := Explanation{Run: s.Run.ID, Status: s.Run.Status, Since: s.Run.LastAt, Actions: actions(spec, s, now)}
	rows := openRows(spec, s)
	ex.Evidence = rows
	switch run := s.Run; {
	case run.Status == RunCompleted:
		ex.reason(ReasonCompleted, "", "The run has completed.")
	case run.Status == RunCancelled:
		ex.reason(ReasonCancelled, "", "The run was cancelled.")
	case run.Status == RunFailed:
		ex.failed(spec, s)
	case run.Status == RunCompensating:
		ex.compensating(rows)
	case run.Verdict == VerdictCancelled:
		ex.reason(ReasonCancelling, first(rows).Name, "The run was cancelled and waits for %s to stop.", names(rows))
	case run.Verdict == VerdictFailed:
		ex.Error = run.Reason
		ex.reason(ReasonDraining, first(rows).Name, "Step %s failed; the run waits for %s to stop.", failedStep(run), names(rows))
	default:
		ex.active(spec, rows, now)
	}
	return ex
}

func (ex *Explanation) reason(code ReasonCode, step, format string, args ...any) {
	ex.Code, ex.Step, ex.Sentence = code, step, fmt.Sprintf(format, args...)
}

// failed explains a run that ended badly.
func (ex *Explanation) failed(spec *Spec, s Snapshot) {
	failure := s.Run.Reason
	ex.Error = failure
	if failure == nil {
		ex.reason(ReasonStepFailed, "", "The run has failed.")
		return
	}
	row := s.Steps[StepKey{failure.Step, PhaseDo}]
	ex.Evidence = []StepState{row}
	if st := spec.step(failure.Step); st != nil && st.Policy.Retry.MaxAttempts > 1 && !st.Policy.Retry.grants(row.Failures) {
		ex.reason(ReasonRetryExhausted, failure.Step, "Step %s failed %d times, the last time with: %s", failure.Step, row.Failures, failure.Message)
		return
	}
	ex.reason(ReasonStepFailed, failure.Step, "Step %s failed: %s", failure.Step, failure.Message)
}

// compensating explains a run that is taking back what it did.
func (ex *Explanation) compensating(rows []StepState) {
	for _, row := range rows {
		if row.Phase == PhaseUndo && row.Status != StepPaused {
			ex.Since, ex.Until = ex.sinceLast(row), later(row.DueAt, ex.Since)
			ex.reason(ReasonCompensating, row.Name, "The run undoes what it did; it is at step %s.", row.Name)
			return
		}
	}
	row := first(rows)
	ex.Since = row.FinishedAt
	ex.reason(ReasonCompensationFailed, row.Name, "The undo of %s failed for good: retry it, or accept that it is not undone.", names(rows))
}

// active explains a run that is on its way. What executes comes before what is due, and that before what waits.
func (ex *Explanation) active(spec *Spec, rows []StepState, now time.Time) {
	row := foremost(spec, rows, now)
	ex.Since = ex.sinceLast(row)
	switch {
	case row.Status == StepPaused && spec.step(row.Name).Kind == KindApproval:
		ex.Until = row.DeadlineAt
		ex.reason(ReasonWaitingApproval, row.Name, "The run waits for somebody to approve or reject %s%s.", row.Name, pastDeadline(spec, row))
	case row.Status == StepPaused:
		ex.Until = row.DeadlineAt
		ex.reason(ReasonWaitingUnblock, row.Name, "The run is paused at %s until somebody unblocks it%s.", row.Name, pastDeadline(spec, row))
	case row.Status == StepRunning && now.After(row.DeadlineAt):
		ex.Until = row.DeadlineAt.Add(expireAfter)
		ex.reason(ReasonRunningPastTimeout, row.Name, "Step %s has been running past its timeout, attempt %d.", row.Name, row.Attempt)
	case row.Status == StepRunning:
		ex.Until = row.DeadlineAt
		ex.reason(ReasonRunning, row.Name, "Step %s is running, attempt %d.", row.Name, row.Attempt)
	case row.DueAt.After(now) && row.retrying():
		ex.Until = row.DueAt
		ex.reason(ReasonWaitingRetry, row.Name, "Step %s failed %d times and is tried again, as attempt %d.", row.Name, row.Failures, row.Attempt)
	case row.DueAt.After(now):
		ex.Until = row.DueAt
		ex.reason(ReasonWaitingTimer, row.Name, "The run waits at %s until its time has come.", row.Name)
	case row.JobID == "":
		ex.Since = row.DueAt
		ex.reason(ReasonDispatchMissing, row.Name, "Step %s is due and has no job; the next tick of a worker enqueues it.", row.Name)
	case row.Name != "":
		ex.Since = row.DueAt
		ex.reason(ReasonQueued, row.Name, "Step %s is due and waits in queue %s for a worker.", row.Name, row.Queue)
	default:
		ex.reason(ReasonWaitingDependencies, "", "The run waits for steps that have not completed.")
	}
}

// pastDeadline says what follows when nobody takes an open decision in time.
func pastDeadline(spec *Spec, row StepState) string {
	switch onError := spec.step(row.Name).OnError; {
	case row.DeadlineAt.IsZero():
		return ""
	case onError == "":
		return "; past its deadline the run fails"
	case onError == Complete:
		return "; past its deadline the run completes"
	default:
		return "; past its deadline it goes on to " + onError
	}
}

// sinceLast is when the row was last worked on; if it never was, the run's newest entry has to do.
func (ex *Explanation) sinceLast(row StepState) time.Time {
	if row.StartedAt.IsZero() {
		return ex.Since
	}
	return row.StartedAt
}

// foremost picks the open row that says most about why the run is not further.
func foremost(spec *Spec, rows []StepState, now time.Time) StepState {
	rank := func(r StepState) int {
		switch {
		case r.Status == StepRunning:
			return 4
		case r.Status == StepScheduled && !r.DueAt.After(now):
			return 3
		case r.Status == StepScheduled && !r.retrying():
			return 2
		default:
			return 1
		}
	}
	var best StepState
	for _, r := range rows {
		if best.Name == "" || rank(r) > rank(best) {
			best = r
		}
	}
	return best
}

// openRows are the rows that count as open, in the order of the spec.
func openRows(spec *Spec, s Snapshot) []StepState {
	var rows []StepState
	for i := range spec.steps {
		for _, phase := range []Phase{PhaseDo, PhaseUndo} {
			row, ok := s.Steps[StepKey{spec.steps[i].Name, phase}]
			if ok && row.open() && spec.steps[i].Kind != KindBlock {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// actions asks Decide about every command.
func actions(spec *Spec, s Snapshot, now time.Time) []RunAction {
	by := Decision{Actor: "explain"}
	var accepted []RunAction
	try := func(action RunAction, e Event) bool {
		_, err := Decide(spec, s, e, now)
		if err == nil {
			accepted = append(accepted, action)
		}
		return err == nil
	}
	try(ActionUnblock, Unblocked{by})
	try(ActionApprove, Approved{by})
	try(ActionReject, Rejected{by})
	for _, row := range openRows(spec, s) { // one by one, since a decision names its step when several are open
		if row.Phase == PhaseUndo && row.Status == StepPaused {
			by := Decision{Actor: "explain", Step: row.Name}
			try(ActionRetryUndo, UndoRetried{by})
			try(ActionAcceptUndo, UndoAccepted{by})
			break
		}
	}
	if !s.Run.Status.Terminal() {
		try(ActionCancel, Cancelled{Decision: by})
	}
	if !try(ActionReplay, Replayed{Decision: by}) {
		try(ActionReplayIrreversible, Replayed{Decision: by, AllowIrreversible: true})
	}
	return accepted
}

func first(rows []StepState) StepState {
	if len(rows) == 0 {
		return StepState{}
	}
	return rows[0]
}

func names(rows []StepState) string {
	if len(rows) == 0 {
		return "nothing"
	}
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = r.Name
	}
	return strings.Join(list, ", ")
}

func failedStep(run Run) string {
	if run.Reason == nil {
		return "unknown"
	}
	return run.Reason.Step
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return time.Time{}
}
