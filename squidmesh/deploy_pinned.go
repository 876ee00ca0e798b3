package squidmesh

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// definitions are the shapes that this process has met: it finds the one that a run is pinned to, saves those that runs are started with, and
// knows which of them living workers have. It owns the cache of specs, which has a lock of its own; all else it reads from the database. Every
// part above it asks it, and it asks none.
type definitions[TTx any] struct {
	*base[TTx]
	specs specCache
}

// specCache keeps the specs of pinned shapes, with today's policies.
type specCache struct {
	mu     sync.RWMutex
	shapes map[string]*pinned
}

// pinned is a shape as this process runs it.
type pinned struct {
	spec     *Spec
	runnable map[flow.StepKey]bool // the functions that this process can call
	unfit    map[flow.StepKey]bool // those that it has, and that do not fit the shape
	savedAt  time.Time             // when the database was last told that the shape is in use
}

// savedWithin reports whether the database was told, at most so long ago. Pinned may be nil.
func (p *pinned) savedWithin(age time.Duration) bool { return p != nil && time.Since(p.savedAt) < age }

func (c *specCache) get(shape string) *pinned {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.shapes[shape]
}

func (c *specCache) put(shape string, p *pinned) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shapes == nil {
		c.shapes = map[string]*pinned{}
	}
	c.shapes[shape] = p
}

// pin returns the shape that a run is pinned to.
func (df *definitions[TTx]) pin(ctx context.Context, tx TTx, run Run) (*pinned, error) {
	if p := df.specs.get(run.Shape); p != nil {
		return p, nil
	}
	spec := df.registry.specs[run.Workflow]
	if spec == nil || spec.Shape() != run.Shape {
		found, err := df.store.Specs(ctx, tx, []string{run.Shape})
		if err != nil {
			return nil, fmt.Errorf("load shape %s: %w", run.Shape, err)
		}
		if spec = found[run.Shape]; spec == nil {
			return nil, fmt.Errorf("run %s of workflow %s: %w %s", run.ID, run.Workflow, ErrUnknownShape, run.Shape)
		}
	}
	return df.pinAs(spec), nil
}

// pinnedOf finds a shape that a claim has just used.
func (df *definitions[TTx]) pinnedOf(shape string) (*pinned, error) {
	if p := df.specs.get(shape); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w %s", ErrUnknownShape, shape)
}

// pinAs keeps a spec of the database, or today's, with today's policies.
func (df *definitions[TTx]) pinAs(spec *Spec) *pinned {
	if today := df.registry.specs[spec.Workflow()]; today != nil && today != spec {
		spec = spec.WithPolicy(today)
	}
	p := df.registry.pin(spec)
	df.specs.put(spec.Shape(), p)
	return p
}

// saveSpecs sees to it that the database holds the specs and knows that they are in use, if it was not told within that time. It has a
// short transaction of its own: whoever saves the same new shape waits until that ends.
func (df *definitions[TTx]) saveSpecs(ctx context.Context, age time.Duration, specs ...*Spec) error {
	var due []*Spec
	for _, spec := range specs {
		if !df.specs.get(spec.Shape()).savedWithin(age) {
			due = append(due, spec)
		}
	}
	if len(due) == 0 {
		return nil
	}
	err := df.insist(ctx, df.ownTx, df.writeMayPass, func(ctx context.Context, tx TTx) error {
		_, err := df.store.SaveSpecs(ctx, tx, due, true)
		return err
	})
	if err != nil {
		return saveError(due, err)
	}
	df.markSaved(due...)
	return nil
}

// saveSpecTx is saveSpecs within a caller's transaction, which may be long and may roll back. What the database was told before stands.
func (df *definitions[TTx]) saveSpecTx(ctx context.Context, tx TTx, spec *Spec) error {
	if df.specs.get(spec.Shape()).savedWithin(shapeUsedEvery) {
		return nil
	}
	known, err := df.store.SaveSpecs(ctx, tx, []*Spec{spec}, false)
	if err != nil {
		return saveError([]*Spec{spec}, err)
	}
	if known {
		df.markSaved(spec)
	}
	return nil
}

func saveError(specs []*Spec, err error) error {
	return fmt.Errorf("save %s from %s on: %w", text.Count(len(specs), "shape"), specs[0].Workflow(), err)
}

// markSaved notes that the database holds the shapes.
func (df *definitions[TTx]) markSaved(specs ...*Spec) {
	for _, spec := range specs {
		p := df.registry.pin(spec)
		p.savedAt = time.Now()
		df.specs.put(spec.Shape(), p)
	}
}
