package squidmesh

import "slices"

// ruleExplain: every state has one reason and a sentence, which fit what the rows say.
func ruleExplain(m *moment) string {
	s := m.world.snap
	ex := m.explain()
	if ex.Code == "" || ex.Sentence == "" || ex.Status != s.Run.Status || ex.Run != s.Run.ID {
		return say("%+v explains a run that is %s", ex, s.Run.Status)
	}
	row, undo := s.do(ex.Step), s.Steps[StepKey{ex.Step, PhaseUndo}]
	future := row.DueAt.After(m.now)
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
		ReasonRunning:            row.Status == StepRunning && !m.now.After(row.DeadlineAt),
		ReasonRunningPastTimeout: row.Status == StepRunning && m.now.After(row.DeadlineAt),
		ReasonWaitingRetry:       row.Status == StepScheduled && row.Failures > 0 && future,
		ReasonWaitingTimer:       row.Status == StepScheduled && row.Failures == 0 && future,
		ReasonQueued:             row.Status == StepScheduled && !future && row.JobID != "",
		ReasonDispatchMissing:    row.Status == StepScheduled && !future && row.JobID == "",
	}
	if !fits[ex.Code] {
		return say("the run is %s, step %q is %s, and the reason is %s: %s", s.Run.Status, ex.Step, row.Status, ex.Code, ex.Sentence)
	}
	return ""
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
