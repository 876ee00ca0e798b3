package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"

	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// order is the payload of all workflows here.
type order struct {
	Data string `json:"data"`
}

// mesh is squidmesh with River, as the README sets it up.
type mesh[TTx any] struct {
	site     *site[TTx]
	rt       *squidmesh.Runtime[TTx]
	client   *river.Client[TTx]
	workflow string
	count    *atomic.Int64
	ends     ends[squidmesh.RunID]
}

// meshOptions are what differs between the meshes of a benchmark.
type meshOptions struct {
	workflow squidmesh.Workflow
	others   []squidmesh.Workflow
	count    *atomic.Int64 // by the workflow's functions
	hop      bool          // every step a job of its own
	observe  func(squidmesh.Observation)
}

func openMesh[TTx any](ctx context.Context, s *site[TTx], o meshOptions) (*mesh[TTx], error) {
	m := &mesh[TTx]{site: s, workflow: o.workflow.Name, count: o.count}
	if err := m.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return m, nil
}

func (m *mesh[TTx]) open(ctx context.Context, o meshOptions) error {
	ex := riveradapter.New[TTx](nil)
	var err error
	m.rt, err = squidmesh.New(&squidmesh.Config[TTx]{
		Store: m.site.store, Executor: ex, Workflows: append(o.others, o.workflow), DisableContinuation: o.hop, Logger: quietLogger,
		Observer: squidmesh.ObserverFunc(func(_ context.Context, seen squidmesh.Observation) {
			if o.observe != nil {
				o.observe(seen)
			}
			if seen.Run.Status.Terminal() {
				m.ends.end(seen.Run.ID)
			}
		}),
	})
	if err != nil {
		return err
	}
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, m.rt)
	m.client, err = river.NewClient(m.site.driver, &river.Config{
		Workers: workers, Logger: quietLogger,
		Queues: map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(m.site.workers)},
	})
	if err != nil {
		return err
	}
	ex.SetClient(m.client)
	if err := m.rt.Start(ctx); err != nil {
		return err
	}
	return m.client.Start(ctx)
}

// begin starts a run.
func (m *mesh[TTx]) begin(ctx context.Context, data string) (squidmesh.RunID, error) {
	return m.start(ctx, m.workflow, data)
}

func (m *mesh[TTx]) start(ctx context.Context, workflow, data string) (squidmesh.RunID, error) {
	run, err := m.rt.StartRun(ctx, squidmesh.StartParams{Workflow: workflow, Payload: order{data}})
	if err != nil {
		return squidmesh.RunID{}, fmt.Errorf("start %s: %w", workflow, err)
	}
	return run.ID, nil
}

func (m *mesh[TTx]) run(ctx context.Context) error {
	id, err := m.begin(ctx, payload())
	if err != nil {
		return err
	}
	return m.ends.wait(ctx, id)
}

func (m *mesh[TTx]) steps() int64 { return m.count.Load() }

func (m *mesh[TTx]) meter() *meter { return m.site.meter }

func (m *mesh[TTx]) close() error {
	err := stopClient(m.client)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, m.rt.Stop(ctx), m.site.close())
}
