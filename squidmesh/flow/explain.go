package flow

import (
	"fmt"
	"strings"
	"time"
)

// Explanation says why a run stands where it stands and what would work now.
type Explanation struct {
	Run    RunID     `json:"run_id"`
	Status RunStatus `json:"status"`

	// Reason is why the run is not further. If several steps have reasons, it is the one that needs most attention. Its Step is
	// empty if it is about the whole run.
	Reason

	// Steps are the reasons of all steps and undos that the run waits for, in the order of the spec. Steps that only wait for other
	// steps are among them.
	Steps []Reason `json:"steps,omitzero"`

	// Error is the failure that the explanation is about, if any.
	Error *StepError `json:"error,omitzero"`

	// Evidence is what the explanation was concluded from.
	Evidence Evidence `json:"evidence,omitzero"`

	// Commands are the commands that Decide would accept now, and no others. A replay is listed only if today's definition takes
	// it.
	Commands []Command `json:"actions,omitzero"`
}

// Evidence is what an explanation was concluded from.
type Evidence struct {
	// Steps are the open rows, or the row of the step that failed.
	Steps []StepState `json:"steps,omitzero"`

	// Workers are the workers that execute one of Steps. If nobody claims one of Steps because nobody works its queue or has its
	// function, Workers are all that live, with what they have and work instead.
	Workers []Worker `json:"workers,omitzero"`

	// Jobs are what the queue says of the jobs of those Steps that are due, by job id. It is nil if the queue cannot be asked.
	Jobs map[string]JobState `json:"jobs,omitzero"`
}

// Explain says why a run stands where it stands. It is the twin of [Decide]. The snapshot must hold every row; with the run's
// [Environment] the explanation says more. Spec is nil if nobody has the shape that the run is pinned to.
func Explain(spec *Spec, s Snapshot, now time.Time) Explanation {
	x := explainer{spec: spec, snap: s, now: now}
	ex := Explanation{Run: s.Run.ID, Status: s.Run.Status}
	ex.Since = s.Run.LastAt
	if spec != nil {
		ex.Commands = actions(spec, s, now)
		ex.Evidence.Steps = openRows(spec, s)
		ex.Steps = x.steps()
	}
	switch run := s.Run; {
	case run.Status == RunCompleted:
		ex.reason(ReasonCompleted, "", "The run has completed.")
	case run.Status == RunCancelled:
		ex.reason(ReasonCancelled, "", "The run was cancelled.")
	case run.Status == RunFailed:
		ex.failed(spec, s)
	case spec == nil:
		ex.reason(ReasonDefinitionUnknown, "", "The run is pinned to shape %s of %s, which the database does not hold: put it back.",
			run.Shape, run.Workflow)
	case run.Status == RunCompensating:
		ex.compensating()
	case run.Verdict != VerdictNone:
		x.draining(&ex)
	default:
		ex.Reason = foremost(ex.Steps)
	}
	x.witness(&ex)
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
	ex.Evidence.Steps = []StepState{row}
	if spec != nil {
		if st := spec.Find(failure.Step); st != nil && st.Policy.Retry.MaxAttempts > 1 && !st.Policy.Retry.grants(row.Failures) {
			ex.reason(ReasonRetryExhausted, failure.Step, "Step %s failed %s, the last time with: %s", failure.Step, times(row.Failures), failure.Message)
			return
		}
	}
	ex.reason(ReasonStepFailed, failure.Step, "Step %s failed: %s", failure.Step, failure.Message)
}

// compensating explains a run that is taking back what it did.
func (ex *Explanation) compensating() {
	switch r := foremost(ex.Steps); {
	case r.Code == ReasonCompensationFailed:
		var failed []string
		for _, other := range ex.Steps {
			failed = append(failed, other.Step)
		}
		ex.Reason = r
		ex.Sentence = fmt.Sprintf("The undo of %s failed for good: retry it, or accept that it is not undone.", strings.Join(failed, ", "))
	case r.Code.trouble(), r.Code == ReasonWaitingRetry, r.Code == ReasonWaitingRestart:
		ex.Reason = r
		ex.Sentence = "The run undoes what it did. " + r.Sentence
	default:
		ex.Reason = r
		ex.reason(ReasonCompensating, r.Step, "The run undoes what it did; it is at step %s.", r.Step)
	}
}

// draining explains a run that has a verdict and waits for attempts that were running.
func (x explainer) draining(ex *Explanation) {
	run := x.snap.Run
	prefix, code := "The run was cancelled", ReasonCancelling
	if run.Verdict == VerdictFailed {
		code, ex.Error = ReasonDraining, run.Reason
		prefix = "A step failed"
		if run.Reason != nil {
			prefix = fmt.Sprintf("Step %s failed", run.Reason.Step)
		}
	}
	if r := foremost(ex.Steps); r.Code.trouble() {
		ex.Reason = r
		ex.Sentence = prefix + ". " + r.Sentence
		return
	}
	var waits []string
	for _, r := range ex.Steps {
		waits = append(waits, r.Step+x.on(x.snap.Steps[StepKey{r.Step, r.Phase}]))
	}
	if len(waits) == 0 {
		ex.reason(code, "", "%s; the run is about to end.", prefix)
		return
	}
	ex.reason(code, ex.Steps[0].Step, "%s; the run waits for %s to stop.", prefix, strings.Join(waits, ", "))
}

// openRows are the rows that count as open, in the order of the spec.
func openRows(spec *Spec, s Snapshot) []StepState {
	var rows []StepState
	for _, row := range awaitedRows(spec, s) {
		if row.Open() {
			rows = append(rows, row)
		}
	}
	return rows
}

// awaitedRows are the rows that are open, or will be once others have completed.
func awaitedRows(spec *Spec, s Snapshot) []StepState {
	var rows []StepState
	for i := range spec.steps {
		for _, phase := range []Phase{PhaseDo, PhaseUndo} {
			row, ok := s.Steps[StepKey{spec.steps[i].Name, phase}]
			if ok && !row.Status.Final() && spec.steps[i].Kind != KindBlock {
				rows = append(rows, row)
			}
		}
	}
	return rows
}
