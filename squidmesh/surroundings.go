package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Surroundings are what is known of the world around a run: who lives, and what the queue says. Only [Explain] looks at them.
type Surroundings struct {
	// Workers are those that are not lost, and those that are but still hold something.
	Workers []Worker

	// Definitions are the specs of the workers' shapes. It must hold those of the run's workflow.
	Definitions map[string]*Spec

	// Jobs is what the queue says of the jobs of rows that are due, by their ids; one that is missing is gone. Nil if the queue
	// cannot be asked.
	Jobs map[string]JobState

	// Unopened are the rows that are due and whose input, or the failure that led to them, the explaining process cannot open, each
	// with the id of the key that it is sealed with; empty if it is not sealed and has to be.
	Unopened map[StepKey]string
}

// lives reports whether the worker is one that can still write.
func (w Worker) lives(now time.Time) bool { return w.LostAt.IsZero() && !w.LeaseUntil.Before(now) }

func (s *Surroundings) worker(id WorkerID) (Worker, bool) {
	i := slices.IndexFunc(s.Workers, func(w Worker) bool { return w.ID == id })
	if i < 0 {
		return Worker{}, false
	}
	return s.Workers[i], true
}

func (s *Surroundings) lives(id WorkerID, now time.Time) bool {
	w, ok := s.worker(id)
	return ok && w.lives(now)
}

// fit says whether a worker has the function of a row, and whether it fits there.
func (s *Surroundings) fit(w Worker, spec *Spec, key StepKey) fit {
	for _, shape := range w.Shapes {
		if today := s.Definitions[shape]; today != nil && today.workflow == spec.workflow {
			return spec.fit(today, key)
		}
	}
	return fit{}
}

// taker finds a living worker that has the function of a row, and definitions that use the row's queue.
func (s *Surroundings) taker(spec *Spec, row StepState, now time.Time) (Worker, bool) {
	for _, w := range s.Workers {
		if w.lives(now) && slices.Contains(w.Queues, row.Queue) && s.fit(w, spec, row.StepKey).runnable() {
			return w, true
		}
	}
	return Worker{}, false
}

// knows reports whether a living worker has a definition with the trigger, whose name is part of the shape.
func (s *Surroundings) knows(key TriggerKey, now time.Time) bool {
	return slices.ContainsFunc(s.Workers, func(w Worker) bool {
		return w.lives(now) && slices.ContainsFunc(w.Shapes, func(shape string) bool {
			today := s.Definitions[shape]
			return today != nil && today.workflow == key.Workflow &&
				slices.ContainsFunc(today.triggers, func(t TriggerSpec) bool { return t.Name == key.Trigger })
		})
	})
}

// silence says since when a worker does not live, as far as that is known, and how to call it.
func (s *Surroundings) silence(id WorkerID) (since time.Time, name string) {
	w, ok := s.worker(id)
	switch {
	case !ok:
		return time.Time{}, fmt.Sprintf("worker %d", id)
	case !w.LostAt.IsZero() && w.LostAt.Before(w.LeaseUntil):
		return w.LostAt, w.Name
	default:
		return w.LeaseUntil, w.Name
	}
}

// ahead says how many jobs stand before this one.
func (j JobState) ahead() string {
	if j.Ahead >= maxAhead {
		return fmt.Sprintf("%d others or more", maxAhead)
	}
	if j.Ahead == 1 {
		return "another one"
	}
	return fmt.Sprintf("%d others", j.Ahead)
}

const (
	// maxAhead bounds what it costs to look how long a queue is.
	maxAhead = 100

	// maxLines is of how many of a run's jobs one looks at what stands before them; a block may have a thousand.
	maxLines = 20

	// maxRoster is how many workers are looked at.
	maxRoster = 1000
)

// ExplainRun explains a run, after one consistent look at its rows, the living workers and, if the executor is a [Prober], the jobs
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
	loaded, err := rt.loadRun(ctx, tx, id, Reads{All: true})
	if err != nil {
		return Explanation{}, err
	}
	around, now, err := rt.around(ctx, tx)
	if err != nil {
		return Explanation{}, err
	}
	s := Snapshot{Run: run, Steps: loaded.Steps, Around: around}
	if due := dueRows(s, now); len(due) > 0 {
		if s.Around.Unopened, err = rt.unopened(ctx, tx, p.spec, run, due); err != nil {
			return Explanation{}, err
		}
		// Last, as a question that fails may end the transaction.
		if s.Around.Jobs, err = rt.probe(ctx, tx, due, now); err != nil {
			if ctx.Err() != nil {
				return Explanation{}, err
			}
			rt.logger.Warn("squidmesh: run is explained without its jobs", logRun, id, "error", err)
		}
	}
	ex := Explain(p.spec, s, now)
	if rt.replayable(run) != nil {
		ex.Actions = slices.DeleteFunc(ex.Actions, func(a RunAction) bool { return a == ActionReplay || a == ActionReplayIrreversible })
	}
	return ex, nil
}

// dueRows are the rows that a worker should claim now.
func dueRows(s Snapshot, now time.Time) []StepState {
	var due []StepState
	for _, row := range s.Steps {
		if row.Status == StepScheduled && row.Missing == 0 && !row.DueAt.After(now) {
			due = append(due, row)
		}
	}
	return due
}

// around reads who lives and what they have, and the clock.
func (rt *Runtime[TTx]) around(ctx context.Context, tx TTx) (*Surroundings, time.Time, error) {
	report, err := rt.store.Workers(ctx, tx, WorkerTick{Roster: true, Limit: maxRoster})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("list workers: %w", err)
	}
	definitions, err := rt.definitions(ctx, tx, report.Roster)
	if err != nil {
		return nil, time.Time{}, err
	}
	return &Surroundings{Workers: report.Roster, Definitions: definitions}, report.Now, nil
}

// definitions finds the specs that workers' functions were written for. Those that are not this process's own are read once.
func (rt *Runtime[TTx]) definitions(ctx context.Context, tx TTx, workers []Worker) (map[string]*Spec, error) {
	known := map[string]*Spec{}
	for _, spec := range rt.registry.specs {
		known[spec.shape] = spec
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
		return nil, fmt.Errorf("load %d shapes: %w", len(others), err)
	}
	for shape, spec := range found {
		known[shape] = rt.pinAs(spec).spec
	}
	return known, nil
}

// probe asks the queue about the jobs of rows. Nil is the answer of one that cannot be asked.
func (rt *Runtime[TTx]) probe(ctx context.Context, tx TTx, rows []StepState, now time.Time) (map[string]JobState, error) {
	prober, ok := rt.executor.(Prober[TTx])
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
	line, ok := rt.executor.(LineProber[TTx])
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
func (rt *Runtime[TTx]) unopened(ctx context.Context, tx TTx, spec *Spec, run Run, rows []StepState) (map[StepKey]string, error) {
	if spec == nil {
		return nil, nil
	}
	var reads Reads
	for _, row := range rows {
		_, sources := spec.step(row.Name).takes(row.Phase)
		reads = reads.union(Reads{Outputs: sources})
	}
	loaded, err := rt.loadRun(ctx, tx, run.ID, reads)
	if err != nil {
		return nil, err
	}
	found := map[StepKey]string{}
	for _, row := range rows {
		keys, sources := spec.step(row.Name).takes(row.Phase)
		if sealed := unopened(sources, run.Payload, loaded.Outputs); len(keys) > 0 && sealed != nil {
			found[row.StepKey] = keyOf(sealed)
		}
		if row.Cause != "" && run.Reason != nil && stillSealed(run.Reason) {
			found[row.StepKey] = keyOf(run.Reason.Details)
		}
	}
	return found, nil
}

// replayable says why this process and today's definition do not take a replay of the run.
func (rt *Runtime[TTx]) replayable(run Run) error {
	if isSealed(run.Payload) {
		return ErrUnreadable
	}
	_, err := rt.prepareStart(StartParams{Workflow: run.Workflow, Trigger: run.Trigger, Payload: run.Payload})
	return err
}
