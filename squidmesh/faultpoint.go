package squidmesh

import "github.com/squidmesh/squidmesh-go/internal/fault"

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
func faultStage(e Event) string {
	switch e := e.(type) {
	case Started:
		return "start"
	case Claimed:
		return "claim"
	case Succeeded:
		return faultApply(e.Phase)
	case Failed:
		return faultApply(e.Phase)
	case Released:
		return "release"
	case Lost:
		return "takeover"
	case Redelivered, Compensated:
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
