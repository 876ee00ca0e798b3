package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// ReasonCode says in one word why a run stands where it stands.
type ReasonCode string

// The reason codes. Exactly one holds for each state of a run, and of each step that it waits for.
const (
	ReasonCompleted          ReasonCode = "completed"
	ReasonStepFailed         ReasonCode = "step_failed"
	ReasonRetryExhausted     ReasonCode = "retry_exhausted"
	ReasonCancelled          ReasonCode = "cancelled"
	ReasonDefinitionUnknown  ReasonCode = "definition_unknown"
	ReasonCancelling         ReasonCode = "cancelling"
	ReasonDraining           ReasonCode = "draining"
	ReasonCompensating       ReasonCode = "compensating"
	ReasonCompensationFailed ReasonCode = "compensation_failed"

	// Of steps that execute.
	ReasonRunning            ReasonCode = "running"
	ReasonRunningPastTimeout ReasonCode = "running_past_timeout"
	ReasonClaimExpired       ReasonCode = "claim_expired"

	// Of steps that are due.
	ReasonQueued               ReasonCode = "queued"
	ReasonQueuedBehind         ReasonCode = "queued_behind"
	ReasonQueuedNoWorker       ReasonCode = "queued_no_worker"
	ReasonQueuePaused          ReasonCode = "queue_paused"
	ReasonDispatchMissing      ReasonCode = "dispatch_missing"
	ReasonJobDiscarded         ReasonCode = "job_discarded"
	ReasonDeliveryRefused      ReasonCode = "delivery_refused"
	ReasonFunctionUnknown      ReasonCode = "function_unknown"
	ReasonFunctionIncompatible ReasonCode = "function_incompatible"
	ReasonPayloadUnreadable    ReasonCode = "payload_unreadable"

	// Of steps that wait.
	ReasonWaitingRetry        ReasonCode = "waiting_retry"
	ReasonWaitingRestart      ReasonCode = "waiting_restart"
	ReasonWaitingTimer        ReasonCode = "waiting_timer"
	ReasonWaitingApproval     ReasonCode = "waiting_approval"
	ReasonWaitingUnblock      ReasonCode = "waiting_unblock"
	ReasonWaitingDependencies ReasonCode = "waiting_dependencies"
)

// Reason says why a step, or a run as a whole, stands where it stands.
type Reason struct {
	Code     ReasonCode `json:"code"`
	Sentence string     `json:"sentence"`

	// Step and Phase say which row the reason is about.
	Step  string `json:"step,omitzero"`
	Phase Phase  `json:"phase,omitzero"`

	// Since is when this began. Until is when it ends by itself. Zero means that it is not known.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// attention ranks the reasons of steps: what stands still though it should move, what moves, what is about to, and what waits.
func (c ReasonCode) attention() int {
	switch c {
	case ReasonClaimExpired, ReasonRunningPastTimeout, ReasonQueuedNoWorker, ReasonQueuePaused, ReasonDispatchMissing, ReasonJobDiscarded,
		ReasonDeliveryRefused, ReasonFunctionUnknown, ReasonFunctionIncompatible, ReasonPayloadUnreadable:
		return 6
	case ReasonRunning:
		return 5
	case ReasonQueued, ReasonQueuedBehind:
		return 4
	case ReasonWaitingTimer, ReasonWaitingRestart:
		return 3
	case ReasonWaitingRetry, ReasonWaitingApproval, ReasonWaitingUnblock:
		return 2
	default:
		return 1
	}
}

// trouble reports whether a step should move and does not.
func (c ReasonCode) trouble() bool { return c.attention() == 6 }

// foremost is the reason that needs most attention, the first of several.
func foremost(reasons []Reason) Reason {
	var best Reason
	for _, r := range reasons {
		if best.Code == "" || r.Code.attention() > best.Code.attention() {
			best = r
		}
	}
	return best
}

// explainer explains the rows of one snapshot.
type explainer struct {
	spec *Spec
	snap Snapshot
	now  time.Time
}

// steps explains every row that is awaited. A failed undo awaits a decision, which is no hurry while others are at work.
func (x explainer) steps() []Reason {
	var reasons []Reason
	for _, row := range awaitedRows(x.spec, x.snap) {
		r := x.row(row)
		r.Step, r.Phase = row.Name, row.Phase
		if r.Since.IsZero() {
			r.Since = row.StartedAt
		}
		if r.Since.IsZero() {
			r.Since = x.snap.Run.LastAt
		}
		reasons = append(reasons, r)
	}
	return reasons
}

func because(code ReasonCode, since, until time.Time, format string, args ...any) Reason {
	return Reason{Code: code, Since: since, Until: until, Sentence: fmt.Sprintf(format, args...)}
}

// row explains one row: its claim, its time, or its delivery.
func (x explainer) row(row StepState) Reason {
	var never time.Time
	name := nameOf(row)
	switch {
	case row.Status == StepPaused && row.Phase == PhaseUndo:
		return because(ReasonCompensationFailed, row.FinishedAt, never, "%s failed for good: retry it, or accept that it is not undone.", name)
	case row.Status == StepPaused && x.spec.Find(row.Name).Kind == KindApproval:
		until, then := x.deadline(row)
		return because(ReasonWaitingApproval, never, until, "The run waits for somebody to approve or reject %s%s.", row.Name, then)
	case row.Status == StepPaused:
		until, then := x.deadline(row)
		return because(ReasonWaitingUnblock, never, until, "The run is paused at %s until somebody unblocks it%s.", row.Name, then)
	case row.Status == StepRunning:
		return x.running(row)
	case row.Missing > 0:
		return because(ReasonWaitingDependencies, never, never, "%s waits for %s.", name, strings.Join(x.missing(row), ", "))
	case row.DueAt.After(x.now) && row.retrying():
		return because(ReasonWaitingRetry, never, row.DueAt, "%s failed %s and is tried again, as attempt %d.", name, times(row.Failures), row.Attempt)
	case row.DueAt.After(x.now) && row.Attempt > 1:
		return because(ReasonWaitingRestart, never, row.DueAt, "%s %s and starts again, as attempt %d.", name, interruptions(row), row.Attempt)
	case row.DueAt.After(x.now):
		return because(ReasonWaitingTimer, never, row.DueAt, "The run waits at %s until its time has come.", row.Name)
	default:
		r := x.due(row)
		r.Since = row.DueAt
		return r
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// interruptions says how often a row's attempts ended without success or failure.
func interruptions(row StepState) string {
	var told []string
	if n := row.releases(); n > 0 {
		told = append(told, "was given back "+times(n))
	}
	if row.Losses > 0 {
		told = append(told, "was lost with its process "+times(row.Losses))
	}
	return strings.Join(told, ", ")
}

// nameOf begins a sentence.
func nameOf(row StepState) string {
	if row.Phase == PhaseUndo {
		return "The undo of " + row.Name
	}
	return "Step " + row.Name
}

// deadline says until when an open decision can be taken, and what follows then. A worker's tick has it follow, if there is a worker.
func (x explainer) deadline(row StepState) (until time.Time, then string) {
	if row.DeadlineAt.IsZero() {
		return time.Time{}, ""
	}
	follows := "it goes on to " + x.spec.Find(row.Name).OnError
	switch x.spec.Find(row.Name).OnError {
	case "":
		follows = "the run fails"
	case Complete:
		follows = "the run completes"
	}
	switch {
	case x.now.Before(row.DeadlineAt):
		return row.DeadlineAt, "; past its deadline " + follows
	case x.snap.Environment != nil && !x.anybody():
		return time.Time{}, "; its deadline has passed, and once a process is there " + follows
	default:
		return later(row.DeadlineAt.Add(takenOverWithin), x.now), "; its deadline has passed, and within seconds " + follows
	}
}

// anybody reports whether a worker lives.
func (x explainer) anybody() bool {
	return slices.ContainsFunc(x.snap.Environment.Workers, func(w Worker) bool { return w.Lives(x.now) })
}

// on says where a row is running, if that is known.
func (x explainer) on(row StepState) string {
	if x.snap.Environment == nil || row.Status != StepRunning {
		return ""
	}
	if w, ok := x.snap.Environment.worker(row.Worker); ok {
		return " on " + w.Name
	}
	return ""
}

// missing names the dependencies of a row that have not completed.
func (x explainer) missing(row StepState) []string {
	var names []string
	for _, dep := range x.spec.Find(row.Name).After {
		if x.snap.Steps[StepKey{dep, PhaseDo}].Status != StepCompleted {
			names = append(names, dep)
		}
	}
	return names
}

// running explains an attempt: its worker may be gone.
func (x explainer) running(row StepState) Reason {
	var never time.Time
	name := nameOf(row)
	if around := x.snap.Environment; around != nil && !around.lives(row.Worker, x.now) {
		since, who := around.silence(row.Worker)
		if !x.anybody() {
			return because(ReasonClaimExpired, since, never, "%s was running on %s, which is gone, and no process is there to take it over.", name, who)
		}
		return because(ReasonClaimExpired, since, later(since.Add(takenOverWithin), x.now),
			"%s was running on %s, which is gone; another process takes it over within seconds.", name, who)
	}
	if !row.DeadlineAt.IsZero() && x.now.After(row.DeadlineAt) {
		return because(ReasonRunningPastTimeout, never, row.DeadlineAt.Add(ExpireAfter), "%s has been running%s past its timeout, attempt %d.", name, x.on(row), row.Attempt)
	}
	before := ""
	if row.releases() > 0 {
		before = "; it " + interruptions(row)
	}
	return because(ReasonRunning, never, row.DeadlineAt, "%s is running, attempt %d%s.", name, row.Attempt, before)
}

// takenOverWithin is how long it takes until somebody has noticed that a lease has run out, and has taken over.
const takenOverWithin = 2 * DefaultHeartbeat

// due explains why nobody has claimed a row that is due.
func (x explainer) due(row StepState) Reason {
	var never time.Time
	name := nameOf(row)
	around := x.snap.Environment
	if around == nil {
		return because(ReasonQueued, never, never, "%s is due and waits for a worker.", name)
	}
	if !x.anybody() {
		return because(ReasonQueuedNoWorker, never, never, "%s is due, and no process is there to execute it.", name)
	}
	if row.JobID == "" {
		return because(ReasonDispatchMissing, never, never, "%s is due and has no job; the next tick of a worker enqueues it.", name)
	}
	job, asked := around.Jobs[row.JobID], around.Jobs != nil
	switch {
	case job.Refusal != "" && !job.Paused && !job.Unattended:
		return x.refused(row, job)
	case asked && !job.Deliverable:
		state := job.State
		if state == "" {
			state = "gone"
		}
		return because(ReasonJobDiscarded, never, never, "%s is due and will not be delivered: its job is %s. The next tick of a worker sends another.", name, state)
	case job.Paused:
		return because(ReasonQueuePaused, never, never, "%s is due and queue %s is paused.", name, row.Queue)
	}
	if r := x.unable(row); r.Code != "" {
		return r
	}
	key, sealed := around.Unopened[row.StepKey]
	switch {
	case !x.worked(row.Queue) && x.mover(row) != nil:
		w := x.mover(row)
		return because(ReasonQueuedNoWorker, never, never,
			"%s is due and waits in queue %s, which no living process uses any more; within seconds %s sends it through a queue of its own (%s).",
			name, row.Queue, w.Name, strings.Join(w.Queues, ", "))
	case job.Unattended, !asked && !x.worked(row.Queue):
		return because(ReasonQueuedNoWorker, never, never, "%s is due and waits in queue %s, which no process works.", name, row.Queue)
	case sealed && key == "":
		return because(ReasonPayloadUnreadable, never, never,
			"%s is due, and what it reads is in the clear, which Config.RequireSealed forbids: find out who wrote it, and cancel the run or have it sealed by SealRuns of a process without RequireSealed.",
			name)
	case sealed:
		return because(ReasonPayloadUnreadable, never, never,
			"%s is due, and its input is sealed with key %s, which this process cannot open: give that key to the Codec of the workers, or cancel the run.",
			name, echo.Quote(key))
	case job.At.After(x.now):
		taker := ""
		if w, ok := around.Taker(x.spec, row, x.now); ok {
			taker = fmt.Sprintf("; %s has the function %s/%s", w.Name, x.spec.workflow, row.Name)
		}
		until := job.At
		if back := job.comesBack(row.DueAt).Add(sweptWithin); !job.BackAt.IsZero() && job.At.After(back) { // by a clock that is ahead, or the tick
			until = later(back, x.now)
		}
		if job.BackFor == DeliveryForeign {
			return because(ReasonQueued, never, until,
				"%s is due; its delivery was sent back by a program of another store, which works queue %s too, and comes again%s; %s.",
				name, row.Queue, taker, KeepApart)
		}
		return because(ReasonQueued, never, until, "%s is due; its delivery was sent back, and comes again in queue %s%s.", name, row.Queue, taker)
	case job.Ahead > 0:
		return because(ReasonQueuedBehind, never, never, "%s is due and waits in queue %s behind %s.", name, row.Queue, job.ahead())
	default:
		return because(ReasonQueued, never, never, "%s is due and waits in queue %s for a worker.", name, row.Queue)
	}
}

// refused explains a delivery that came back without having got as far as a runtime. It comes again when the queue or the tick thinks
// fit, whichever is first.
func (x explainer) refused(row StepState, job JobState) Reason {
	until := later(job.comesBack(row.DueAt).Add(sweptWithin), x.now)
	if job.At.After(x.now) && (until.IsZero() || job.At.Before(until)) {
		until = job.At
	}
	return because(ReasonDeliveryRefused, time.Time{}, until,
		"%s is due, and its delivery did not get here: %s. It is tried again within %s in queue %s.",
		nameOf(row), job.Refusal, max(until.Sub(x.now), sweptWithin).Round(time.Second), row.Queue)
}

// sweptWithin is how long it takes a tick to see that something is late, and to see to it.
const sweptWithin = 2 * DefaultHeartbeat

// unable says that no living worker can execute a row, unless one can.
func (x explainer) unable(row StepState) Reason {
	if !x.spec.Find(row.Name).Executes(row.Phase) {
		return Reason{}
	}
	var never time.Time
	differs, who := "", ""
	for _, w := range x.snap.Environment.Workers {
		if !w.Lives(x.now) {
			continue
		}
		switch f := x.snap.Environment.fit(w, x.spec, row.StepKey); {
		case f.Runnable():
			return Reason{}
		case f.Known && who == "":
			differs, who = f.Differs, w.Name
		}
	}
	name, function := nameOf(row), x.spec.workflow+"/"+row.Name
	if who == "" {
		return because(ReasonFunctionUnknown, never, never, "%s is due, and no living process has the function %s.", name, function)
	}
	return because(ReasonFunctionIncompatible, never, never, "%s is due, and the function %s does not fit the run any more: %s (on %s).",
		name, function, differs, who)
}

// mover is a living worker that has the row's workflow and other queues than the row's; nil if there is none.
func (x explainer) mover(row StepState) *Worker {
	around := x.snap.Environment
	for i, w := range around.Workers {
		has := slices.ContainsFunc(w.Shapes, func(shape string) bool {
			today := around.Definitions[shape]
			return today != nil && today.workflow == x.spec.workflow
		})
		if w.Lives(x.now) && has && len(w.Queues) > 0 && !slices.Contains(w.Queues, row.Queue) {
			return &around.Workers[i]
		}
	}
	return nil
}

// worked reports whether a living worker has workflows that use the queue.
func (x explainer) worked(queue string) bool {
	return slices.ContainsFunc(x.snap.Environment.Workers, func(w Worker) bool { return w.Lives(x.now) && slices.Contains(w.Queues, queue) })
}

// witness adds to the evidence the workers and jobs that the reasons speak of.
func (x explainer) witness(ex *Explanation) {
	if x.snap.Environment == nil {
		return
	}
	unable := slices.ContainsFunc(ex.Steps, func(r Reason) bool {
		return r.Code == ReasonQueuedNoWorker || r.Code == ReasonFunctionUnknown || r.Code == ReasonFunctionIncompatible
	})
	for _, w := range x.snap.Environment.Workers {
		executes := slices.ContainsFunc(ex.Evidence.Steps, func(row StepState) bool { return row.Status == StepRunning && row.Worker == w.ID })
		if executes || unable && w.Lives(x.now) {
			ex.Evidence.Workers = append(ex.Evidence.Workers, w)
		}
	}
	ex.Evidence.Jobs = x.snap.Environment.Jobs
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return time.Time{}
}
