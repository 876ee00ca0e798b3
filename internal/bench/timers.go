package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// measureTimers measures how late the step after a durable wait is called. Of each delay it keeps a few waits going at a time.
func measureTimers(ctx context.Context, l *lab) error {
	delays := pick(l.options, []time.Duration{100 * time.Millisecond, time.Second},
		[]time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second})
	for _, delay := range delays {
		late, err := l.lateness(ctx, delay, pick(l.options, 40, 200), false)
		if err != nil {
			return err
		}
		ms := milliseconds(late...)
		name := fmt.Sprintf("timers.late_after_%s", delay)
		l.report.say("%s: %.1f ms, p99 %.1f ms", name, quantile(ms, 0.5), quantile(ms, 0.99))
		l.report.atMost(50, name+".p99", quantile(ms, 0.99), "ms")
		l.report.add(name+".p50", quantile(ms, 0.5), "ms")
	}
	late, err := l.lateness(ctx, time.Second, pick(l.options, 40, 200), true)
	if err != nil {
		return err
	}
	ms := milliseconds(late...)
	l.report.add("timers.late_after_1s_without_job.p50", quantile(ms, 0.5), "ms")
	l.report.add("timers.late_after_1s_without_job.p99", quantile(ms, 0.99), "ms")
	return nil
}

// lateness starts runs with a wait one after the other, without waiting for any, and compares when each was called with when it
// was due by the database's clock. If they are to lose their jobs, somebody deletes these before they are due.
func (l *lab) lateness(ctx context.Context, delay time.Duration, runs int, lose bool) ([]time.Duration, error) {
	const every = 15 * time.Millisecond
	var (
		mu     sync.Mutex
		due    = map[squidmesh.RunID]time.Time{}
		called = map[string]time.Time{}
		all    ends[string]
	)
	s, err := l.postgres(ctx)
	if err != nil {
		return nil, err
	}
	m, err := openMesh(ctx, s, meshOptions{
		count: &atomic.Int64{},
		workflow: signalling(delay, func(data string) {
			now := time.Now()
			mu.Lock()
			called[data] = now
			mu.Unlock()
			all.end(data)
		}),
		observe: func(o squidmesh.Observation) {
			if o.Entry.Kind == flow.AuditStarted && len(o.Jobs) == 1 {
				mu.Lock()
				due[o.Run.ID] = o.Jobs[0].ScheduledAt.Add(-l.clock)
				mu.Unlock()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	started := map[string]squidmesh.RunID{}
	for range runs {
		data := payload()
		if started[data], err = m.begin(ctx, data); err != nil {
			return nil, err
		}
		if lose {
			if _, err := l.watch.Exec(ctx, "delete from river_job where scheduled_at > clock_timestamp()"); err != nil {
				return nil, err
			}
		}
		if err := sleep(ctx, every); err != nil {
			return nil, err
		}
	}
	for data := range started {
		if err := all.wait(ctx, data); err != nil {
			return nil, err
		}
	}
	mu.Lock()
	defer mu.Unlock()
	var late []time.Duration
	for data, id := range started {
		late = append(late, called[data].Sub(due[id]))
	}
	return late, m.close()
}
