package flow

// reach goes on to a target, a spine step or Complete. Cause names the step whose final failure led there; empty is a success.
func (d *ruling) reach(target, cause string) {
	if target == Complete {
		d.terminal = RunCompleted
		return
	}
	st := d.spec.Find(target)
	row := StepState{Run: d.run.ID, StepKey: StepKey{target, PhaseDo}, Attempt: 1, Cause: cause, Queue: st.Policy.Queue}
	switch st.Kind {
	case KindBlock:
		row.Status, row.StartedAt = StepRunning, d.at
		d.put(row)
		for _, child := range st.Children {
			if c := d.spec.Find(child); len(c.After) == 0 {
				d.ready(StepState{
					Run: d.run.ID, StepKey: StepKey{child, PhaseDo}, Attempt: 1, Cause: cause, Queue: c.Policy.Queue,
				})
			}
		}
	case KindPause, KindApproval:
		row.Status, row.StartedAt = StepPaused, d.at
		if st.Policy.Timeout > 0 {
			row.DeadlineAt = d.now.Add(st.Policy.Timeout)
		}
		d.pausing = true
		d.put(row)
	default:
		d.ready(row)
	}
}

// ready schedules the first attempt of a row: at once, or at the end of a wait.
func (d *ruling) ready(row StepState) {
	st := d.spec.Find(row.Name)
	row.Status, row.DueAt = StepScheduled, d.due(st.Policy.Wait)
	d.begun = d.begun || st.Kind == KindWait
	d.put(row)
}

// childCompleted counts a dependency off for those that wait for it, and completes the block after its last child.
//
// Every child of a block is reached from its roots, so when nothing is open and nothing has failed, all have completed.
func (d *ruling) childCompleted(st *StepSpec) {
	block, _ := d.row(StepKey{st.Block, PhaseDo})
	if block.Status == StepFailed {
		d.childDrained(st)
		return
	}
	for _, name := range d.spec.dependents[st.Name] {
		dep := d.spec.Find(name)
		row, ok := d.row(StepKey{name, PhaseDo})
		if !ok {
			row = StepState{
				Run: d.run.ID, StepKey: StepKey{name, PhaseDo}, Status: StepScheduled, Attempt: 1,
				Missing: len(dep.After), Cause: block.Cause, Queue: dep.Policy.Queue,
			}
		}
		row.Missing--
		if row.Missing == 0 {
			d.ready(row)
			continue
		}
		d.put(row)
	}
	if d.run.Open == 0 {
		d.put(d.finished(block, StepCompleted))
		d.reach(d.spec.Find(st.Block).Next, "")
	}
}

// childFailed fails the block at its first final failure. Its siblings drain before anything follows.
func (d *ruling) childFailed(st *StepSpec) {
	block, _ := d.row(StepKey{st.Block, PhaseDo})
	if block.Status == StepFailed {
		d.childDrained(st)
		return
	}
	d.put(d.finished(block, StepFailed))
	if d.spec.Find(st.Block).OnError == "" {
		d.doom()
		return
	}
	d.cancelUnclaimed()
	d.childDrained(st)
}

// childDrained takes a failed block's error route once none of its children is live.
func (d *ruling) childDrained(st *StepSpec) {
	if d.run.Open > 0 {
		d.t.Interrupt = true
		return
	}
	block := d.spec.Find(st.Block)
	d.data.Target, d.data.Recovery = block.OnError, block.Recovery
	d.reach(block.OnError, d.run.Reason.Step)
}

// draining reports whether an attempt of the step can have no successor of its own any more.
func (d *ruling) draining(st *StepSpec, phase Phase) bool {
	if phase == PhaseUndo {
		return false
	}
	if d.run.Verdict != VerdictNone {
		return true
	}
	if st.Block == "" {
		return false
	}
	block, _ := d.row(StepKey{st.Block, PhaseDo})
	return block.Status == StepFailed
}

// cancelUnclaimed ends every row that nobody is executing. It needs a full snapshot.
func (d *ruling) cancelUnclaimed() {
	for _, row := range d.all(PhaseDo) {
		if row.Status == StepScheduled || row.Status == StepPaused {
			if row.Status == StepPaused {
				d.t.Ran = max(d.t.Ran, d.at.Sub(row.StartedAt))
			}
			d.put(d.finished(row, StepCancelled))
			d.data.Closed = append(d.data.Closed, row.Name)
		}
	}
}

// doom sets the verdict of a run whose failure has no route.
func (d *ruling) doom() {
	d.run.Verdict, d.run.Compensate = VerdictFailed, true
	d.data.Verdict = VerdictFailed
	d.cancelUnclaimed()
	d.drain()
}

// drain waits until no attempt is live, and then undoes what is to be undone, or takes the verdict.
func (d *ruling) drain() {
	if d.run.Open > 0 {
		d.t.Interrupt = true
		return
	}
	d.closeBlocks()
	if d.run.Compensate {
		d.undoNext()
		return
	}
	d.terminal = RunStatus(d.run.Verdict)
}

// closeBlocks ends the block that a verdict came upon.
func (d *ruling) closeBlocks() {
	for _, row := range d.all(PhaseDo) {
		if row.Status == StepRunning && d.isBlock(row.Name) {
			d.put(d.finished(row, StepCancelled))
			d.data.Closed = append(d.data.Closed, row.Name)
		}
	}
}

// continueOne lets the worker that ended an attempt go on with one successor that is due now, on the same queue and at
// the same priority, whose function it has and can call, without a job.
func (d *ruling) continueOne() {
	if d.t.Claim != nil || d.executing == nil || d.worker.Runnable == nil || d.run.Verdict != VerdictNone || d.terminal != "" {
		return
	}
	for _, c := range d.t.Steps {
		st := d.spec.Find(c.Name)
		if c.Phase != PhaseDo || c.Status != StepScheduled || c.Missing > 0 || c.DueAt.After(d.now) || c.Failures+c.Losses > 0 ||
			c.Attempt > 1 || st.Kind == KindWait || !d.worker.Runnable[c.StepKey] || d.worker.Stuck[c.StepKey] ||
			st.Policy.Queue != d.executing.Policy.Queue || st.Policy.Priority != d.executing.Policy.Priority {
			continue
		}
		d.claim(c.StepState)
		return
	}
}

// jobs asks for a delivery of every row that this transition left due, unless it is due too far ahead.
func (d *ruling) jobs() {
	for i := range d.t.Steps {
		c := &d.t.Steps[i]
		if c.Status == StepScheduled && c.Missing > 0 || c.Status == StepCompleted || c.Status == StepCancelled || c.Status == StepFailed {
			continue
		}
		if d.isBlock(c.Name) {
			continue
		}
		reached := AuditReached{Step: c.Name, Status: c.Status, Attempt: c.Attempt}
		if c.Phase == PhaseUndo {
			reached.Phase = PhaseUndo
		}
		if c.Status == StepRunning {
			reached.Worker = c.Worker
		}
		if c.Status == StepPaused && !c.DeadlineAt.IsZero() {
			deadline := c.DeadlineAt
			reached.DeadlineAt = &deadline
		}
		if c.Status == StepScheduled {
			if c.DueAt.After(d.now) {
				due := c.DueAt
				reached.DueAt = &due
			}
			if !c.DueAt.After(d.now.Add(JobHorizon)) {
				d.job(c.StepState)
			}
		}
		d.data.Reached = append(d.data.Reached, reached)
	}
}

func (d *ruling) job(row StepState) {
	policy := d.spec.Find(row.Name).PolicyOf(row.Phase)
	job := Job{
		Run: d.run.ID, Workflow: d.run.Workflow, StepKey: row.StepKey, Attempt: row.Attempt,
		Queue: policy.Queue, Priority: policy.Priority, Now: d.now,
	}
	if row.DueAt.After(d.now) {
		job.DueAt = row.DueAt
	}
	d.t.Jobs = append(d.t.Jobs, job)
}

// holds keeps one hold per delivery that is being worked on.
func (d *ruling) holds() {
	hold := Hold{Worker: d.worker.Worker, Run: d.run.ID, StepKey: d.worker.Hold}
	switch {
	case d.t.Claim != nil && !d.ended:
		d.t.Held = append(d.t.Held, hold)
	case d.t.Claim == nil && d.ended:
		d.t.Unheld = append(d.t.Unheld, hold)
	}
}
