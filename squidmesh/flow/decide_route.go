package flow

// reach goes on to a target: a step of the spine, or Complete. Cause is the step whose final failure led there; it is empty after a
// success. The target has no row yet, since routes only lead forwards.
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

// childCompleted counts a dependency off for the siblings that wait for it. It completes the block after the last child.
//
// Every child of a block is reached from the block's roots. So if nothing is open and nothing has failed, all children have
// completed.
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

// childFailed fails the block at the first final failure of a child. Nothing follows before its siblings have drained.
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

// childDrained takes a failed block's error route once none of its children is at work. Until then the running ones are told to
// stop.
func (d *ruling) childDrained(st *StepSpec) {
	if d.run.Open > 0 {
		d.t.Interrupt = true
		return
	}
	block := d.spec.Find(st.Block)
	d.data.Target, d.data.Recovery = block.OnError, block.Recovery
	d.reach(block.OnError, d.run.Reason.Step)
}

// draining reports whether the step may get no further attempt: the run has a verdict, or the step's block has failed. Undos never
// drain.
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

// cancelUnclaimed cancels every row that nobody is executing. It needs a snapshot that holds every row.
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

// doom sets the verdict of a run whose failure has no route: failed, after undoing what has completed.
func (d *ruling) doom() {
	d.run.Verdict, d.run.Compensate = VerdictFailed, true
	d.data.Verdict = VerdictFailed
	d.cancelUnclaimed()
	d.drain()
}

// drain ends a run that has a verdict, once none of its attempts is at work. Until then the running ones are told to stop. Undos
// begin only then (promise 6), and no attempt outlives its run (promise 4).
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

// closeBlocks cancels the block that was running when the verdict came.
func (d *ruling) closeBlocks() {
	for _, row := range d.all(PhaseDo) {
		if row.Status == StepRunning && d.isBlock(row.Name) {
			d.put(d.finished(row, StepCancelled))
			d.data.Closed = append(d.data.Closed, row.Name)
		}
	}
}

// continueOne lets the worker that ended an attempt go on with one successor, without a job. The successor must be a first attempt
// that is due now, in the same queue and of the same priority. The worker must have a function for it that fits and does not hang.
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

// jobs asks for a delivery of every row that this transition left due, unless it is due too far ahead. So an active run always has
// a delivery, an attempt at work, an open decision, or a row that a tick will enqueue (promise 5). It also lists these rows in the
// audit entry.
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

// job asks for the delivery of one row.
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

// holds begins a hold when a delivery's first attempt is claimed, and ends it when its last one has ended. While the worker goes on
// with successors, the hold stays.
func (d *ruling) holds() {
	hold := Hold{Worker: d.worker.Worker, Run: d.run.ID, StepKey: d.worker.Hold}
	switch {
	case d.t.Claim != nil && !d.ended:
		d.t.Held = append(d.t.Held, hold)
	case d.t.Claim == nil && d.ended:
		d.t.Unheld = append(d.t.Unheld, hold)
	}
}
