package squidmesh

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (

	// maxLines is of how many of a run's jobs one looks at what stands before them; a block may have a thousand.
	maxLines = 20
)

// ExplainRun says why a run stands where it stands. It reads the run's rows and the living workers once, consistently. If the
// executor is a [driver.Prober], it also asks about the jobs of what is due. It explains a run whose shape is missing too. If the
// queue cannot be asked, as in a process whose adapter has no River client, the explanation lacks what only the queue knows.
// Errors: [ErrNotFound], [ErrInsideTransaction].
func (rt *Runtime[TTx]) ExplainRun(ctx context.Context, id RunID) (*Explanation, error) {
	if err := checkCall(ctx); err != nil {
		return nil, err
	}
	var ex Explanation
	err := rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		ex, err = rt.explain(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ex, nil
}

func (rt *Runtime[TTx]) explain(ctx context.Context, tx TTx, id RunID) (Explanation, error) {
	run, err := rt.findRun(ctx, tx, id)
	if err != nil {
		return Explanation{}, err
	}
	p, err := rt.definitions.pin(ctx, tx, run)
	if errors.Is(err, ErrUnknownShape) {
		p, err = &pinned{}, nil
	}
	if err != nil {
		return Explanation{}, err
	}
	loaded, err := rt.loadRun(ctx, tx, id, flow.Reads{All: true})
	if err != nil {
		return Explanation{}, err
	}
	around, now, err := rt.definitions.around(ctx, tx)
	if err != nil {
		return Explanation{}, err
	}
	s := flow.Snapshot{Run: run, Steps: loaded.Steps, Environment: around}
	if due := dueRows(s, now); len(due) > 0 {
		if s.Environment.Unopened, err = rt.unopened(ctx, tx, p.spec, run, due); err != nil {
			return Explanation{}, err
		}
		// Last, as a question that fails may end the transaction.
		if s.Environment.Jobs, err = rt.queue.probe(ctx, tx, due, now); err != nil {
			if ctx.Err() != nil {
				return Explanation{}, err
			}
			rt.logger.Warn("squidmesh: run is explained without its jobs", logRun, id, "error", err)
		}
	}
	ex := flow.Explain(p.spec, s, now)
	if rt.replayable(run) != nil {
		ex.Commands = slices.DeleteFunc(ex.Commands, func(a flow.Command) bool {
			return a == flow.CommandReplay || a == flow.CommandReplayIrreversible
		})
	}
	return ex, nil
}

// dueRows are the rows that a worker should claim now.
func dueRows(s flow.Snapshot, now time.Time) []flow.StepState {
	var due []flow.StepState
	for _, row := range s.Steps {
		if row.Status == flow.StepScheduled && row.Missing == 0 && !row.DueAt.After(now) {
			due = append(due, row)
		}
	}
	return due
}

// unopened finds the rows whose input no claim of this process would take. Spec is nil if nobody has the run's shape.
func (rt *Runtime[TTx]) unopened(ctx context.Context, tx TTx, spec *Spec, run Run, rows []flow.StepState) (map[flow.StepKey]string, error) {
	if spec == nil {
		return nil, nil
	}
	var reads flow.Reads
	for _, row := range rows {
		_, sources := spec.Find(row.Name).Takes(row.Phase)
		reads = reads.Union(flow.Reads{Outputs: sources})
	}
	loaded, err := rt.loadRun(ctx, tx, run.ID, reads)
	if err != nil {
		return nil, err
	}
	found := map[flow.StepKey]string{}
	for _, row := range rows {
		keys, sources := spec.Find(row.Name).Takes(row.Phase)
		if sealed := unopened(sources, run.Payload, loaded.Outputs); len(keys) > 0 && sealed != nil {
			found[row.StepKey] = envelope.KeyOf(sealed)
		}
		if row.Cause != "" && run.Reason != nil && envelope.Unopened(run.Reason) {
			found[row.StepKey] = envelope.KeyOf(run.Reason.Details)
		}
	}
	return found, nil
}

// replayable says why this process and today's definition do not take a replay of the run.
func (rt *Runtime[TTx]) replayable(run Run) error {
	if envelope.Is(run.Payload) {
		return ErrUnreadable
	}
	_, err := rt.registry.prepareStart(StartParams{Workflow: run.Workflow, Trigger: run.Trigger, Payload: run.Payload})
	return err
}
