package squidmesh

import (
	"cmp"
	"context"
	"fmt"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// CancelParams say how to cancel a run.
type CancelParams struct {
	Decision

	// Compensate undoes the completed steps in reverse order before the run ends as cancelled.
	Compensate bool
}

// CancelRun asks a run to end as cancelled. It cancels what nobody has claimed and tells running steps to stop. Their outcomes are
// still recorded, and then the run ends. If the run is already on its way to an end, CancelRun only notes the wish. But a run that
// is being cancelled can still be told to compensate. On a cancelled run it changes nothing.
//
// Errors: [ErrNotFound], [ErrFinished], [ErrUnknownShape], [*InputError], [ErrInsideTransaction], [ErrSeal], [ErrCommitUnknown],
// and with Compensate [ErrDispatch].
func (rt *Runtime[TTx]) CancelRun(ctx context.Context, id RunID, params CancelParams) (Run, error) {
	return rt.operate(ctx, id, flow.Cancelled(params), false)
}

// CancelRunTx is CancelRun within the caller's transaction. It returns [ErrTxUnusable] instead of [ErrCommitUnknown], if the
// transaction has ended, was given up, or is read-only. After a refusal the transaction may go on. After any other error the caller
// must roll back. Refusals are the errors that come from no statement: of arguments and names, [ErrNotFound], [*RefusedError],
// [ErrKeyConflict].
//
// Under REPEATABLE READ or SERIALIZABLE the call or the commit can fail with a serialization failure (SQLSTATE 40001). Then roll
// back and repeat the whole transaction. All this holds for every ...Tx call about a run.
func (rt *Runtime[TTx]) CancelRunTx(ctx context.Context, tx TTx, id RunID, params CancelParams) (Run, error) {
	return rt.operateTx(ctx, tx, id, flow.Cancelled(params), false)
}

// UnblockRun ends a pause, and the run goes on. Errors: [ErrNotFound], [ErrFinished], [ErrNotWaiting], [ErrUnknownShape],
// [*InputError], [ErrDispatch], [ErrInsideTransaction], [ErrSeal], [ErrCommitUnknown].
func (rt *Runtime[TTx]) UnblockRun(ctx context.Context, id RunID, decision Decision) (Run, error) {
	return rt.operate(ctx, id, flow.Unblocked{Decision: decision}, false)
}

// UnblockRunTx is UnblockRun within the caller's transaction. Errors as for UnblockRun, and [ErrTxUnusable].
func (rt *Runtime[TTx]) UnblockRunTx(ctx context.Context, tx TTx, id RunID, decision Decision) (Run, error) {
	return rt.operateTx(ctx, tx, id, flow.Unblocked{Decision: decision}, false)
}

// ApproveRun approves an open approval, and the run goes on to the step's Next. The actor is required. Errors as for UnblockRun.
func (rt *Runtime[TTx]) ApproveRun(ctx context.Context, id RunID, decision Decision) (Run, error) {
	return rt.operate(ctx, id, flow.Approved{Decision: decision}, true)
}

// ApproveRunTx is ApproveRun within the caller's transaction. Lock application rows before calling it, as FuncTx steps do.
// Errors as for UnblockRunTx.
func (rt *Runtime[TTx]) ApproveRunTx(ctx context.Context, tx TTx, id RunID, decision Decision) (Run, error) {
	return rt.operateTx(ctx, tx, id, flow.Approved{Decision: decision}, true)
}

// RejectRun rejects an open approval, and the run goes on to the step's OnError. There [Failure] tells who rejected and why. The
// actor is required. Errors as for UnblockRun.
func (rt *Runtime[TTx]) RejectRun(ctx context.Context, id RunID, decision Decision) (Run, error) {
	return rt.operate(ctx, id, flow.Rejected{Decision: decision}, true)
}

// RejectRunTx is RejectRun within the caller's transaction. Errors as for UnblockRunTx.
func (rt *Runtime[TTx]) RejectRunTx(ctx context.Context, tx TTx, id RunID, decision Decision) (Run, error) {
	return rt.operateTx(ctx, tx, id, flow.Rejected{Decision: decision}, true)
}

// RetryUndo gives a new set of attempts to an undo that is out of them. Errors as for UnblockRun.
func (rt *Runtime[TTx]) RetryUndo(ctx context.Context, id RunID, decision Decision) (Run, error) {
	return rt.operate(ctx, id, flow.UndoRetried{Decision: decision}, false)
}

// RetryUndoTx is RetryUndo within the caller's transaction. Errors as for UnblockRunTx.
func (rt *Runtime[TTx]) RetryUndoTx(ctx context.Context, tx TTx, id RunID, decision Decision) (Run, error) {
	return rt.operateTx(ctx, tx, id, flow.UndoRetried{Decision: decision}, false)
}

// AcceptUndo gives up an undo that is out of attempts: its effect stays, and the run goes on to its end. The actor is required.
// Errors as for UnblockRun.
func (rt *Runtime[TTx]) AcceptUndo(ctx context.Context, id RunID, decision Decision) (Run, error) {
	return rt.operate(ctx, id, flow.UndoAccepted{Decision: decision}, true)
}

// AcceptUndoTx is AcceptUndo within the caller's transaction. Errors as for UnblockRunTx.
func (rt *Runtime[TTx]) AcceptUndoTx(ctx context.Context, tx TTx, id RunID, decision Decision) (Run, error) {
	return rt.operateTx(ctx, tx, id, flow.UndoAccepted{Decision: decision}, true)
}

// operate commits a command in a transaction of its own.
func (rt *Runtime[TTx]) operate(ctx context.Context, id RunID, command flow.Event, actor bool) (Run, error) {
	if err := checkCall(ctx); err != nil {
		return Run{}, err
	}
	if err := checkDecision(command, actor); err != nil {
		return Run{}, err
	}
	c, err := rt.committer.commit(ctx, id, command)
	if err != nil {
		// The refusal stands, whether or not the audit can be read.
		_ = tooLate(command, err, func(o *InspectOptions) (*Inspection, error) { return rt.InspectRun(ctx, id, o) })
		return Run{}, err
	}
	return c.after(), nil
}

// operateTx decides a command within the caller's transaction.
func (rt *Runtime[TTx]) operateTx(ctx context.Context, tx TTx, id RunID, command flow.Event, actor bool) (Run, error) {
	if err := cmp.Or(checkJoin(ctx, tx), checkDecision(command, actor)); err != nil {
		return Run{}, err
	}
	c, err := rt.committer.writeTx(ctx, tx, &member{id: id, event: command})
	if err != nil {
		// After a refusal the caller may go on with the transaction, but not after a statement has failed in it.
		inspect := func(o *InspectOptions) (*Inspection, error) { return rt.InspectRunTx(ctx, tx, id, o) }
		if broken := tooLate(command, err, inspect); broken != nil {
			return Run{}, broken
		}
		return Run{}, err
	}
	return c.after(), nil
}

// after returns the run's row as the commit left it.
func (c committed) after() Run {
	if c.Empty() {
		return c.run
	}
	return c.Run
}

// checkDecision checks who decides and what was said.
func checkDecision(command flow.Event, actor bool) error {
	d := flow.TraitsOf(command).Decision
	if d.Actor == "" && actor {
		return &InputError{Field: "Actor", Code: "required", Detail: "is required: say who decides"}
	}
	return cmp.Or(
		check.Line("Actor", d.Actor, maxActor),
		check.Text("Comment", d.Comment, maxComment),
		check.Object("Metadata", d.Metadata, maxMetadata),
		check.Name("Step", d.Step),
	)
}

// ReplayParams say how to replay a run.
type ReplayParams struct {
	// Actor is who replays, for the audit. Optional.
	Actor string

	// Key makes the replay idempotent, as [StartParams.Key] does.
	Key string

	// AllowIrreversible repeats steps that are marked Irreversible or NotCompensatable.
	AllowIrreversible bool
}

// ReplayRun starts a new run with the payload of a finished one, by today's definition. It checks the payload again. The source
// stays as it is.
//
// Errors: [ErrNotFound], [ErrNotFinished], [*UnsafeReplayError], [ErrUnknownShape], [ErrUnreadable] if the source's payload cannot
// be opened, and those of [Runtime.StartRun].
func (rt *Runtime[TTx]) ReplayRun(ctx context.Context, id RunID, params ReplayParams) (StartResult, error) {
	if err := checkCall(ctx); err != nil {
		return StartResult{}, err
	}
	var s pendingStart
	err := rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		s, err = rt.prepareReplay(ctx, tx, id, params)
		return err
	})
	if err != nil {
		return StartResult{}, err
	}
	return rt.start(ctx, s)
}

// ReplayRunTx is ReplayRun within the caller's transaction. Errors as for ReplayRun, and [ErrTxUnusable].
func (rt *Runtime[TTx]) ReplayRunTx(ctx context.Context, tx TTx, id RunID, params ReplayParams) (StartResult, error) {
	if err := checkJoin(ctx, tx); err != nil {
		return StartResult{}, err
	}
	s, err := rt.prepareReplay(ctx, tx, id, params)
	if err != nil {
		return StartResult{}, rt.joinError(err)
	}
	return rt.startTx(ctx, tx, s)
}

// prepareReplay judges the source. No lock is needed: a finished run changes no more.
func (rt *Runtime[TTx]) prepareReplay(ctx context.Context, tx TTx, id RunID, params ReplayParams) (pendingStart, error) {
	runs, err := rt.store.Find(ctx, tx, driver.RunQuery{IDs: []RunID{id}, Payload: true})
	if err != nil {
		return pendingStart{}, fmt.Errorf("find run %s: %w", id, err)
	}
	if len(runs) == 0 {
		return pendingStart{}, fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	source := runs[0]
	if envelope.Is(source.Payload) {
		return pendingStart{}, fmt.Errorf("replay run %s: %w", id, unreadable(source.Payload))
	}
	p, err := rt.definitions.pin(ctx, tx, source)
	if err != nil {
		return pendingStart{}, err
	}
	loaded, err := rt.loadRun(ctx, tx, id, flow.Reads{All: true})
	if err != nil {
		return pendingStart{}, fmt.Errorf("load run %s: %w", id, err)
	}
	event := flow.Replayed{Decision: Decision{Actor: params.Actor}, AllowIrreversible: params.AllowIrreversible}
	if _, err := flow.Decide(p.spec, flow.Snapshot{Run: source, Steps: loaded.Steps}, event, source.LastAt); err != nil {
		return pendingStart{}, err
	}
	s, err := rt.registry.prepareStart(StartParams{
		Workflow: source.Workflow, Trigger: source.Trigger, Payload: source.Payload, Key: params.Key, Actor: params.Actor,
	})
	if err != nil {
		return pendingStart{}, fmt.Errorf("replay run %s: %w", id, err)
	}
	s.event.ReplayedFrom, s.event.SignalID = source.ID, source.SignalID
	s.event.WindowAt, s.event.WindowEnd, s.event.ReceivedAt = source.WindowAt, source.WindowEnd, source.ReceivedAt
	return s, nil
}
