package squidmesh

import (
	"context"
	"slices"
	"time"
)

// lateEvery is in how many ticks one looks for attempts past their deadline, since that reads the steps of every run at work.
const lateEvery = 5

// late asks for attempts past their deadline, now and then.
func (s *service) late() (after time.Duration) {
	s.ticks++
	if s.lateAsked() {
		after = expireAfter
	}
	return after
}

func (s *service) lateAsked() bool { return s.ticks%lateEvery == 1 }

// expire ends what went past its deadline: decisions that nobody took, and attempts that their workers, though alive, did not
// record as timed out. Who holds a run's lock is at work on it, so that run is left for another tick.
func (rt *Runtime[TTx]) expire(ctx context.Context, report WorkerReport) []trouble {
	var troubles []trouble
	for _, row := range slices.Concat(report.Expired, report.Late) {
		e := Expired{StepKey: row.StepKey, Attempt: row.Attempt}
		for _, h := range report.Held {
			if h.Run == row.Run && h.Worker == row.Worker {
				e.Holds = append(e.Holds, h.StepKey)
			}
		}
		troubles = append(troubles, rt.tend(ctx, "expire", row.Run, e)...)
	}
	return troubles
}
