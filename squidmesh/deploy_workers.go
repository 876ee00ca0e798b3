package squidmesh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// maxRoster is how many workers are looked at.
const maxRoster = 1000

// around reads who lives and what they have, and the clock.
func (df *definitions[TTx]) around(ctx context.Context, tx TTx) (*flow.Environment, time.Time, error) {
	report, err := df.store.Workers(ctx, tx, driver.WorkerTick{ListWorkers: true, Limit: maxRoster})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("list workers: %w", err)
	}
	definitions, err := df.byShape(ctx, tx, report.Workers)
	if err != nil {
		return nil, time.Time{}, err
	}
	return &flow.Environment{Workers: report.Workers, Definitions: definitions}, report.Now, nil
}

// byShape finds the specs that workers' functions were written for. Those that are not this process's own are read once.
func (df *definitions[TTx]) byShape(ctx context.Context, tx TTx, workers []flow.Worker) (map[string]*Spec, error) {
	known := map[string]*Spec{}
	for _, spec := range df.registry.specs {
		known[spec.Shape()] = spec
	}
	var others []string
	for _, w := range workers {
		for _, shape := range w.Shapes {
			switch p := df.specs.get(shape); {
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
	found, err := df.store.Specs(ctx, tx, others)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", text.Count(len(others), "shape"), err)
	}
	for shape, spec := range found {
		known[shape] = df.pinAs(spec).spec
	}
	return known, nil
}

// usedQueues are the queues that the definitions of living workers use.
func (df *definitions[TTx]) usedQueues(ctx context.Context, tx TTx) (map[string]bool, error) {
	report, err := df.store.Workers(ctx, tx, driver.WorkerTick{ListWorkers: true, Limit: maxRoster})
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	used := map[string]bool{}
	for _, w := range report.Workers {
		for _, queue := range w.Queues {
			used[queue] = used[queue] || w.Lives(report.Now)
		}
	}
	return used, nil
}
