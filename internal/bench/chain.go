package main

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/riverqueue/river"

	"github.com/squidmesh/squidmesh-go/riveradapter"
)

// linkArgs are one step of a chain.
type linkArgs struct {
	Run  int64  `json:"run"`
	Step int    `json:"step"`
	Of   int    `json:"of"`
	Data string `json:"data"`
}

// Kind implements river.JobArgs.
func (linkArgs) Kind() string { return "link" }

// chain is what one writes by hand on River: the job of each step inserts the job of the next and completes itself, in one
// transaction. It keeps no state besides, and has no retries by policy, fences, audit or inspection.
type chain[TTx any] struct {
	river.WorkerDefaults[linkArgs]
	site   *site[TTx]
	client *river.Client[TTx]
	length int

	runs  atomic.Int64
	count atomic.Int64
	ends  ends[int64]
}

func openChain[TTx any](ctx context.Context, s *site[TTx], length int) (contender, error) {
	c := &chain[TTx]{site: s, length: length}
	workers := river.NewWorkers()
	river.AddWorker(workers, c)
	var err error
	c.client, err = river.NewClient(s.driver, &river.Config{
		Workers: workers, Logger: quietLogger,
		Queues: map[string]river.QueueConfig{river.QueueDefault: riveradapter.Queue(s.workers)},
	})
	if err == nil {
		err = c.client.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return c, nil
}

// Work implements river.Worker.
func (c *chain[TTx]) Work(ctx context.Context, job *river.Job[linkArgs]) error {
	c.count.Add(1)
	next := job.Args
	next.Step++
	err := c.site.inTx(ctx, func(tx TTx) error {
		if next.Step < next.Of {
			if _, err := c.client.InsertTx(ctx, tx, next, nil); err != nil {
				return err
			}
		}
		return c.site.complete(ctx, tx, job)
	})
	if err == nil && next.Step == next.Of {
		c.ends.end(next.Run)
	}
	return err
}

func (c *chain[TTx]) run(ctx context.Context) error {
	run := c.runs.Add(1)
	if _, err := c.client.Insert(ctx, linkArgs{Run: run, Of: c.length, Data: payload()}, nil); err != nil {
		return err
	}
	return c.ends.wait(ctx, run)
}

func (c *chain[TTx]) steps() int64 { return c.count.Load() }

func (c *chain[TTx]) meter() *meter { return c.site.meter }

func (c *chain[TTx]) close() error { return errors.Join(stopClient(c.client), c.site.close()) }
