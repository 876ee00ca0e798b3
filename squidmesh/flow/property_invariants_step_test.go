package flow_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ruleFence: what a lost worker, another worker or an older attempt says changes nothing.
func ruleFence(m *moment) string {
	a, spoken := speaker(m.event)
	if _, claims := m.event.(flow.Claimed); !spoken || claims {
		return ""
	}
	switch {
	case !m.passes(a) && !m.t.Empty():
		return say("%T of attempt %d by worker %d changes %v, which is %+v", m.event, a.Attempt, a.Worker, a.StepKey, m.before.Steps[a.StepKey])
	case !m.passes(a) && (m.t.Outcome.Kind != flow.OutcomeDone || m.t.Outcome.Reason != "stale"):
		return say("a stale %T is answered with %+v", m.event, m.t.Outcome)
	case m.passes(a) && m.t.Empty():
		return say("%T of the current attempt changes nothing", m.event)
	}
	return ""
}

// ruleDeliveries: of the deliveries the right one is claimed, and the others are told why not.
func ruleDeliveries(m *moment) string {
	e, ok := m.event.(flow.Claimed)
	if !ok {
		return ""
	}
	row, exists := m.before.Steps[e.StepKey]
	right := exists && row.Status == flow.StepScheduled && row.Missing == 0 && row.Attempt == e.Attempt
	out := m.t.Outcome
	takes := m.claimable(e) && (m.isWait(e.StepKey) || e.Runnable[e.StepKey] && !e.Stuck[e.StepKey])
	switch {
	case takes == m.t.Empty():
		return say("worker %d gets %v, attempt %d: taken is %v; the row is %+v", e.Worker, e.StepKey, e.Attempt, !m.t.Empty(), row)
	case takes:
		if out.Kind != flow.OutcomeDone {
			return say("a taken delivery is answered with %+v", out)
		}
	case m.world.lost[e.Worker]:
		if out.Kind != flow.OutcomeAgain || out.Reason != "worker_lost" {
			return say("a lost worker's delivery is answered with %+v", out)
		}
	case !right:
		if out.Kind != flow.OutcomeDone || out.Reason == "" {
			return say("a useless delivery is answered with %+v", out)
		}
		if held := row.Status == flow.StepRunning && row.Attempt == e.Attempt; held != (out.Reason == "held") {
			return say("a delivery of an attempt that runs (%v) is answered with %+v", held, out)
		}
	case row.DueAt.After(m.now):
		if out.Kind != flow.OutcomeAgain || out.Reason != "early" || !out.At.Equal(row.DueAt) {
			return say("a delivery before %s is answered with %+v", row.DueAt, out)
		}
	default:
		why := "function_unknown"
		if e.Unfit[e.StepKey] {
			why = "function_incompatible"
		}
		shortest, longest := time.Second, 30*time.Second
		switch {
		case e.Runnable[e.StepKey]:
			why = "function_stuck"
		case e.Elsewhere:
			shortest, longest = 100*time.Millisecond, 500*time.Millisecond
		}
		if out.Kind != flow.OutcomeAgain || out.Reason != why || out.After < shortest || out.After > longest {
			return say("a delivery to who cannot execute it (another can: %v) is answered with %+v, not %s", e.Elsewhere, out, why)
		}
	}
	if out.Kind == flow.OutcomeAgain && (out.After <= 0 || !out.At.Equal(m.now.Truncate(time.Microsecond).Add(out.After))) {
		return say("again at %s is not after %s", out.At, out.After)
	}
	return ""
}

// ruleStarts: a row runs by the claim of its own attempt, or new and by continuation.
func ruleStarts(m *moment) string {
	var started []change
	for _, c := range m.rows() {
		if c.works() && !c.worked() {
			started = append(started, c)
		}
		if c.worked() && c.works() && c.before != c.after {
			return say("%v runs and changes to %+v", c.StepKey, c.after)
		}
	}
	if len(started) > 1 {
		return say("%v and %v start at once", started[0].StepKey, started[1].StepKey)
	}
	if (m.t.Claim != nil) != (len(started) == 1) {
		return say("%d rows start and the claim is %+v", len(started), m.t.Claim)
	}
	if len(started) == 0 {
		return ""
	}
	c := started[0]
	a, _ := speaker(m.event)
	if e, ok := m.event.(flow.Claimed); ok && e.StepKey == c.StepKey {
		if !m.claimable(e) || c.before.Attempt != c.after.Attempt {
			return say("%v starts from %+v by a delivery of attempt %d", c.StepKey, c.before, e.Attempt)
		}
		return ""
	}
	ended, ok := m.ending()
	switch {
	case !ok:
		return say("%v starts by %T, which is no end", c.StepKey, m.event)
	case !c.isNew && c.before.Missing == 0:
		return say("%v starts by the end of %v, and had a delivery of its own", c.StepKey, ended.StepKey)
	case !m.mayContinue(c):
		return say("%v starts by the end of %v, which may not go on with it", c.StepKey, ended.StepKey)
	case c.after.Worker != a.Worker:
		return say("%v starts on worker %d, not on %d", c.StepKey, c.after.Worker, a.Worker)
	}
	return ""
}

// mayContinue reports whether the worker that ended an attempt may go on with a row that this made due.
func (m *moment) mayContinue(c change) bool {
	ended, ok := m.ending()
	if !ok || c.Phase != flow.PhaseDo || m.after.Run.Verdict != "" || m.after.Run.Status.Terminal() || !ended.Runnable[c.StepKey] || ended.Stuck[c.StepKey] {
		return false
	}
	from := m.spec.Find(ended.Name).Policy
	to := c.st.Policy
	return c.st.Kind != flow.KindWait && from.Queue == to.Queue && from.Priority == to.Priority
}

// ruleContinuation: where a worker may go on, it does.
func ruleContinuation(m *moment) string {
	if m.t.Claim != nil || m.t.Empty() {
		return ""
	}
	for _, c := range m.rows() {
		due := c.after.Status == flow.StepScheduled && c.after.Missing == 0 && !c.after.DueAt.After(m.now)
		if due && (c.isNew || c.before.Missing > 0) && m.mayContinue(c) {
			return say("the worker could go on with %v and does not", c.StepKey)
		}
	}
	return ""
}

func ruleClaim(m *moment) string {
	claim := m.t.Claim
	if claim == nil {
		return ""
	}
	a, _ := speaker(m.event)
	row := m.after.Steps[claim.StepKey]
	st := m.spec.Find(claim.Name)
	timeout := st.Policy.Timeout
	if claim.Phase == flow.PhaseUndo {
		timeout = st.UndoPolicy.Timeout
	}
	now := m.now.Truncate(time.Microsecond)
	switch {
	case claim.Attempt != row.Attempt || claim.Worker != row.Worker || claim.Worker != a.Worker || claim.Hold != a.Hold:
		return say("the claim is %+v, the row %+v, the event of %+v", claim, row, a)
	case claim.Run != m.after.Run.ID || claim.Workflow != m.after.Run.Workflow || claim.Shape != m.after.Run.Shape:
		return say("the claim is of another run: %+v", claim)
	case timeout <= 0 || !claim.DeadlineAt.Equal(now.Add(timeout)) || !row.DeadlineAt.Equal(claim.DeadlineAt) || !claim.Now.Equal(now):
		return say("the claim of %s ends at %s, the row says %s, the timeout is %s", claim.Now, claim.DeadlineAt, row.DeadlineAt, timeout)
	case (claim.Cause != nil) != (row.Cause != ""):
		return say("the row is caused by %q, the claim by %+v", row.Cause, claim.Cause)
	case claim.Cause != nil && claim.Cause.Step != row.Cause:
		return say("the row is caused by %q, the claim by %q", row.Cause, claim.Cause.Step)
	}
	return ""
}

// ruleRetries: after a failure another attempt follows exactly when the policy grants it and the run still wants it.
func ruleRetries(m *moment) string {
	for _, c := range m.rows() {
		if most := m.world.ever.tries[c.StepKey]; c.after.Failures > most {
			return say("%v failed %d times, %d attempts were granted", c.StepKey, c.after.Failures, most)
		}
		e, failed := m.failure()
		if !failed || e.StepKey != c.StepKey {
			_, retried := m.event.(flow.UndoRetried)
			if reset := retried && c.after.Failures == 0; !c.isNew && c.after.Failures != c.before.Failures && !reset {
				return say("%T takes %v from %d failures to %d", m.event, c.StepKey, c.before.Failures, c.after.Failures)
			}
			continue
		}
		retry := c.policy().Retry
		granted := !e.Final && c.before.Failures+1 < max(1, retry.MaxAttempts) && !m.draining(c.StepKey)
		switch {
		case c.after.Failures != c.before.Failures+1:
			return say("%v failed: failures went from %d to %d", c.StepKey, c.before.Failures, c.after.Failures)
		case granted != (c.after.Status == flow.StepScheduled):
			return say("%v failed %d times with %+v: another attempt is %v, and it is %s", c.StepKey, c.after.Failures, retry, granted, c.after.Status)
		case !granted && c.Phase == flow.PhaseDo && c.after.Status != flow.StepFailed,
			!granted && c.Phase == flow.PhaseUndo && c.after.Status != flow.StepPaused:
			return say("%v failed for good and is %s", c.StepKey, c.after.Status)
		}
		if broken := m.retriedIn(c, e); granted && broken != "" {
			return broken
		}
	}
	return ""
}

// failure is the event as a failure, which the answer of no route is too.
func (m *moment) failure() (flow.Failed, bool) {
	switch e := m.event.(type) {
	case flow.Failed:
		return e, m.passes(e.Attempted)
	case flow.Succeeded:
		st := m.spec.Find(e.Name)
		if st != nil && st.Kind == flow.KindChoose && m.passes(e.Attempted) {
			if _, known := st.Routes[e.Route]; !known {
				return flow.Failed{Attempted: e.Attempted, Final: true}, true
			}
		}
	case flow.Expired:
		row, past := m.past(e)
		return flow.Failed{Attempted: flow.Attempted{StepKey: e.StepKey, Attempt: e.Attempt}}, past && row.Status == flow.StepRunning
	}
	return flow.Failed{}, false
}

// retriedIn checks the delay before the next attempt.
func (m *moment) retriedIn(c change, e flow.Failed) string {
	retry := c.policy().Retry
	least := float64(retry.Base) * math.Pow(2, float64(c.after.Failures-1))
	if retry.Max > 0 {
		least = math.Min(least, float64(retry.Max))
	}
	most := least * (1 + retry.Jitter)
	least *= 1 - retry.Jitter
	if e.RetryAfter != nil {
		least, most = float64(*e.RetryAfter), float64(*e.RetryAfter)
	}
	// Due times are whole milliseconds: never early, unless at once.
	delay := c.after.DueAt.Sub(m.now)
	early := delay < time.Duration(least) && !(least < 1 && delay > -time.Millisecond)
	if early || delay > time.Duration(most)+time.Millisecond || c.after.DueAt.Nanosecond()%1e6 != 0 {
		return say("%v is tried again after %s, the policy says %s to %s", c.StepKey, delay, time.Duration(least), time.Duration(most))
	}
	return ""
}

// TestProperty_RetriesAreSpread: what failed together comes back apart, all over the policy's spread, and the same way each time.
func TestProperty_RetriesAreSpread(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "base"))
		retry := flow.Retry{MaxAttempts: 3, Base: base, Max: base, Jitter: oneOf(t, "jitter", 0.1, 0.5, 1)}
		seed := rapid.Uint32().Draw(t, "seed")
		const runs = 100
		delays, tenths := map[time.Duration]bool{}, map[int]bool{}
		for i := range runs {
			run := fmt.Sprint(seed, i)
			delay := retry.Delay(1, run, "charge")
			if delay != retry.Delay(1, run, "charge") {
				t.Fatalf("run %s has two delays", run)
			}
			delays[delay] = true
			tenths[int(10*(float64(delay)/float64(base)-(1-retry.Jitter))/(2*retry.Jitter))] = true
		}
		if len(delays) < runs*9/10 || len(tenths) < 8 {
			t.Fatalf("%d runs that failed together have %d delays, in %d tenths of the spread", runs, len(delays), len(tenths))
		}
	})
}

// ruleLosses: the attempts of a lost worker are over. They are repeated with spread delays, and the fifth, or the one that the
// policy says, ends the step.
func ruleLosses(m *moment) string {
	e, lost := m.event.(flow.Lost)
	for _, c := range m.rows() {
		mine := lost && c.worked() && c.before.Worker == e.Worker
		if c.after.Losses > 5 {
			return say("%v was lost %d times", c.StepKey, c.after.Losses)
		}
		if !mine {
			_, retried := m.event.(flow.UndoRetried)
			if reset := retried && c.after.Losses == 0; !c.isNew && c.after.Losses != c.before.Losses && !reset {
				return say("%T takes %v from %d losses to %d", m.event, c.StepKey, c.before.Losses, c.after.Losses)
			}
			if lost && c.worked() && c.before != c.after {
				return say("%v runs on worker %d, and changed when worker %d was lost", c.StepKey, c.before.Worker, e.Worker)
			}
			continue
		}
		last := 5
		if n := c.st.Policy.MaxLosses; n > 0 && c.Phase == flow.PhaseDo {
			last = n
		}
		delays := []time.Duration{0, time.Second, 4 * time.Second, 15 * time.Second}
		switch {
		case c.after.Losses != c.before.Losses+1:
			return say("%v lost its worker: losses went from %d to %d", c.StepKey, c.before.Losses, c.after.Losses)
		case c.after.Losses >= last && c.Phase == flow.PhaseDo && c.after.Status != flow.StepFailed,
			c.after.Losses == last && c.Phase == flow.PhaseUndo && c.after.Status != flow.StepPaused:
			return say("%v was lost %d times and is %s", c.StepKey, c.after.Losses, c.after.Status)
		case c.after.Losses >= last:
		case c.after.Status == flow.StepCancelled && (m.draining(c.StepKey) || m.after.Run.Verdict != "" || m.after.Do(c.st.Block).Status == flow.StepFailed):
		case c.after.Status != flow.StepScheduled || m.draining(c.StepKey):
			return say("%v was lost %d times and is %s", c.StepKey, c.after.Losses, c.after.Status)
		default:
			late := c.after.DueAt.Sub(m.now.Add(delays[c.after.Losses-1]))
			if late <= -time.Millisecond || late >= time.Millisecond || c.after.Losses > 1 && late < 0 {
				return say("%v was lost %d times and is due %s late, at %s", c.StepKey, c.after.Losses, late, c.after.DueAt)
			}
		}
	}
	return ""
}

// past finds the row that an Expired is about, if its time is over: a decision's at its deadline, an attempt's ten seconds later.
func (m *moment) past(e flow.Expired) (flow.StepState, bool) {
	row, ok := m.before.Steps[e.StepKey]
	if !ok || row.Attempt != e.Attempt || row.DeadlineAt.IsZero() {
		return row, false
	}
	over := row.DeadlineAt
	if row.Status == flow.StepRunning {
		over = over.Add(10 * time.Second)
	}
	return row, !m.now.Truncate(time.Microsecond).Before(over)
}

// ruleDeadlines: what is past its deadline fails when it is swept, and nothing else does. A decision's deadline counts from its opening.
func ruleDeadlines(m *moment) string {
	for _, c := range m.rows() {
		opened := c.after.Status == flow.StepPaused && c.Phase == flow.PhaseDo && c.isNew
		if open := c.policy().Timeout; opened && open > 0 && !c.after.DeadlineAt.Equal(m.now.Truncate(time.Microsecond).Add(open)) {
			return say("%v may be open for %s, and is until %s", c.StepKey, open, c.after.DeadlineAt)
		}
	}
	e, ok := m.event.(flow.Expired)
	if !ok {
		return ""
	}
	row, past := m.past(e)
	switch failure := m.data.Error; {
	case past == m.t.Empty():
		return say("at %s %+v is swept: it changes something is %v", m.now, row, !m.t.Empty())
	case !past:
		return ""
	case failure == nil || failure.Step != row.Name || failure.Attempt != row.Attempt:
		return say("%v expired, and the failure is %+v", e.StepKey, failure)
	case row.Status == flow.StepRunning:
		if failure.Code != flow.CodeTimeout {
			return say("%v ran past its deadline, recorded is %s", e.StepKey, failure.Code)
		}
	case failure.Code != flow.CodeDecisionExpired || m.t.Audit[0].Kind != flow.AuditExpired || m.after.Steps[e.StepKey].Status != flow.StepFailed:
		return say("the decision %v expired, recorded is %s in %+v", e.StepKey, failure.Code, m.t.Audit[0])
	}
	return ""
}

func ruleReleased(m *moment) string {
	e, ok := m.event.(flow.Released)
	if !ok || !m.passes(e.Attempted) {
		return ""
	}
	was, is := m.before.Steps[e.StepKey], m.after.Steps[e.StepKey]
	given := was.Attempt - was.Failures - was.Losses
	switch {
	case given >= 20 && !m.draining(e.StepKey):
		if is.Failures != was.Failures+1 || is.Losses != was.Losses {
			return say("%v was given back for the %dth time and counts %d failures and %d losses", e.StepKey, given, is.Failures, is.Losses)
		}
		return ""
	case is.Failures != was.Failures || is.Losses != was.Losses:
		return say("%v was given back and counts %d failures and %d losses", e.StepKey, is.Failures, is.Losses)
	case m.draining(e.StepKey) && is.Status != flow.StepCancelled:
		return say("%v was given back while the run drains and is %s", e.StepKey, is.Status)
	case !m.draining(e.StepKey) && given > 1 &&
		(is.DueAt.Before(m.now.Add(time.Second<<min(given-2, 8))) || is.DueAt.After(m.now.Add(6*time.Minute))):
		return say("%v was given back for the %dth time and is due at %s", e.StepKey, given, is.DueAt)
	case !m.draining(e.StepKey) && (is.Status != flow.StepScheduled || given <= 1 && is.DueAt.After(m.now)):
		return say("%v was given back and is %s, due at %s", e.StepKey, is.Status, is.DueAt)
	}
	return ""
}

// ruleSuccesses: an attempt that returned a result completes its row, whatever becomes of the run, and its result is kept.
func ruleSuccesses(m *moment) string {
	ended, ok := m.ending()
	_, failed := m.failure()
	var output string
	switch e := m.event.(type) {
	case flow.Succeeded:
		output = string(e.Output)
	case flow.Claimed:
	default:
		return ""
	}
	if !ok || failed {
		return ""
	}
	if row := m.after.Steps[ended.StepKey]; row.Status != flow.StepCompleted || row.DoneSeq != m.t.Audit[0].Seq {
		return say("%v succeeded and is %s, DoneSeq %d, in entry %d", ended.StepKey, row.Status, row.DoneSeq, m.t.Audit[0].Seq)
	}
	if got := string(m.t.Audit[0].Output); got != output {
		return say("%v returned %s, kept is %s", ended.StepKey, output, got)
	}
	return ""
}
