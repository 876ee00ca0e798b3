package main

import (
	"context"
	"sync/atomic"
	"time"
)

// pauseAlone lies between two runs that are to be alone: longer than the queue's cooldown, so that none profits from the fetch
// for the one before it, nor waits for it.
const pauseAlone = 25 * time.Millisecond

// measureLone compares a ten-step run that has the machine to itself with ten commits of one statement each, in turns.
func measureLone(ctx context.Context, l *lab) error {
	measured := pick(l.options, []string{byMesh}, []string{byHops, byMesh}) // a chain waits for a poll at each step, for seconds
	lone := map[string][]float64{}
	var commits, ratios []float64
	for range l.rounds {
		for _, by := range measured {
			runs, tens, err := l.lone(ctx, by)
			if err != nil {
				return err
			}
			run, ten := median(runs), median(tens)
			lone[by], commits = append(lone[by], run), append(commits, ten)
			if by == byMesh {
				ratios = append(ratios, run/ten)
			}
			l.report.say("lone %-24s %8.2f ms against %.2f ms for ten commits", by, run, ten)
		}
	}
	l.report.atMost(2.5, "lone.ratio.run_of_10_to_10_commits", median(ratios), "x")
	for _, by := range measured {
		l.report.add("lone.run_of_10."+by, median(lone[by]), "ms")
	}
	l.report.add("lone.run_of_10.commits", median(commits), "ms")
	return nil
}

// lone measures some runs and as many yardsticks, in milliseconds.
func (l *lab) lone(ctx context.Context, by string) (runs, tens []float64, err error) {
	if _, err := l.watch.Exec(ctx, "create table if not exists bench_yardstick (id bigserial primary key, data text)"); err != nil {
		return nil, nil, err
	}
	who, err := l.open(by, 10)(ctx)
	if err != nil {
		return nil, nil, err
	}
	const unprepared = 3 // runs, before all statements are
	until := time.Now().Add(pick(l.options, 2*time.Second, 4*time.Second))
	for i := 0; time.Now().Before(until) || i <= unprepared; i++ {
		begun := time.Now()
		if err := who.run(ctx); err != nil {
			return nil, nil, err
		}
		run := time.Since(begun)
		ten, err := l.tenCommits(ctx)
		if err != nil {
			return nil, nil, err
		}
		if i >= unprepared {
			runs, tens = append(runs, milliseconds(run)...), append(tens, milliseconds(ten)...)
		}
		if err := sleep(ctx, pauseAlone); err != nil {
			return nil, nil, err
		}
	}
	return runs, tens, who.close()
}

// tenCommits is how long ten inserts of a step's data take, one after the other, each a transaction.
func (l *lab) tenCommits(ctx context.Context) (time.Duration, error) {
	data := payload()
	conn, err := l.watch.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	begun := time.Now()
	for range 10 {
		if _, err := conn.Exec(ctx, "insert into bench_yardstick (data) values ($1)", data); err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}

// measureFirst measures from the call of StartRun to that of the first step's function while nothing else is going on.
func measureFirst(ctx context.Context, l *lab) error {
	var took []time.Duration
	for range l.rounds {
		called := &ends[string]{}
		s, err := l.postgres(ctx)
		if err != nil {
			return err
		}
		m, err := openMesh(ctx, s, meshOptions{workflow: signalling(0, called.end), count: &atomic.Int64{}})
		if err != nil {
			return err
		}
		for i := range pick(l.options, 25, 105) {
			data := payload()
			done := called.register(data)
			begun := time.Now()
			if _, err := m.begin(ctx, data); err != nil {
				return err
			}
			select {
			case <-done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if i >= 5 {
				took = append(took, time.Since(begun))
			}
			// Not in step with any poll or cooldown.
			if err := sleep(ctx, pauseAlone+time.Duration(i%7)*7*time.Millisecond); err != nil {
				return err
			}
		}
		if err := m.close(); err != nil {
			return err
		}
	}
	ms := milliseconds(took...)
	l.report.say("first step after %.1f ms, p99 %.1f ms", quantile(ms, 0.5), quantile(ms, 0.99))
	l.report.atMost(25, "first.step_after_start_run.p99", quantile(ms, 0.99), "ms")
	l.report.add("first.step_after_start_run.p50", quantile(ms, 0.5), "ms")
	return nil
}
