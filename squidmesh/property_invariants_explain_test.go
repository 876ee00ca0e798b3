package squidmesh

import "slices"

// ruleExplain: every state has one reason and a sentence, which fit what the rows say, and every step that is awaited has its own.
func ruleExplain(m *moment) string {
	s := m.world.snap
	ex := m.explain()
	if ex.Code == "" || ex.Sentence == "" || ex.Status != s.Run.Status || ex.Run != s.Run.ID {
		return say("%+v explains a run that is %s", ex, s.Run.Status)
	}
	row, undo := s.do(ex.Step), s.Steps[StepKey{ex.Step, PhaseUndo}]
	about := s.Steps[StepKey{ex.Step, ex.Phase}]
	fits := map[ReasonCode]bool{
		ReasonCompleted:          s.Run.Status == RunCompleted,
		ReasonStepFailed:         s.Run.Status == RunFailed && row.Status == StepFailed,
		ReasonRetryExhausted:     s.Run.Status == RunFailed && row.Status == StepFailed && row.Failures > 1,
		ReasonCancelled:          s.Run.Status == RunCancelled,
		ReasonCancelling:         s.Run.Status == RunCancelling && row.Status == StepRunning,
		ReasonDraining:           s.Run.Verdict == VerdictFailed && row.Status == StepRunning,
		ReasonCompensating:       s.Run.Status == RunCompensating && (undo.Status == StepScheduled || undo.Status == StepRunning),
		ReasonCompensationFailed: s.Run.Status == RunCompensating && undo.Status == StepPaused,
		ReasonWaitingApproval:    s.Run.Status == RunPaused && row.Status == StepPaused,
		ReasonWaitingUnblock:     s.Run.Status == RunPaused && row.Status == StepPaused,
	}
	if fit, ok := fits[ex.Code]; ok && !fit || !ok && !m.stands(about, ex.Code) {
		return say("the run is %s, step %q is %s, and the reason is %s: %s", s.Run.Status, ex.Step, about.Status, ex.Code, ex.Sentence)
	}
	reasons := map[StepKey]Reason{}
	for _, r := range ex.Steps {
		reasons[StepKey{r.Step, r.Phase}] = r
	}
	for key, row := range s.Steps {
		r, explained := reasons[key]
		if awaited := !row.Status.final() && m.spec.step(key.Name).Kind != KindBlock; awaited != explained {
			return say("%s %s is %s, and it is explained: %v", key.Name, key.Phase, row.Status, explained)
		}
		if explained && (r.Sentence == "" || r.Since.IsZero() || !m.stands(row, r.Code)) {
			return say("%s %s is %s, and the reason is %+v", key.Name, key.Phase, row.Status, r)
		}
	}
	return ""
}

// stands reports whether a reason fits a row, its worker and its job.
func (m *moment) stands(row StepState, code ReasonCode) bool {
	due := row.Status == StepScheduled && row.Missing == 0 && !row.DueAt.After(m.now)
	waits := row.Status == StepScheduled && row.Missing == 0 && row.DueAt.After(m.now)
	dead := m.world.lost[row.Worker]
	queued := slices.ContainsFunc(m.world.queue, func(q queued) bool { return q.StepKey == row.StepKey && q.Attempt == row.Attempt })
	switch code {
	case ReasonRunning:
		return row.Status == StepRunning && !dead && !m.now.After(row.DeadlineAt)
	case ReasonRunningPastTimeout:
		return row.Status == StepRunning && !dead && m.now.After(row.DeadlineAt)
	case ReasonClaimExpired:
		return row.Status == StepRunning && dead
	case ReasonWaitingRetry:
		return waits && row.Failures > 0
	case ReasonWaitingTimer:
		return waits && row.Attempt == 1
	case ReasonWaitingRestart:
		return waits && row.Attempt > 1 && row.Failures == 0
	case ReasonWaitingDependencies:
		return row.Status == StepScheduled && row.Missing > 0
	case ReasonQueued:
		return due && queued && row.Attempt != 2
	case ReasonPayloadUnreadable:
		return due && queued && row.Attempt == 2
	case ReasonJobDiscarded:
		return due && row.JobID != "" && !queued
	case ReasonDispatchMissing:
		return due && row.JobID == ""
	case ReasonWaitingApproval, ReasonWaitingUnblock, ReasonCompensationFailed:
		return row.Status == StepPaused
	default:
		return false
	}
}

// ruleActions: offered is exactly what would be accepted.
func ruleActions(m *moment) string {
	s := m.world.snap
	var pause, approval, failedUndo, busyUndo, irreversible bool
	for key, row := range s.Steps {
		st := m.spec.step(key.Name)
		pause = pause || row.Status == StepPaused && st.Kind == KindPause
		approval = approval || row.Status == StepPaused && st.Kind == KindApproval
		undo := key.Phase == PhaseUndo
		failedUndo = failedUndo || undo && row.Status == StepPaused
		busyUndo = busyUndo || undo && (row.Status == StepScheduled || row.Status == StepRunning)
		irreversible = irreversible || !undo && (st.Irreversible || st.NotCompensatable) && !row.StartedAt.IsZero()
	}
	var want []RunAction
	offer := func(a RunAction, ok bool) {
		if ok {
			want = append(want, a)
		}
	}
	over := s.Run.Status.Terminal()
	offer(ActionUnblock, pause)
	offer(ActionApprove, approval)
	offer(ActionReject, approval)
	offer(ActionRetryUndo, failedUndo && !busyUndo)
	offer(ActionAcceptUndo, failedUndo)
	offer(ActionCancel, !over)
	offer(ActionReplay, over && !irreversible)
	offer(ActionReplayIrreversible, over && irreversible)
	got := m.explain().Actions
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		return say("the run is %s; offered are %v, accepted would be %v", s.Run.Status, got, want)
	}
	return ""
}
