package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

type noopArgs struct {
	Data string `json:"data"`
}

// Kind implements river.JobArgs.
func (noopArgs) Kind() string { return "noop" }

type noopWorker struct {
	river.WorkerDefaults[noopArgs]
	count atomic.Int64
	all   int64
	done  chan struct{}
}

// Work implements river.Worker.
func (w *noopWorker) Work(context.Context, *river.Job[noopArgs]) error {
	if w.count.Add(1) == w.all {
		close(w.done)
	}
	return nil
}

// burnDown inserts independent jobs in bulk and lets River alone work them, with the settings of River's own benchmark. It
// returns jobs a second without the inserts and with them.
func (l *lab) burnDown(ctx context.Context) (burn, bulk float64, err error) {
	if err := l.reset(ctx); err != nil {
		return 0, 0, err
	}
	pool, err := l.connect(ctx, l.conns, &meter{})
	if err != nil {
		return 0, 0, err
	}
	defer pool.Close()
	w := &noopWorker{all: int64(pick(l.options, 6_000, 30_000)), done: make(chan struct{})}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Workers: workers, Logger: quietLogger,
		Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: 2_000, FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond},
		},
	})
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	const chunk = 5_000
	for left := int(w.all); left > 0; left -= chunk {
		params := make([]river.InsertManyParams, min(left, chunk))
		for i := range params {
			params[i].Args = noopArgs{payload()}
		}
		if _, err := client.InsertManyFast(ctx, params); err != nil {
			return 0, 0, err
		}
	}
	inserted := time.Since(begun)
	if err := l.analyze(ctx); err != nil {
		return 0, 0, err
	}
	begun = time.Now()
	if err := client.Start(ctx); err != nil {
		return 0, 0, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
	}
	took := time.Since(begun)
	if err := errors.Join(ctx.Err(), stopClient(client)); err != nil {
		return 0, 0, err
	}
	jobs := float64(w.all)
	return jobs / took.Seconds(), jobs / (took + inserted).Seconds(), nil
}
