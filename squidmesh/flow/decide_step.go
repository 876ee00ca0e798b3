package flow

import (
	"cmp"
	"fmt"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// started makes the run's row and reaches its first step.
func (d *ruling) started(e Started) {
	d.run = Run{
		ID: e.ID, Workflow: d.spec.workflow, Trigger: e.Trigger, Shape: d.spec.shape,
		Key: e.Key, KeyHash: e.KeyHash, WindowAt: e.WindowAt, WindowEnd: e.WindowEnd, ReceivedAt: e.ReceivedAt, SignalID: e.SignalID,
		ReplayedFrom: e.ReplayedFrom, Payload: e.Payload, CreatedAt: d.at, Status: RunPending, LastAt: d.at,
	}
	d.t.NewRun = true
	d.entry.Run, d.entry.Actor = e.ID, e.Actor
	d.record(AuditStarted, StepKey{}, 0)
	d.data.Trigger, d.data.Key, d.data.SignalID = e.Trigger, CallersKey(e.Key), e.SignalID
	d.data.WindowAt, d.data.WindowEnd, d.data.ReceivedAt = e.WindowAt, e.WindowEnd, e.ReceivedAt
	if e.ReplayedFrom != (RunID{}) {
		d.data.Replayed = e.ReplayedFrom.String()
	}
	d.reach(d.spec.Entry(), "")
}

// claimed gives the attempt to the worker whose delivery comes first. Any other delivery changes nothing.
//
// The cases in their order: a lost worker begins nothing. An attempt is claimed once, and only if it is the row's current one and
// its run goes on (promises 3 and 4). It is claimed only in its own queue, and not before it is due (promise 4). A wait is over
// once it is due. The rest needs a function that the worker has and that does not hang.
func (d *ruling) claimed(e Claimed) {
	row, ok := d.row(e.StepKey)
	switch {
	case d.snap.WorkerLost:
		d.again(d.now.Add(time.Second), DeliveryWorkerLost)
		return
	case !ok || row.Status != StepScheduled || row.Missing > 0 || row.Attempt != e.Attempt || d.run.Status.Terminal():
		d.t.Outcome.Reason = staleReason(row, e.Attempt)
		return
	case strays(e, row):
		d.t.Outcome.Reason = DeliveryOtherQueue
		return
	case row.DueAt.After(d.now):
		d.again(row.DueAt, DeliveryEarly)
		return
	}
	st := d.spec.Find(e.Name)
	d.worker, d.executing = e.Attempted, st
	d.t.Queued = d.now.Sub(row.DueAt)
	if st.Kind == KindWait {
		row.StartedAt = d.at
		d.complete(st, row, "")
		return
	}
	if !e.Runnable[e.StepKey] {
		reason := ReasonFunctionUnknown
		if e.Unfit[e.StepKey] {
			reason = ReasonFunctionIncompatible
		}
		pause := d.lateness(row)
		if e.Elsewhere {
			pause = Soon(d.now, d.run.ID.String(), row.Name)
		}
		d.again(d.now.Add(pause), string(reason))
		return
	}
	if e.Stuck[e.StepKey] {
		d.again(d.now.Add(d.lateness(row)), DeliveryFunctionStuck)
		return
	}
	d.record(AuditClaimed, row.StepKey, row.Attempt)
	d.claim(row)
}

// strays reports whether a delivery came by another queue than the row was sent through. That queue's workers and hosts are not
// meant for the row. But the row's own job is taken wherever an operator has moved it.
func strays(e Claimed, row StepState) bool {
	return e.Queue != "" && row.Queue != "" && e.Queue != row.Queue && e.Job != row.JobID
}

// lateness is the pause before a delivery comes again that nobody can execute here: half the time that it is late, from 1 to 30
// seconds.
func (d *ruling) lateness(row StepState) time.Duration {
	return min(max(d.now.Sub(row.DueAt)/2, time.Second), 30*time.Second)
}

// staleReason says why a claim that changes nothing came: its attempt is at work elsewhere, or over.
func staleReason(row StepState, attempt int) string {
	if row.Status == StepRunning && row.Attempt == attempt {
		return DeliveryHeld
	}
	return DeliveryStale
}

// again sends the delivery back, to come once more at the time.
func (d *ruling) again(at time.Time, reason string) {
	d.t.Outcome = Outcome{Kind: OutcomeAgain, At: at, After: at.Sub(d.now), Reason: reason}
}

// claim starts the row's attempt under the event's worker. It is the only place that makes a row running, apart from blocks, so an
// attempt has one worker, and that has its lease (promise 3).
func (d *ruling) claim(row StepState) {
	st := d.spec.Find(row.Name)
	keys, sources := st.Takes(row.Phase)
	row.Status, row.Worker = StepRunning, d.worker.Worker
	row.StartedAt, row.DueAt = d.at, time.Time{}
	row.DeadlineAt = d.now.Add(st.PolicyOf(row.Phase).Timeout)
	d.put(row)
	d.begun = true
	d.data.Worker = d.worker.Worker

	var cause *StepError
	if row.Cause != "" {
		cause = d.run.Reason
	}
	d.t.Claim = &Claim{
		Run: d.run.ID, Workflow: d.run.Workflow, Shape: d.run.Shape, StepKey: row.StepKey, Attempt: row.Attempt,
		Worker: row.Worker, Hold: d.worker.Hold, Now: d.now, DeadlineAt: row.DeadlineAt, Cause: cause,
		Keys: keys, Sources: sources,
	}
}

// current is the fence (promise 3). It finds the row of a running attempt only if the event is about the row's current attempt,
// comes from the worker that claimed it, and that worker was not declared lost. Any other result changes nothing, however late or
// often it comes.
func (d *ruling) current(a Attempted) (StepState, bool) {
	row, ok := d.row(a.StepKey)
	if !ok || d.snap.WorkerLost || row.Status != StepRunning || row.Attempt != a.Attempt || row.Worker != a.Worker {
		d.t.Outcome.Reason = DeliveryStale
		return StepState{}, false
	}
	d.worker, d.executing, d.ended = a, d.spec.Find(a.Name), true
	d.t.Ran = d.at.Sub(row.StartedAt)
	return row, true
}

// succeeded records the result of the current attempt. An answer of a choice that is no route is a final failure.
func (d *ruling) succeeded(e Succeeded) {
	row, ok := d.current(e.Attempted)
	if !ok {
		return
	}
	st := d.spec.Find(e.Name)
	if st.Kind == KindChoose && row.Phase == PhaseDo {
		if _, known := st.Routes[e.Route]; !known {
			d.fail(st, row, Failed{Attempted: e.Attempted, Final: true, Error: StepError{
				Code: CodeUnknownRoute, Message: fmt.Sprintf("answered %s, which is none of the step's routes", echo.Quote(e.Route)),
			}})
			return
		}
		d.data.Route = e.Route
	}
	d.entry.Output = e.Output
	if row.Phase == PhaseUndo {
		d.undone(row)
		return
	}
	d.complete(st, row, e.Route)
}

// complete ends a step well and goes on to what follows: Next, the route of a choice, or the siblings that waited. If the run has a
// verdict, nothing follows, and the run drains.
func (d *ruling) complete(st *StepSpec, row StepState, route string) {
	d.record(AuditSucceeded, row.StepKey, row.Attempt)
	d.attempt(row, AttemptSucceeded, nil)
	d.put(d.finished(row, StepCompleted))
	switch {
	case d.run.Verdict != VerdictNone:
		d.drain()
	case st.Block != "":
		d.childCompleted(st)
	case st.Kind == KindChoose:
		d.reach(st.Routes[route], "")
	default:
		d.reach(st.Next, "")
	}
}

// finished returns the row as its end leaves it: with FinishedAt, and without a due time or a deadline. Every row that ends goes
// through it, and so does an undo that is out of attempts, which is paused then. DoneSeq of a completed row is the audit entry with
// its output, and orders undos (promise 6).
func (d *ruling) finished(row StepState, status StepStatus) StepState {
	row.Status, row.FinishedAt, row.DueAt, row.DeadlineAt = status, d.at, time.Time{}, time.Time{}
	if status == StepCompleted {
		row.DoneSeq = d.entry.Seq
	}
	return row
}

// failed records the failure of the current attempt.
func (d *ruling) failed(e Failed) {
	row, ok := d.current(e.Attempted)
	if !ok {
		return
	}
	d.fail(d.spec.Find(e.Name), row, e)
}

// fail ends an attempt badly. Another attempt follows if the error is not final, the policy grants one (promise 8) and the step is
// not draining.
func (d *ruling) fail(st *StepSpec, row StepState, e Failed) {
	failure := e.Error
	failure.Step, failure.Attempt, failure.At = row.Name, row.Attempt, d.at
	if row.Phase == PhaseUndo {
		failure.Phase = PhaseUndo
	}
	d.data.Error = &failure
	d.attempt(row, AttemptFailed, &failure)
	row.Failures++

	retry := st.PolicyOf(row.Phase).Retry
	if !e.Final && retry.grants(row.Failures) && !d.draining(st, row.Phase) {
		delay := retry.Delay(row.Failures, d.run.ID.String(), row.Name)
		if e.RetryAfter != nil {
			delay = min(*e.RetryAfter, MaxRetryDelay)
		}
		d.record(AuditRetried, row.StepKey, row.Attempt)
		d.reschedule(row, delay)
		return
	}
	d.failFinally(st, row, &failure)
}

// failFinally fails a step for good. The run then takes the error route, of the step or of its block. Without one the run gets its
// verdict. The failure becomes the run's reason unless the step only drained.
func (d *ruling) failFinally(st *StepSpec, row StepState, failure *StepError) {
	if row.Phase == PhaseUndo {
		d.undoFailed(row)
		return
	}
	d.record(AuditFailed, row.StepKey, row.Attempt)
	drained := d.draining(st, PhaseDo)
	d.put(d.finished(row, StepFailed))
	if !drained {
		d.run.Reason = failure
	}
	switch {
	case d.run.Verdict != VerdictNone:
		d.drain()
	case st.Block != "":
		d.childFailed(st)
	case st.OnError != "":
		d.data.Target, d.data.Recovery = st.OnError, st.Recovery
		d.reach(st.OnError, st.Name)
	default:
		d.doom()
	}
}

// reschedule schedules the next attempt of a row. The number rises, so what the old attempt's worker still says is stale (promise
// 3). JobID is empty until the new attempt's job is enqueued.
func (d *ruling) reschedule(row StepState, delay time.Duration) {
	row.Status, row.Attempt = StepScheduled, row.Attempt+1
	row.DueAt, row.DeadlineAt, row.JobID = d.due(delay), time.Time{}, ""
	d.put(row)
}

// due returns the time after a pause, to the millisecond, as queues keep it. It rounds up, so nothing runs before it is due
// (promise 4). A pause of zero is now.
func (d *ruling) due(delay time.Duration) time.Time {
	if delay <= 0 {
		return d.now.Truncate(time.Millisecond)
	}
	return d.now.Add(delay).Add(time.Millisecond - 1).Truncate(time.Millisecond)
}

// released gives an attempt back. The first time it begins again at once, then ever later, and the twentieth time counts as a
// failure. So nothing begins again without a bound (promise 8).
func (d *ruling) released(e Released) {
	row, ok := d.current(e.Attempted)
	if !ok {
		return
	}
	st, releases := d.spec.Find(e.Name), row.releases()+1
	if releases >= maxReleases && !d.draining(st, row.Phase) {
		d.fail(st, row, Failed{Attempted: e.Attempted, Error: StepError{
			Code: CodeGivenBack, Message: fmt.Sprintf("was given back %d times, the last time because: %s", releases, e.Reason),
		}})
		return
	}
	d.record(AuditReleased, row.StepKey, row.Attempt)
	d.data.Comment = e.Reason
	d.attempt(row, AttemptReleased, nil)
	delay := time.Duration(0)
	if releases > 1 {
		delay = releaseDelays.Delay(releases - 1)
	}
	d.giveBack(row, delay)
}

// giveBack schedules an unfinished attempt anew. If its step is draining, the row is cancelled instead.
func (d *ruling) giveBack(row StepState, delay time.Duration) {
	st := d.spec.Find(row.Name)
	if !d.draining(st, row.Phase) {
		d.reschedule(row, delay)
		return
	}
	d.put(d.finished(row, StepCancelled))
	if d.run.Verdict != VerdictNone {
		d.drain()
		return
	}
	d.childDrained(st)
}

// lost takes over all attempts of a dead worker in this run (promise 5). If another process has done so already, only the holds go,
// if some are left.
func (d *ruling) lost(e Lost) {
	for _, hold := range e.Holds {
		d.t.Unheld = append(d.t.Unheld, Hold{Worker: e.Worker, Run: d.run.ID, StepKey: hold})
	}
	for _, phase := range []Phase{PhaseDo, PhaseUndo} {
		for _, row := range d.all(phase) {
			if row.Status != StepRunning || row.Worker != e.Worker || d.isBlock(row.Name) {
				continue
			}
			d.loseAttempt(row)
		}
	}
	d.data.Worker = e.Worker
}

// loseAttempt counts the loss of one attempt. The step fails for good at its MaxLosses (promise 8). Losses do not count towards Retry.
func (d *ruling) loseAttempt(row StepState) {
	row.Losses++
	d.t.Ran = max(d.t.Ran, d.at.Sub(row.StartedAt))
	d.attempt(row, AttemptLost, nil)
	d.record(AuditLost, row.StepKey, row.Attempt)
	limit := cmp.Or(d.spec.Find(row.Name).PolicyOf(row.Phase).MaxLosses, DefaultMaxLosses)
	if row.Losses < limit {
		d.giveBack(row, lossDelays[row.Losses-1])
		return
	}
	failure := &StepError{
		Step: row.Name, Attempt: row.Attempt, Code: CodeWorkerLost, At: d.at,
		Message: lossesMessage(row.Losses),
	}
	if row.Phase == PhaseUndo {
		failure.Phase = PhaseUndo
	} else {
		d.data.Failed = append(d.data.Failed, row.Name)
	}
	if d.data.Error == nil { // else it is the first of several that counts
		d.data.Error = failure
	}
	d.failFinally(d.spec.Find(row.Name), row, failure)
	d.record(AuditLost, row.StepKey, row.Attempt)
}

func lossesMessage(losses int) string {
	if losses == 1 {
		return "a worker died while it ran this step"
	}
	return fmt.Sprintf("%d workers died while they ran this step", losses)
}

// redelivered empties the row's JobID, so that jobs enqueues its attempt again (promise 5). The attempt's number stays, so the old
// job is a duplicate if it comes after all. Naming the job that is missed lets one of several ticks do it.
func (d *ruling) redelivered(e Redelivered) {
	row, ok := d.row(e.StepKey)
	if !ok || row.Status != StepScheduled || row.Missing > 0 || row.Attempt != e.Attempt || row.JobID != e.JobID {
		d.t.Outcome.Reason = DeliveryStale
		return
	}
	kind := AuditRedelivered
	if row.JobID == "" {
		kind = AuditEnqueued
	}
	d.record(kind, row.StepKey, row.Attempt)
	row.JobID = ""
	d.put(row)
}
