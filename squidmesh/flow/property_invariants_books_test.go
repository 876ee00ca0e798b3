package flow_test

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ruleDue: what is reached is due at once, and the end of a wait when it has lasted as long as it says, to the millisecond.
func ruleDue(m *moment) string {
	for _, c := range m.rows() {
		due := c.after.Status == flow.StepScheduled && c.after.Missing == 0
		if !due || !c.isNew && (c.before.Status != flow.StepScheduled || c.before.Missing == 0) {
			continue
		}
		wait := c.policy().Wait
		if c.Phase == flow.PhaseUndo {
			wait = 0
		}
		early, late := m.now.Add(wait), m.now.Add(wait+time.Millisecond)
		if wait == 0 {
			early, late = m.now.Add(-time.Millisecond), m.now
		}
		if c.after.DueAt.Before(early) || c.after.DueAt.After(late) {
			return say("%v is reached at %s, waits for %s, and is due at %s", c.StepKey, m.now, wait, c.after.DueAt)
		}
	}
	return ""
}

// ruleJobs: what became due gets one job, for its attempt, on its queue, and nothing else gets one.
func ruleJobs(m *moment) string {
	jobs := map[flow.StepKey]flow.Job{}
	for _, job := range m.t.Jobs {
		if _, twice := jobs[job.StepKey]; twice {
			return say("%v gets two jobs", job.StepKey)
		}
		jobs[job.StepKey] = job
	}
	now := m.now.Truncate(time.Microsecond)
	for _, c := range m.rows() {
		job, has := jobs[c.StepKey]
		delete(jobs, c.StepKey)
		due := !c.block && c.after.Status == flow.StepScheduled && c.after.Missing == 0
		newly := due && (!m.same(c.StepKey) || m.redelivers(c.StepKey))
		near := !c.after.DueAt.After(now.Add(24 * time.Hour))
		switch {
		case has != (newly && near):
			return say("%v is %s, due at %s, newly: %v; it gets a job: %v", c.StepKey, c.after.Status, c.after.DueAt, newly, has)
		case newly && c.after.JobID != "":
			return say("%v waits for a new job and still has %s", c.StepKey, c.after.JobID)
		case !has:
			continue
		}
		p := c.policy()
		switch {
		case job.Attempt != c.after.Attempt || job.Queue != p.Queue || job.Priority != p.Priority || !job.Now.Equal(now):
			return say("%v, attempt %d, policy %+v, gets the job %+v", c.StepKey, c.after.Attempt, p, job)
		case job.Run != m.after.Run.ID || job.Workflow != m.after.Run.Workflow:
			return say("%v gets the job of another run: %+v", c.StepKey, job)
		case c.after.DueAt.After(now) && !job.DueAt.Equal(c.after.DueAt), !c.after.DueAt.After(now) && !job.DueAt.IsZero():
			return say("%v is due at %s, its job at %s", c.StepKey, c.after.DueAt, job.DueAt)
		}
	}
	for key := range jobs {
		return say("%v has no row and gets a job", key)
	}
	return ""
}

// ruleMeasures: a claim knows how long its delivery was late, and whatever ended an attempt or a decision how long that took.
func ruleMeasures(m *moment) string {
	var queued, ran time.Duration
	if e, ok := m.event.(flow.Claimed); ok && !m.t.Empty() {
		queued = m.now.Truncate(time.Microsecond).Sub(m.before.Steps[e.StepKey].DueAt)
	}
	for _, c := range m.rows() {
		switch {
		case c.worked() && (!c.works() || c.after.Attempt != c.before.Attempt):
			ran = max(ran, m.t.Audit[0].At.Sub(c.before.StartedAt))
		case c.before.Status == flow.StepPaused && c.after.Status != flow.StepPaused && c.Phase == flow.PhaseDo:
			ran = max(ran, m.t.Audit[0].At.Sub(c.before.StartedAt))
		case c.before.Status == flow.StepPaused && c.after.Status != flow.StepPaused:
			ran = max(ran, m.t.Audit[0].At.Sub(c.before.FinishedAt))
		}
	}
	if m.t.Queued != queued || m.t.Ran != ran {
		return say("measured %s in the queue and %s of work, it was %s and %s", m.t.Queued, m.t.Ran, queued, ran)
	}
	return ""
}

// redelivers reports whether the event asks for a new job of a row, and the row is one that may have one.
func (m *moment) redelivers(key flow.StepKey) bool {
	row := m.before.Steps[key]
	if row.Status != flow.StepScheduled || row.Missing > 0 {
		return false
	}
	switch e := m.event.(type) {
	case flow.Redelivered:
		return e.StepKey == key && e.Attempt == row.Attempt && e.JobID == row.JobID
	case flow.Compensated:
		return key.Phase == flow.PhaseUndo && row.JobID == ""
	}
	return false
}

// ruleRedelivered: a new job for a scheduled attempt changes nothing about it.
func ruleRedelivered(m *moment) string {
	switch m.event.(type) {
	case flow.Redelivered, flow.Compensated:
	default:
		return ""
	}
	found := false
	for _, c := range m.rows() {
		was, is := c.before, c.after
		was.JobID, is.JobID = "", ""
		if c.isNew || was != is {
			return say("%T turns %+v into %+v", m.event, c.before, c.after)
		}
		found = found || m.redelivers(c.StepKey)
	}
	if found == m.t.Empty() {
		return say("%T finds a scheduled row: %v, and changes something: %v", m.event, found, !m.t.Empty())
	}
	return ""
}

// ruleRecords: each attempt that ended, otherwise than by success at the first try, gets one record.
func ruleRecords(m *moment) string {
	records := map[flow.StepKey]flow.AttemptRecord{}
	for _, a := range m.t.Attempts {
		if _, twice := records[a.StepKey]; twice || m.world.ever.attempts[sending{a.StepKey, a.Attempt}] {
			return say("attempt %d of %v gets two records", a.Attempt, a.StepKey)
		}
		records[a.StepKey] = a
	}
	for _, c := range m.rows() {
		record, has := records[c.StepKey]
		want := flow.AttemptOutcome("")
		_, rejected := m.event.(flow.Rejected)
		rejected = rejected && m.err == nil
		if e, ok := m.event.(flow.Expired); ok && e.StepKey == c.StepKey {
			_, rejected = m.past(e)
		}
		switch e, failed := m.failure(); {
		case rejected && c.before.Status == flow.StepPaused:
			want = flow.AttemptFailed
		case !c.worked() || c.works():
		case failed && e.StepKey == c.StepKey:
			want = flow.AttemptFailed
		case c.after.Losses > c.before.Losses:
			want = flow.AttemptLost
		case c.after.Status == flow.StepCompleted && c.after.Attempt > 1:
			want = flow.AttemptSucceeded
		case c.after.Status != flow.StepCompleted:
			want = flow.AttemptReleased
		}
		switch {
		case has != (want != "") || record.Outcome != want:
			return say("%v ended as %q, recorded is %+v", c.StepKey, want, record)
		case has && (record.Attempt != c.before.Attempt || record.Worker != c.before.Worker || !record.EndedAt.Equal(m.after.Run.LastAt) ||
			!record.StartedAt.Equal(c.before.StartedAt) || record.Run != m.after.Run.ID):
			return say("%+v is recorded as %+v", c.before, record)
		case has && (want == flow.AttemptFailed) != (record.Error != nil):
			return say("%v ended as %s with the error %+v", c.StepKey, want, record.Error)
		}
	}
	return ""
}

// ruleReached: the audit lists the rows that became claimable, claimed or paused, and those that were closed besides.
func ruleReached(m *moment) string {
	if m.t.Empty() {
		return ""
	}
	reached := map[flow.StepKey]flow.AuditReached{}
	for _, r := range m.data.Reached {
		phase := r.Phase
		if phase == "" {
			phase = flow.PhaseDo
		}
		reached[flow.StepKey{Name: r.Step, Phase: phase}] = r
	}
	if len(reached) != len(m.data.Reached) {
		return say("rows are listed twice: %+v", m.data.Reached)
	}
	closed := slices.Clone(m.data.Closed)
	for _, c := range m.rows() {
		r, listed := reached[c.StepKey]
		delete(reached, c.StepKey)
		changed := c.isNew || c.before.Status != c.after.Status || c.before.Attempt != c.after.Attempt || c.before.Missing != c.after.Missing ||
			m.redelivers(c.StepKey)
		want := changed && !c.block && c.after.Open()
		switch {
		case listed != want:
			return say("%v went from %+v to %+v, listed as reached: %v", c.StepKey, c.before, c.after, listed)
		case listed && (r.Status != c.after.Status || r.Attempt != c.after.Attempt):
			return say("%v is %s #%d, listed as %s #%d", c.StepKey, c.after.Status, c.after.Attempt, r.Status, r.Attempt)
		case listed && (r.Worker != 0) != c.works(), listed && c.works() && r.Worker != c.after.Worker:
			return say("%v runs on worker %d, listed is %d", c.StepKey, c.after.Worker, r.Worker)
		case listed && c.after.DueAt.After(m.now) != (r.DueAt != nil), listed && r.DueAt != nil && !r.DueAt.Equal(c.after.DueAt):
			return say("%v is due at %s, listed is %v", c.StepKey, c.after.DueAt, r.DueAt)
		}
		cancelled := c.after.Status == flow.StepCancelled && c.before.Status != flow.StepCancelled
		besides := cancelled && !c.worked()
		if i := slices.Index(closed, c.Name); c.Phase == flow.PhaseDo && i >= 0 {
			closed = slices.Delete(closed, i, i+1)
			if !cancelled {
				return say("%v is %s, listed as closed", c.StepKey, c.after.Status)
			}
		} else if besides {
			return say("%v is cancelled, not listed as closed", c.StepKey)
		}
	}
	if len(reached)+len(closed) > 0 {
		return say("listed are also %v and %v", reached, closed)
	}
	return ""
}

// ruleCounters: the run's counters are what a scan would find.
func ruleCounters(m *moment) string {
	s := m.world.snap
	open, retrying := 0, 0
	for key, row := range s.Steps {
		if m.spec.Find(key.Name).Kind == flow.KindBlock || row.Status.Final() || row.Status == flow.StepScheduled && row.Missing > 0 {
			continue
		}
		open++
		retrying += flow.Count(row.Status == flow.StepScheduled && row.Failures > 0)
	}
	if s.Run.Open != open || s.Run.Retrying != retrying {
		return say("open is %d and retrying %d, counted are %d and %d", s.Run.Open, s.Run.Retrying, open, retrying)
	}
	return ""
}

// ruleAlive: an active run has a live attempt, a delivery for each scheduled one, or an open decision.
func ruleAlive(m *moment) string {
	s := m.world.snap
	if s.Run.Status.Terminal() {
		return ""
	}
	moves := 0
	for key, row := range s.Steps {
		switch {
		case m.spec.Find(key.Name).Kind == flow.KindBlock || row.Status.Final() || row.Missing > 0:
		case row.Status == flow.StepScheduled && !m.world.ever.sent[sending{key, row.Attempt}]:
			return say("%v waits for attempt %d, which nobody ever sent", key, row.Attempt)
		default:
			moves++
		}
	}
	if moves == 0 {
		return say("the run is %s, and nothing can move it", s.Run.Status)
	}
	return ""
}

// ruleHolds: a hold exists exactly for each delivery that is being worked on. Of lost workers whose take-over was told of
// some holds only, the others may be left for another one; and so may the hold of an attempt that expired while its worker was at
// work on others of the run.
func ruleHolds(m *moment) string {
	_, lost := m.event.(flow.Lost)
	for _, hold := range m.t.Held {
		if m.held[hold] && !m.world.cut[hold.Worker] {
			return say("worker %d holds %v twice", hold.Worker, hold.StepKey)
		}
	}
	for _, hold := range m.t.Unheld {
		if !m.held[hold] && !lost { // a take-over may come twice
			return say("worker %d lets %v go, and does not hold it", hold.Worker, hold.StepKey)
		}
	}
	held := map[flow.Hold]bool{}
	for key, row := range m.world.snap.Steps {
		if row.Status == flow.StepRunning && m.spec.Find(key.Name).Kind != flow.KindBlock {
			hold := m.world.work[key]
			if held[hold] {
				return say("%v is held for two attempts", hold)
			}
			held[hold] = true
			if !m.world.holds[hold] {
				return say("%v runs on worker %d, and nothing is held", key, row.Worker)
			}
		}
	}
	for hold := range m.world.holds {
		if !held[hold] && !m.world.cut[hold.Worker] {
			return say("worker %d holds %v, and works on nothing", hold.Worker, hold.StepKey)
		}
	}
	return ""
}

// ruleFold: two transitions folded into one do what they do one after the other. The ids of jobs come later.
func ruleFold(m *moment) string {
	last := m.world.last
	if last == nil || m.err != nil || m.t.Empty() {
		return ""
	}
	folded := last.t.Merge(m.t)
	if is := m.after.Run; !reflect.DeepEqual(folded.Run, is) {
		return say("the run is %+v, folded it is %+v", is, folded.Run)
	}
	rows := last.before.With(folded).Steps
	for _, c := range m.rows() {
		row := rows[c.StepKey]
		row.JobID = c.after.JobID
		if row != c.after {
			return say("%v is %+v, folded it is %+v", c.StepKey, c.after, row)
		}
	}
	for _, c := range folded.Steps {
		if _, existed := last.before.Steps[c.StepKey]; c.New == existed {
			return say("%v existed: %v, and is New: %v", c.StepKey, existed, c.New)
		}
	}
	holds := maps.Clone(last.held)
	for _, h := range folded.Unheld {
		delete(holds, h)
	}
	for _, h := range folded.Held {
		holds[h] = true
	}
	if !maps.Equal(holds, m.world.holds) {
		return say("held are %v, folded they are %v", m.world.holds, holds)
	}
	interrupt := last.t.Interrupt || m.t.Interrupt
	if folded.NewRun != last.t.NewRun || folded.Interrupt != interrupt || len(folded.Audit) != 2 ||
		len(folded.Jobs) != len(last.t.Jobs)+len(m.t.Jobs) || len(folded.Attempts) != len(last.t.Attempts)+len(m.t.Attempts) {
		return say("folded it is %+v", folded)
	}
	return ""
}
