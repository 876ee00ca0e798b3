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
		fault.Hit(string(flow.TraitsOf(m.event).Stage) + "." + place)
	}
}
