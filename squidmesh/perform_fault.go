package squidmesh

import (
	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// faultAt is a fault point of the transaction that decides the members' events: claim.before_commit, apply.after_enqueue and so
// on. In programs as they are shipped it is nothing; see package fault.
func faultAt(members []*member, place string) {
	if !fault.Enabled {
		return
	}
	for _, m := range members {
		fault.Hit(faultStage(m.event) + "." + place)
	}
}

// faultStage names the kind of transaction that an event is decided in.
func faultStage(e flow.Event) string {
	switch e := e.(type) {
	case flow.Started:
		return "start"
	case flow.Claimed:
		return "claim"
	case flow.Succeeded:
		return faultApply(e.Phase)
	case flow.Failed:
		return faultApply(e.Phase)
	case flow.Released:
		return "release"
	case flow.Lost:
		return "takeover"
	case flow.Redelivered, flow.Compensated:
		return "redeliver"
	default:
		return "decision"
	}
}

func faultApply(phase Phase) string {
	if phase == PhaseUndo {
		return "undo"
	}
	return "apply"
}
