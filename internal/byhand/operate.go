package byhand

import (
	"context"
	"fmt"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Operate calls the operation that a command of an operator stands for.
func Operate[TTx any](rt *squidmesh.Runtime[TTx], id flow.RunID, e flow.Event) (flow.Run, error) {
	ctx := context.Background()
	switch e := e.(type) {
	case flow.Cancelled:
		return rt.CancelRun(ctx, id, squidmesh.CancelParams(e))
	case flow.Unblocked:
		return rt.UnblockRun(ctx, id, e.Decision)
	case flow.Approved:
		return rt.ApproveRun(ctx, id, e.Decision)
	case flow.Rejected:
		return rt.RejectRun(ctx, id, e.Decision)
	case flow.UndoRetried:
		return rt.RetryUndo(ctx, id, e.Decision)
	case flow.UndoAccepted:
		return rt.AcceptUndo(ctx, id, e.Decision)
	default:
		return flow.Run{}, fmt.Errorf("%T is no operator's command", e)
	}
}
