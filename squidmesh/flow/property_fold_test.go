package flow_test

import (
	"github.com/squidmesh/squidmesh-go/internal/difference"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// ruleAudit: the rows are what the audit adds up to.
func ruleAudit(m *moment) string {
	if m.err != nil || m.t.Empty() {
		return ""
	}
	w := m.world
	w.audit = append(w.audit, m.t.Audit...)
	if w.folding == nil {
		w.folding = flow.NewFolding(w.spec)
	}
	w.folding.Enter(m.t.Audit[0], m.data)
	return difference.Of(w.snap, w.folding.Snapshot)
}
