package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (

	// maxLines is of how many of a run's jobs one looks at what stands before them; a block may have a thousand.
	maxLines = 20

	// maxRoster is how many workers are looked at.
	maxRoster = 1000
)

// ExplainRun explains a run, after one consistent look at its rows, the living workers and, if the executor is a [driver.Prober], the jobs
// of what is due. A run whose shape is missing is explained too, and so is one whose jobs cannot be asked about, as in a process whose
// adapter has no River client: without what only the queue knows. Errors: [ErrNotFound], [ErrInsideTransaction].
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
	p, err := rt.pin(ctx, tx, run)
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
	around, now, err := rt.around(ctx, tx)
	if err != nil {
		return Explanation{}, err
	}
	s := flow.Snapshot{Run: run, Steps: loaded.Steps, Environment: around}
	if due := dueRows(s, now); len(due) > 0 {
		if s.Environment.Unopened, err = rt.unopened(ctx, tx, p.spec, run, due); err != nil {
			return Explanation{}, err
		}
		// Last, as a question that fails may end the transaction.
		if s.Environment.Jobs, err = rt.probe(ctx, tx, due, now); err != nil {
			if ctx.Err() != nil {
				return Explanation{}, err
			}
			rt.logger.Warn("squidmesh: run is explained without its jobs", logRun, id, "error", err)
		}
	}
	ex := flow.Explain(p.spec, s, now)
	if rt.replayable(run) != nil {
		ex.Commands = slices.DeleteFunc(ex.Commands, func(a flow.Command) bool { return a == flow.CommandReplay || a == flow.CommandReplayIrreversible })
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

// around reads who lives and what they have, and the clock.
func (rt *Runtime[TTx]) around(ctx context.Context, tx TTx) (*flow.Environment, time.Time, error) {
	report, err := rt.store.Workers(ctx, tx, driver.WorkerTick{ListWorkers: true, Limit: maxRoster})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("list workers: %w", err)
	}
	definitions, err := rt.definitions(ctx, tx, report.Workers)
	if err != nil {
		return nil, time.Time{}, err
	}
	return &flow.Environment{Workers: report.Workers, Definitions: definitions}, report.Now, nil
}

// definitions finds the specs that workers' functions were written for. Those that are not this process's own are read once.
func (rt *Runtime[TTx]) definitions(ctx context.Context, tx TTx, workers []flow.Worker) (map[string]*Spec, error) {
	known := map[string]*Spec{}
	for _, spec := range rt.registry.specs {
		known[spec.Shape()] = spec
	}
	var others []string
	for _, w := range workers {
		for _, shape := range w.Shapes {
			switch p := rt.specs.get(shape); {
			case known[shape] != nil || slices.Contains(others, shape):
			case p != nil:
				known[shape] = p.spec
			default:
				others = append(others, shape)
			}
		}
	}
	if len(others) == 0 {
		return known, nil
	}
	found, err := rt.store.Specs(ctx, tx, others)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", text.Count(len(others), "shape"), err)
	}
	for shape, spec := range found {
		known[shape] = rt.pinAs(spec).spec
	}
	return known, nil
}

// probe asks the queue about the jobs of rows. Nil is the answer of one that cannot be asked.
func (rt *Runtime[TTx]) probe(ctx context.Context, tx TTx, rows []flow.StepState, now time.Time) (map[string]flow.JobState, error) {
	prober, ok := rt.executor.(driver.Prober[TTx])
	if !ok {
		return nil, nil
	}
	var ids []string
	for _, row := range rows {
		if row.JobID != "" {
			ids = append(ids, row.JobID)
		}
	}
	jobs, err := rt.probeJobs(ctx, tx, prober, now, ids)
	if err != nil {
		return nil, err
	}
	line, ok := rt.executor.(driver.LineProber[TTx])
	if !ok {
		return jobs, nil
	}
	for _, id := range ids[:min(len(ids), maxLines)] {
		job, found := jobs[id]
		if !found {
			continue
		}
		if job.Ahead, err = rt.probeLine(ctx, tx, line, id); err != nil {
			return nil, fmt.Errorf("probe the line before job %s: %w", id, err)
		}
		jobs[id] = job
	}
	return jobs, nil
}

// unopened finds the rows whose input no claim of this process would take. Spec is nil if nobody has the run's shape.
func (rt *Runtime[TTx]) unopened(ctx context.Context, tx TTx, spec *Spec, run Run, rows []flow.StepState) (map[StepKey]string, error) {
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
	found := map[StepKey]string{}
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
	_, err := rt.prepareStart(StartParams{Workflow: run.Workflow, Trigger: run.Trigger, Payload: run.Payload})
	return err
}
