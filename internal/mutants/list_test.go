package mutants

// mutant is a bug: a text of a file of the core, which it holds once, and what takes its place.
type mutant struct {
	name, file, from, to string
}

var mutants = []mutant{
	// The fence.
	{
		"fence ignores the worker", "decide_step.go",
		`row.Attempt != a.Attempt || row.Worker != a.Worker {`,
		`row.Attempt != a.Attempt {`,
	},
	{
		"fence ignores the attempt", "decide_step.go",
		`row.Attempt != a.Attempt || row.Worker != a.Worker {`,
		`row.Worker != a.Worker {`,
	},
	{
		"lost workers may write", "decide_step.go",
		`!ok || d.snap.WorkerLost || row.Status != StepRunning`,
		`!ok || row.Status != StepRunning`,
	},
	{
		"lost workers may claim", "decide_step.go",
		`case d.snap.WorkerLost:`,
		`case false:`,
	},
	{
		"old deliveries are claimed", "decide_step.go",
		`|| row.Missing > 0 || row.Attempt != e.Attempt || d.run.Status.Terminal():`,
		`|| row.Missing > 0 || d.run.Status.Terminal():`,
	},
	{
		"claims come early", "decide_step.go",
		`case row.DueAt.After(d.now):`,
		`case false:`,
	},
	{
		"unknown functions are claimed", "decide_step.go",
		`if !e.Runnable[e.StepKey] {`,
		`if false {`,
	},
	{
		"stuck functions are claimed", "decide_step.go",
		`if e.Stuck[e.StepKey] {`,
		`if false {`,
	},

	// Attempts.
	{
		"one retry too many", "retry.go",
		`return failures < max(r.MaxAttempts, 1)`,
		`return failures <= max(r.MaxAttempts, 1)`,
	},
	{
		"final failures are retried", "decide_step.go",
		`if !e.Final && retry.grants(row.Failures)`,
		`if retry.grants(row.Failures)`,
	},
	{
		"RetryAfter grants a retry", "decide_step.go",
		`if !e.Final && retry.grants(row.Failures)`,
		`if !e.Final && (e.RetryAfter != nil || retry.grants(row.Failures))`,
	},
	{
		"draining steps are retried", "decide_step.go",
		`retry.grants(row.Failures) && !d.draining(st, row.Phase) {`,
		`retry.grants(row.Failures) {`,
	},
	{
		"undo is retried by the step's policy", "decide_step.go",
		`retry := st.PolicyOf(row.Phase).Retry`,
		`retry := st.Policy.Retry`,
	},
	{
		"delays do not grow", "retry.go",
		`math.Pow(2, float64(failures-1))`,
		`1`,
	},
	{
		"delays are not spread", "retry.go",
		`d *= 1 + r.Jitter*(2*unit(h.Sum64())-1)`,
		`_ = unit(h.Sum64())`,
	},
	{
		"delays are spread over half of the range", "retry.go",
		`(2*unit(h.Sum64())-1)`,
		`unit(h.Sum64())`,
	},
	{
		"all runs have the same delay", "retry.go",
		`range append(seed, strconv.Itoa(failures))`,
		`range append(seed[len(seed)-1:], strconv.Itoa(failures))`,
	},
	{
		"released counts as failure", "decide_step.go",
		`d.attempt(row, AttemptReleased, nil)`,
		"d.attempt(row, AttemptReleased, nil)\n\trow.Failures++",
	},
	{
		"one loss too many", "retry.go",
		`const DefaultMaxLosses = 5`,
		`const DefaultMaxLosses = 6`,
	},
	{
		"policies do not say how many losses", "decide_step.go",
		`PolicyOf(row.Phase).MaxLosses, DefaultMaxLosses)`,
		`PolicyOf(row.Phase).MaxLosses&0, DefaultMaxLosses)`,
	},
	{
		"folds do not know the last loss of a policy", "fold.go",
		`if phase == PhaseDo && slices.Contains(f.Data.Failed, key.Name)`,
		`if phase == PhaseDo && row.Losses == DefaultMaxLosses`,
	},
	{
		"losses come back at once", "decide_step.go",
		`d.giveBack(row, lossDelays[row.Losses-1])`,
		`d.giveBack(row, 0)`,
	},
	{
		"a loss takes what others run", "decide_step.go",
		`|| row.Worker != e.Worker ||`,
		`||`,
	},
	{
		"a second take-over writes", "decide_step.go",
		`	d.data.Worker = e.Worker
`,
		`	if d.entry.Kind == "" && len(e.Holds) > 0 {
		d.record(AuditLost, e.Holds[0], 0)
	}
	d.data.Worker = e.Worker
`,
	},
	{
		"redelivery raises the attempt", "decide_step.go",
		"row.JobID = \"\"\n\td.put(row)",
		"row.JobID = \"\"\n\trow.Attempt++\n\td.put(row)",
	},
	{
		"what has a new job is redelivered", "decide_step.go",
		`|| row.JobID != e.JobID {`,
		`{`,
	},
	{
		"new attempts keep the old job", "decide_step.go",
		`row.DueAt, row.DeadlineAt, row.JobID = d.due(delay), time.Time{}, ""`,
		`row.DueAt, row.DeadlineAt = d.due(delay), time.Time{}`,
	},
	{
		"second tries are not recorded", "decide.go",
		`if outcome == AttemptSucceeded && row.Attempt == 1 {`,
		`if outcome == AttemptSucceeded {`,
	},

	{
		"compensation that has a job gets another", "decide_undo.go",
		`if undo.Status == StepScheduled && undo.JobID == "" {`,
		`if undo.Status == StepScheduled {`,
	},

	// The audit.
	{
		"a cancelled run does not say that it compensates", "decide_manual.go",
		`d.data.Verdict, d.data.Compensate = VerdictCancelled, e.Compensate`,
		`d.data.Verdict = VerdictCancelled`,
	},
	{
		"the audit does not say who was lost", "decide_step.go",
		"	d.data.Worker = e.Worker\n",
		"	if d.entry.Kind == AuditLost {\n\t\td.data.Worker = 0\n\t}\n",
	},

	// Deadlines.
	{
		"decisions expire early", "decide_expire.go",
		`case row.Status == StepPaused && !d.now.Before(row.DeadlineAt):`,
		`case row.Status == StepPaused:`,
	},
	{
		"attempts expire with their deadline", "decide_expire.go",
		`!d.now.Before(row.DeadlineAt.Add(ExpireAfter)):`,
		`!d.now.Before(row.DeadlineAt):`,
	},
	{
		"another attempt expires", "decide_expire.go",
		`case !ok || row.Attempt != e.Attempt || row.DeadlineAt.IsZero():`,
		`case !ok || row.DeadlineAt.IsZero():`,
	},
	{
		"decisions stay open for ever", "decide_route.go",
		`if st.Policy.Timeout > 0 {`,
		`if false {`,
	},
	{
		"an expired attempt counts as nothing", "decide_expire.go",
		`	d.fail(d.spec.Find(row.Name), row, Failed{Error: StepError{`,
		`	row.Failures--
	d.fail(d.spec.Find(row.Name), row, Failed{Error: StepError{`,
	},
	{
		"an expired attempt takes the holds of others", "decide_expire.go",
		`if other.Status == StepRunning && other.Worker == row.Worker {
				return`,
		`if other.Status == StepRunning && other.Worker == row.Worker {
				continue`,
	},
	{
		"an expired attempt keeps its hold", "decide_expire.go",
		`	for _, hold := range holds {`,
		`	for _, hold := range holds[:0] {`,
	},

	// The graph.
	{
		"joins are off by one", "decide_route.go",
		`if row.Missing == 0 {`,
		`if row.Missing <= 1 {`,
	},
	{
		"blocks complete with open children", "decide_route.go",
		`if d.run.Open == 0 {`,
		`if d.run.Open <= 1 {`,
	},
	{
		"blocks route before they have drained", "decide_route.go",
		`	if d.run.Open > 0 {
		d.t.Interrupt = true
		return
	}
	block :=`,
		`	block :=`,
	},
	{
		"failed blocks leave children waiting", "decide_route.go",
		"d.cancelUnclaimed()\n\td.childDrained(st)",
		"d.childDrained(st)",
	},
	{
		"error routes are ignored", "decide_step.go",
		`case st.OnError != "":`,
		`case false:`,
	},
	{
		"unknown routes are retried", "decide_step.go",
		`d.fail(st, row, Failed{Attempted: e.Attempted, Final: true, Error`,
		`d.fail(st, row, Failed{Attempted: e.Attempted, Error`,
	},
	{
		"siblings that drain become the reason", "decide_step.go",
		`if !drained {`,
		`if !drained || true {`,
	},
	{
		"joined children forget the cause", "decide_route.go",
		`Cause: block.Cause, Queue: dep.Policy.Queue,`,
		`Queue: dep.Policy.Queue,`,
	},
	{
		"draining steps are not told to stop", "decide_route.go",
		"func (d *ruling) drain() {\n\tif d.run.Open > 0 {\n\t\td.t.Interrupt = true",
		"func (d *ruling) drain() {\n\tif d.run.Open > 0 {",
	},

	// Continuation.
	{
		"continuation ignores the queue", "decide_route.go",
		`st.Policy.Queue != d.executing.Policy.Queue ||`,
		``,
	},
	{
		"continuation ignores the priority", "decide_route.go",
		`|| st.Policy.Priority != d.executing.Policy.Priority {`,
		`{`,
	},
	{
		"continuation ignores what is stuck", "decide_route.go",
		`|| d.worker.Stuck[c.StepKey]`,
		``,
	},
	{
		"continuation ignores what the worker knows", "decide_route.go",
		`!d.worker.Runnable[c.StepKey] ||`,
		``,
	},
	{
		"continuation takes what is not due", "decide_route.go",
		`c.DueAt.After(d.now) || c.Failures+c.Losses > 0 ||
			c.Attempt > 1 || st.Kind == KindWait ||`,
		``,
	},
	{
		"workers never go on", "decide_route.go",
		`d.t.Claim != nil || d.executing == nil ||`,
		`true || d.executing == nil ||`,
	},

	// Verdicts and compensation.
	{
		"failed runs leave steps waiting", "decide_route.go",
		"d.data.Verdict = VerdictFailed\n\td.cancelUnclaimed()",
		"d.data.Verdict = VerdictFailed",
	},
	{
		"cancelled runs leave steps waiting", "decide_manual.go",
		"d.cancelUnclaimed()\n",
		"\n",
	},
	{
		"cancel always compensates", "decide_manual.go",
		`d.run.Verdict, d.run.Compensate = VerdictCancelled, e.Compensate`,
		`d.run.Verdict, d.run.Compensate = VerdictCancelled, true`,
	},
	{
		"cancel overrules a failure", "decide_manual.go",
		"case d.run.Verdict != VerdictNone:\n\t\treturn nil",
		"case false:\n\t\treturn nil",
	},
	{
		"blocks are left running at the end", "decide_route.go",
		"d.closeBlocks()\n",
		"\n",
	},
	{
		"undo goes by the order of the spec", "decide_undo.go",
		`(next == nil || row.DoneSeq > next.DoneSeq)`,
		`next == nil`,
	},
	{
		"undo begins while siblings live", "decide_route.go",
		"func (d *ruling) drain() {\n\tif d.run.Open > 0 {",
		"func (d *ruling) drain() {\n\tif d.run.Open > 1 {",
	},
	{
		"undos go at once", "decide_undo.go",
		"case exists && (undo.Status == StepScheduled || undo.Status == StepRunning):\n\t\t\treturn",
		"case exists && (undo.Status == StepScheduled || undo.Status == StepRunning):",
	},
	{
		"the run ends while an undo awaits a decision", "decide_undo.go",
		`undecided = true`,
		`undecided = false`,
	},
	{
		"accepted undos stop the others", "decide_undo.go",
		"d.put(d.finished(row, StepFailed))\n\td.undoNext()",
		"d.put(d.finished(row, StepFailed))",
	},
	{
		"undo is retried beside another one", "decide_undo.go",
		"if undo.Status == StepScheduled || undo.Status == StepRunning {\n\t\t\treturn d.refuse",
		"if false {\n\t\t\treturn d.refuse",
	},
	{
		"retried undos keep their losses", "decide_undo.go",
		`row.Failures, row.Losses, row.FinishedAt = 0, 0, time.Time{}`,
		`row.Failures, row.FinishedAt = 0, time.Time{}`,
	},
	{
		"replay repeats irreversible failures", "decide_manual.go",
		`&& !row.StartedAt.IsZero() {`,
		`&& row.Status == StepCompleted {`,
	},

	// The books.
	{
		"the version stays", "decide.go",
		"d.run.Version++\n",
		"\n",
	},
	{
		"audit time falls", "decide.go",
		`if s.Run.LastAt.After(d.at) {`,
		`if false {`,
	},
	{
		"blocks count as open", "decide.go",
		`if !d.isBlock(row.Name) {`,
		`if true {`,
	},
	{
		"runs stay pending", "decide.go",
		`case d.run.Status == RunPending && !d.begun:`,
		`case d.run.Status == RunPending:`,
	},
	{
		"a run that only waits stays pending", "decide_route.go",
		`d.begun = d.begun || st.Kind == KindWait`,
		`_ = st`,
	},
	{
		"retries count as running", "decide.go",
		`case d.run.Open > 0 && d.run.Open == d.run.Retrying:`,
		`case false:`,
	},
	{
		"holds stay", "decide_route.go",
		`case d.t.Claim == nil && d.ended:`,
		`case false:`,
	},
	{
		"continued steps are held anew", "decide_route.go",
		`case d.t.Claim != nil && !d.ended:`,
		`case d.t.Claim != nil:`,
	},
	{
		"far deliveries get a job at once", "decide_route.go",
		`if !c.DueAt.After(d.now.Add(JobHorizon)) {`,
		`if true {`,
	},
	{
		"waits are over at once", "decide_route.go",
		`d.due(st.Policy.Wait)`,
		`d.due(0)`,
	},
	{
		"waits end early", "decide_step.go",
		`d.now.Add(delay).Add(time.Millisecond - 1)`,
		`d.now.Add(delay)`,
	},
	{
		"folding loses audit entries", "transition.go",
		`slices.Concat(t.Audit, next.Audit)`,
		`next.Audit`,
	},
	{
		"folding forgets what is new", "transition.go",
		`folded.Steps[i].StepState = c.StepState`,
		`folded.Steps[i] = c`,
	},
	{
		"folding holds what was let go", "transition.go",
		`if !slices.Contains(next.Unheld, h) {`,
		`if true {`,
	},
	{
		"undo jobs go by the step's policy", "decide_route.go",
		`policy := d.spec.Find(row.Name).PolicyOf(row.Phase)`,
		`policy := d.spec.Find(row.Name).Policy`,
	},
	{
		"closed rows are not listed", "decide_route.go",
		"d.put(d.finished(row, StepCancelled))\n\t\t\td.data.Closed = append(d.data.Closed, row.Name)\n\t\t}\n\t}\n}\n\n// doom",
		"d.put(d.finished(row, StepCancelled))\n\t\t}\n\t}\n}\n\n// doom",
	},

	// What a decision needs, and what is offered.
	{
		"reads forget those that wait", "reads.go",
		`reads.Steps = append(reads.Steps, StepKey{dep, PhaseDo})`,
		`_ = dep`,
	},
	{
		"reads forget the block", "reads.go",
		`reads.Steps = append(reads.Steps, StepKey{st.Block, PhaseDo})`,
		``,
	},
	{
		"every decision reads everything", "reads.go",
		`if run.Verdict != VerdictNone {`,
		`if true {`,
	},
	{
		"successes read all siblings", "reads.go",
		`range spec.dependents[name] {`,
		`range spec.Find(st.Block).Children {`,
	},
	{
		"reads forget that unknown routes fail", "reads.go",
		`st.Routes[e.Route] != ""`,
		`true`,
	},
	{
		"reads forget the verdict", "reads.go",
		`if run.Verdict != VerdictNone {`,
		`if false {`,
	},
	{
		"unfit functions are unknown", "decide_step.go",
		`if e.Unfit[e.StepKey] {`,
		`if false {`,
	},
	{
		"who could take a step elsewhere waits for it as if nobody could", "decide_step.go",
		`if e.Elsewhere {`,
		`if false {`,
	},
	{
		"what nobody can execute comes again at once", "decide_step.go",
		`if e.Elsewhere {`,
		`if true {`,
	},
	{
		"the time in the queue is not measured", "decide_step.go",
		`d.t.Queued = d.now.Sub(row.DueAt)`,
		``,
	},
	{
		"attempts are not measured", "decide_step.go",
		"d.t.Ran = d.at.Sub(row.StartedAt)\n\treturn row, true",
		`return row, true`,
	},
	{
		"open decisions are not measured", "decide_manual.go",
		`d.t.Ran = d.at.Sub(opened)`,
		`_ = opened`,
	},
	{
		"the audit of a start leaves out the key", "decide_step.go",
		`d.data.Trigger, d.data.Key, d.data.SignalID = e.Trigger, CallersKey(e.Key), e.SignalID`,
		`d.data.Trigger, d.data.SignalID = e.Trigger, e.SignalID`,
	},
	{
		"what is sealed waits for a worker", "explain_reason.go",
		`case sealed:`,
		`case sealed && false:`,
	},
	{
		"steps run on when their worker is gone", "explain_reason.go",
		`!around.lives(row.Worker, x.now) {`,
		`false {`,
	},
	{
		"jobs that are gone are in the queue", "explain_reason.go",
		`case asked && !job.Deliverable:`,
		`case false:`,
	},
	{
		"cancel is offered at the end", "explain_command.go",
		"if !s.Run.Status.Terminal() {\n\t\ttry(CommandCancel",
		"if true {\n\t\ttry(CommandCancel",
	},
	{
		"one failed undo of several cannot be named", "explain_command.go",
		`by := Decision{Actor: "explain", Step: row.Name}`,
		`by := Decision{Actor: "explain"}`,
	},
	{
		"blocks that drain are passed", "prospect.go",
		`return begun && !row.Status.Final() || f.drains(st)`,
		`return begun && !row.Status.Final()`,
	},
	{
		"what runs now is foreseen to wait", "prospect.go",
		`return row.Status != StepRunning && !f.spec`,
		`return row.Status != StepCompleted && !f.spec`,
	},
	{
		"nobody foresees a rejection", "prospect.go",
		`return []string{st.Next, st.OnError}`,
		`return []string{st.Next}`,
	},
	{
		"nobody foresees failures", "prospect.go",
		`fails = true`,
		`fails = fails || false`,
	},
	{
		"nobody foresees undos", "prospect.go",
		`f.needs[StepKey{st.Name, PhaseUndo}] = true`,
		`_ = f.needs`,
	},
	{
		"one route that waits is foreseen for all", "prospect.go",
		"if !f.follow(target) {\n\t\t\tonward = false",
		"if f.follow(target) {\n\t\t\tonward = true",
	},
	{
		"undos are foreseen to wait once they have ended", "prospect.go",
		`!st.HasUndo || undo.Status.Final() ||`,
		`!st.HasUndo ||`,
	},
	{
		"undos that are at work are foreseen to wait", "prospect.go",
		`(!begun || undo.Status == StepScheduled)`,
		`(!begun || !undo.Status.Final())`,
	},
}
