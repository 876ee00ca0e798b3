package pgstore

import (
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// continued is a transition in which a step ended well at its first try and its worker went on with the next one, as most do: what the
// statement ContinueSteps writes, which takes everything else for given.
type continued struct {
	run         *flow.Run
	entry       *flow.AuditEntry
	ended, next *flow.StepState
}

// continues reports whether a transition is a continued one. It must be sure of every column that the statement does not take.
func continues(t *flow.Transition) (continued, bool) {
	if t.NewRun || t.Untold || len(t.Steps) != 2 || len(t.Audit) != 1 || len(t.Attempts)+len(t.Held)+len(t.Unheld) > 0 {
		return continued{}, false
	}
	ended, next := &t.Steps[0], &t.Steps[1]
	if ended.New {
		ended, next = next, ended
	}
	c := continued{&t.Run, &t.Audit[0], &ended.StepState, &next.StepState}
	return c, ended.Ended && next.New && c.runGoesOn() && c.stepEnded() && c.entryTellsIt() && c.nextRuns()
}

func (c continued) runGoesOn() bool {
	r := c.run
	return r.Status == flow.RunRunning && r.Verdict == flow.VerdictNone && !r.Compensate && r.Version == r.Seq && r.Retrying == 0 &&
		r.Reason == nil && r.FinishedAt.IsZero()
}

func (c continued) stepEnded() bool {
	s := c.ended
	return s.Status == flow.StepCompleted && s.Phase == flow.PhaseDo && s.DoneSeq == c.run.Seq && s.DueAt.IsZero() &&
		s.DeadlineAt.IsZero() && s.FinishedAt.Equal(c.run.LastAt)
}

func (c continued) entryTellsIt() bool {
	e := c.entry
	return e.Kind == flow.AuditSucceeded && e.StepKey == c.ended.StepKey && e.Attempt == 1 && e.Seq == c.run.Seq &&
		e.At.Equal(c.run.LastAt) && e.Actor == ""
}

func (c continued) nextRuns() bool {
	return *c.next == flow.StepState{
		Run: c.run.ID, StepKey: flow.StepKey{Name: c.next.Name, Phase: flow.PhaseDo}, Status: flow.StepRunning, Attempt: 1,
		Worker: c.next.Worker, DeadlineAt: c.next.DeadlineAt, StartedAt: c.next.StartedAt, Queue: c.next.Queue,
	} && c.next.StartedAt.Equal(c.run.LastAt) && c.next.Worker != 0
}

// continuedColumns are in the order of the statement's unnest.
func continuedColumns(all []continued) []any {
	return []any{
		column(all, func(c *continued) pgtype.UUID { return id(c.run.ID) }),
		column(all, func(c *continued) int { return c.run.Seq }),
		column(all, func(c *continued) pgtype.Timestamptz { return stamp(c.run.LastAt) }),
		column(all, func(c *continued) int { return c.run.Open }),
		column(all, func(c *continued) string { return c.ended.Name }),
		column(all, func(c *continued) string { return c.next.Name }),
		column(all, func(c *continued) int64 { return int64(c.next.Worker) }),
		column(all, func(c *continued) pgtype.Timestamptz { return stamp(c.next.DeadlineAt) }),
		column(all, func(c *continued) string { return c.next.Queue }),
		column(all, func(c *continued) pgtype.Text { return document(c.entry.Data) }),
		column(all, func(c *continued) pgtype.Text { return document(c.entry.Output) }),
	}
}
