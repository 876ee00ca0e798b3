package flow_test

import (
	"slices"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ruleExplain: every state has one reason and a sentence, which fit what the rows say, and every step that is awaited has its own.
func ruleExplain(m *moment) string {
	s := m.world.snap
	ex := m.explain()
	if ex.Code == "" || ex.Sentence == "" || ex.Status != s.Run.Status || ex.Run != s.Run.ID {
		return say("%+v explains a run that is %s", ex, s.Run.Status)
	}
	row, undo := s.Do(ex.Step), s.Steps[flow.StepKey{Name: ex.Step, Phase: flow.PhaseUndo}]
	about := s.Steps[flow.StepKey{Name: ex.Step, Phase: ex.Phase}]
	fits := map[flow.ReasonCode]bool{
		flow.ReasonCompleted:          s.Run.Status == flow.RunCompleted,
		flow.ReasonStepFailed:         s.Run.Status == flow.RunFailed && row.Status == flow.StepFailed,
		flow.ReasonRetryExhausted:     s.Run.Status == flow.RunFailed && row.Status == flow.StepFailed && row.Failures > 1,
		flow.ReasonCancelled:          s.Run.Status == flow.RunCancelled,
		flow.ReasonCancelling:         s.Run.Status == flow.RunCancelling && row.Status == flow.StepRunning,
		flow.ReasonDraining:           s.Run.Verdict == flow.VerdictFailed && row.Status == flow.StepRunning,
		flow.ReasonCompensating:       s.Run.Status == flow.RunCompensating && (undo.Status == flow.StepScheduled || undo.Status == flow.StepRunning),
		flow.ReasonCompensationFailed: s.Run.Status == flow.RunCompensating && undo.Status == flow.StepPaused,
		flow.ReasonWaitingApproval:    s.Run.Status == flow.RunPaused && row.Status == flow.StepPaused,
		flow.ReasonWaitingUnblock:     s.Run.Status == flow.RunPaused && row.Status == flow.StepPaused,
	}
	if fit, ok := fits[ex.Code]; ok && !fit || !ok && !m.stands(about, ex.Code) {
		return say("the run is %s, step %q is %s, and the reason is %s: %s", s.Run.Status, ex.Step, about.Status, ex.Code, ex.Sentence)
	}
	reasons := map[flow.StepKey]flow.Reason{}
	for _, r := range ex.Steps {
		reasons[flow.StepKey{Name: r.Step, Phase: r.Phase}] = r
	}
	for key, row := range s.Steps {
		r, explained := reasons[key]
		if awaited := !row.Status.Final() && m.spec.Find(key.Name).Kind != flow.KindBlock; awaited != explained {
			return say("%s %s is %s, and it is explained: %v", key.Name, key.Phase, row.Status, explained)
		}
		if explained && (r.Sentence == "" || r.Since.IsZero() || !m.stands(row, r.Code)) {
			return say("%s %s is %s, and the reason is %+v", key.Name, key.Phase, row.Status, r)
		}
	}
	return ""
}

// stands reports whether a reason fits a row, its worker and its job.
func (m *moment) stands(row flow.StepState, code flow.ReasonCode) bool {
	due := row.Status == flow.StepScheduled && row.Missing == 0 && !row.DueAt.After(m.now)
	waits := row.Status == flow.StepScheduled && row.Missing == 0 && row.DueAt.After(m.now)
	dead := m.world.lost[row.Worker]
	queued := slices.ContainsFunc(m.world.queue, func(q queued) bool { return q.StepKey == row.StepKey && q.Attempt == row.Attempt })
	switch code {
	case flow.ReasonRunning:
		return row.Status == flow.StepRunning && !dead && !m.now.After(row.DeadlineAt)
	case flow.ReasonRunningPastTimeout:
		return row.Status == flow.StepRunning && !dead && m.now.After(row.DeadlineAt)
	case flow.ReasonClaimExpired:
		return row.Status == flow.StepRunning && dead
	case flow.ReasonWaitingRetry:
		return waits && row.Failures > 0
	case flow.ReasonWaitingTimer:
		return waits && row.Attempt == 1
	case flow.ReasonWaitingRestart:
		return waits && row.Attempt > 1 && row.Failures == 0
	case flow.ReasonWaitingDependencies:
		return row.Status == flow.StepScheduled && row.Missing > 0
	case flow.ReasonQueued:
		return due && queued && row.Attempt != 2
	case flow.ReasonPayloadUnreadable:
		return due && queued && row.Attempt == 2
	case flow.ReasonJobDiscarded:
		return due && row.JobID != "" && !queued
	case flow.ReasonDispatchMissing:
		return due && row.JobID == ""
	case flow.ReasonWaitingApproval, flow.ReasonWaitingUnblock, flow.ReasonCompensationFailed:
		return row.Status == flow.StepPaused
	default:
		return false
	}
}

// ruleActions: offered is exactly what would be accepted.
func ruleActions(m *moment) string {
	s := m.world.snap
	var pause, approval, failedUndo, busyUndo, irreversible bool
	for key, row := range s.Steps {
		st := m.spec.Find(key.Name)
		pause = pause || row.Status == flow.StepPaused && st.Kind == flow.KindPause
		approval = approval || row.Status == flow.StepPaused && st.Kind == flow.KindApproval
		undo := key.Phase == flow.PhaseUndo
		failedUndo = failedUndo || undo && row.Status == flow.StepPaused
		busyUndo = busyUndo || undo && (row.Status == flow.StepScheduled || row.Status == flow.StepRunning)
		irreversible = irreversible || !undo && (st.Irreversible || st.NotCompensatable) && !row.StartedAt.IsZero()
	}
	var want []flow.Command
	offer := func(a flow.Command, ok bool) {
		if ok {
			want = append(want, a)
		}
	}
	over := s.Run.Status.Terminal()
	offer(flow.CommandUnblock, pause)
	offer(flow.CommandApprove, approval)
	offer(flow.CommandReject, approval)
	offer(flow.CommandRetryUndo, failedUndo && !busyUndo)
	offer(flow.CommandAcceptUndo, failedUndo)
	offer(flow.CommandCancel, !over)
	offer(flow.CommandReplay, over && !irreversible)
	offer(flow.CommandReplayIrreversible, over && irreversible)
	got := m.explain().Commands
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		return say("the run is %s; offered are %v, accepted would be %v", s.Run.Status, got, want)
	}
	return ""
}
