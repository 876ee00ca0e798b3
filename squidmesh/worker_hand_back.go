package squidmesh

import (
	"context"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// handBackShare is the part of the time given to Stop that is kept for handing back what does not let go, up to maxHandBack.
const (
	handBackShare = 4
	maxHandBack   = 2 * time.Second
)

// handBackTimer fires when it is time to hand back what still executes. Without a deadline Stop waits as long as that takes.
func handBackTimer(ctx context.Context) (<-chan time.Time, func() bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil, func() bool { return true }
	}
	left := time.Until(deadline)
	timer := time.NewTimer(left - min(left/handBackShare, maxHandBack))
	return timer.C, timer.Stop
}

// handBack gives back the attempts whose functions do not return. They may go on here, with nothing that they could write any more, while
// others execute the next attempt: as after a take-over, but at once, and without a loss that counts.
func (wk *worker[TTx]) handBack(ctx context.Context) error {
	for _, x := range wk.live.all() {
		attempted := flow.Attempted{StepKey: x.claim.StepKey, Attempt: x.claim.Attempt, Worker: x.claim.Worker, Hold: x.claim.Hold}
		m := &member{id: x.claim.Run, event: flow.Released{Attempted: attempted, Reason: ErrReleased.Error()}, job: x.job}
		if _, err := wk.committer.commitMember(ctx, m); err != nil {
			return trouble{what: "stop runtime: hand back", about: m.about(), err: err}
		}
	}
	return nil
}
