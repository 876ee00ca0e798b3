package squidmesh

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
)

// specCache keeps the specs of pinned shapes, with today's policies.
type specCache struct {
	mu     sync.RWMutex
	shapes map[string]*pinned
}

// pinned is a shape as this process runs it.
type pinned struct {
	spec     *Spec
	runnable map[StepKey]bool // the functions that this process can call
	unfit    map[StepKey]bool // those that it has, and that do not fit the shape
	savedAt  time.Time        // when the database was last told that the shape is in use
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
func (rt *Runtime[TTx]) pin(ctx context.Context, tx TTx, run Run) (*pinned, error) {
	if p := rt.specs.get(run.Shape); p != nil {
		return p, nil
	}
	spec := rt.registry.specs[run.Workflow]
	if spec == nil || spec.Shape() != run.Shape {
		found, err := rt.store.Specs(ctx, tx, []string{run.Shape})
		if err != nil {
			return nil, fmt.Errorf("load shape %s: %w", run.Shape, err)
		}
		if spec = found[run.Shape]; spec == nil {
			return nil, fmt.Errorf("run %s of workflow %s: %w %s", run.ID, run.Workflow, ErrUnknownShape, run.Shape)
		}
	}
	return rt.pinAs(spec), nil
}

// pinAs keeps a spec of the database, or today's, with today's policies.
func (rt *Runtime[TTx]) pinAs(spec *Spec) *pinned {
	if today := rt.registry.specs[spec.Workflow()]; today != nil && today != spec {
		spec = spec.WithPolicy(today)
	}
	p := rt.registry.pin(spec)
	rt.specs.put(spec.Shape(), p)
	return p
}

// saveSpecs sees to it that the database holds the specs and knows that they are in use, if it was not told within that time. It has a
// short transaction of its own: whoever saves the same new shape waits until that ends.
func (rt *Runtime[TTx]) saveSpecs(ctx context.Context, age time.Duration, specs ...*Spec) error {
	var due []*Spec
	for _, spec := range specs {
		if !rt.specs.get(spec.Shape()).savedWithin(age) {
			due = append(due, spec)
		}
	}
	if len(due) == 0 {
		return nil
	}
	err := rt.insist(ctx, rt.ownTx, rt.writeMayPass, func(ctx context.Context, tx TTx) error {
		_, err := rt.store.SaveSpecs(ctx, tx, due, true)
		return err
	})
	if err != nil {
		return saveError(due, err)
	}
	rt.markSaved(due...)
	return nil
}

// saveSpecTx is saveSpecs within a caller's transaction, which may be long and may roll back. What the database was told before stands.
func (rt *Runtime[TTx]) saveSpecTx(ctx context.Context, tx TTx, spec *Spec) error {
	if rt.specs.get(spec.Shape()).savedWithin(shapeUsedEvery) {
		return nil
	}
	known, err := rt.store.SaveSpecs(ctx, tx, []*Spec{spec}, false)
	if err != nil {
		return saveError([]*Spec{spec}, err)
	}
	if known {
		rt.markSaved(spec)
	}
	return nil
}

func saveError(specs []*Spec, err error) error {
	return fmt.Errorf("save %s from %s on: %w", text.Count(len(specs), "shape"), specs[0].Workflow(), err)
}

// markSaved notes that the database holds the shapes.
func (rt *Runtime[TTx]) markSaved(specs ...*Spec) {
	for _, spec := range specs {
		p := rt.registry.pin(spec)
		p.savedAt = time.Now()
		rt.specs.put(spec.Shape(), p)
	}
}
