package squidmeshtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Run is a run in a [Kit].
type Run[TTx any] struct {
	ID  flow.RunID
	kit *Kit[TTx]
}

// Start starts a run by the workflow's default trigger. Nothing of it executes before the kit is told to run. If the process dies
// after the commit, Start returns the run that was committed; a program's caller that gave no Key would have to look for it.
func (k *Kit[TTx]) Start(workflow string, payload any) *Run[TTx] {
	k.t.Helper()
	return k.StartWith(squidmesh.StartParams{Workflow: workflow, Payload: payload})
}

// StartWith is Start with all params.
func (k *Kit[TTx]) StartWith(params squidmesh.StartParams) *Run[TTx] {
	k.t.Helper()
	return k.started("start "+params.Workflow, func() (squidmesh.StartResult, error) { return k.runtime.StartRun(k.ctx, params) })
}

// started makes a call that starts a run.
func (k *Kit[TTx]) started(name string, start func() (squidmesh.StartResult, error)) *Run[TTx] {
	k.t.Helper()
	run := &Run[TTx]{kit: k}
	told := k.call(name, func() error {
		result, err := start()
		run.ID = result.ID
		return err
	})
	if told != nil {
		run.ID = told.Transitions[0].Run.ID
	}
	return run
}

// Find returns the run with an id, such as a run that a transaction of the test's own has started.
func (k *Kit[TTx]) Find(id flow.RunID) *Run[TTx] { return &Run[TTx]{ID: id, kit: k} }

// Runs returns all runs of a workflow, oldest first, those of cron triggers too.
func (k *Kit[TTx]) Runs(workflow string) []*Run[TTx] {
	k.t.Helper()
	var runs []*Run[TTx]
	for _, row := range k.rows() {
		if row.Workflow == workflow {
			runs = append(runs, k.Find(row.ID))
		}
	}
	return runs
}

// Inspect reads the run with its history.
func (r *Run[TTx]) Inspect() *squidmesh.Inspection {
	r.kit.t.Helper()
	in, err := r.kit.Runtime().InspectRun(r.kit.ctx, r.ID, &squidmesh.InspectOptions{History: true})
	if err != nil {
		r.kit.t.Fatalf("squidmeshtest: %v", err)
	}
	return in
}

// Status returns where the run stands.
func (r *Run[TTx]) Status() flow.RunStatus {
	r.kit.t.Helper()
	return r.Inspect().Run.Status
}

// Explain says why the run stands where it stands.
func (r *Run[TTx]) Explain() *flow.Explanation {
	r.kit.t.Helper()
	return r.kit.explain(r.ID)
}

func (k *Kit[TTx]) explain(id flow.RunID) *flow.Explanation {
	k.t.Helper()
	ex, err := k.Runtime().ExplainRun(k.ctx, id)
	if err != nil {
		k.t.Fatalf("squidmeshtest: %v", err)
	}
	return ex
}

// Output decodes the output of a step into a variable; see [squidmesh.Runtime.Output]. It fails the test if the step has none.
func (r *Run[TTx]) Output(step string, into any) {
	r.kit.t.Helper()
	if err := r.kit.Runtime().Output(r.kit.ctx, r.ID, step, into); err != nil {
		r.kit.t.Fatalf("squidmeshtest: %v", err)
	}
}

// History is what happened to the run, a line for each entry of its audit, with the time since its start:
//
//	+0s started (trigger manual)
//	+0s claimed charge #1
//	+0s retried charge #1 (charge #1 error: no answer)
//	+30s claimed charge #2
//
// The end of an attempt and the claim of the successor that its worker goes on with are one entry.
func (r *Run[TTx]) History() string {
	r.kit.t.Helper()
	in := r.Inspect()
	var b strings.Builder
	for _, e := range in.Audit {
		var data flow.AuditData
		if err := json.Unmarshal(e.Data, &data); err != nil {
			r.kit.t.Fatalf("squidmeshtest: audit entry %d: %v", e.Seq, err)
		}
		fmt.Fprintf(&b, "+%s %s\n", e.At.Sub(in.Run.CreatedAt), byhand.PrintEntry(e, data))
	}
	return b.String()
}

// Approve approves the run's open approval; see [squidmesh.Runtime.ApproveRun].
func (r *Run[TTx]) Approve(d flow.Decision) {
	r.kit.t.Helper()
	r.operate("approve", flow.Approved{Decision: d})
}

// Reject rejects the run's open approval; see [squidmesh.Runtime.RejectRun].
func (r *Run[TTx]) Reject(d flow.Decision) {
	r.kit.t.Helper()
	r.operate("reject", flow.Rejected{Decision: d})
}

// Unblock ends the run's open pause; see [squidmesh.Runtime.UnblockRun].
func (r *Run[TTx]) Unblock(d flow.Decision) {
	r.kit.t.Helper()
	r.operate("unblock", flow.Unblocked{Decision: d})
}

// Cancel asks the run to end; see [squidmesh.Runtime.CancelRun].
func (r *Run[TTx]) Cancel(params squidmesh.CancelParams) {
	r.kit.t.Helper()
	r.operate("cancel", flow.Cancelled(params))
}

// RetryUndo gives new attempts to an undo that is out of them; see [squidmesh.Runtime.RetryUndo].
func (r *Run[TTx]) RetryUndo(d flow.Decision) {
	r.kit.t.Helper()
	r.operate("retry undo", flow.UndoRetried{Decision: d})
}

// AcceptUndo gives up an undo that is out of attempts; see [squidmesh.Runtime.AcceptUndo].
func (r *Run[TTx]) AcceptUndo(d flow.Decision) {
	r.kit.t.Helper()
	r.operate("accept undo", flow.UndoAccepted{Decision: d})
}

func (r *Run[TTx]) operate(name string, command flow.Event) {
	r.kit.t.Helper()
	r.kit.call(name, func() error {
		_, err := byhand.Operate(r.kit.runtime, r.ID, command)
		return err
	})
}

// Replay starts the run anew once it has ended; see [squidmesh.Runtime.ReplayRun].
func (r *Run[TTx]) Replay(params squidmesh.ReplayParams) *Run[TTx] {
	r.kit.t.Helper()
	return r.kit.started("replay", func() (squidmesh.StartResult, error) { return r.kit.runtime.ReplayRun(r.kit.ctx, r.ID, params) })
}
