package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// cell is one measurement of a contender under load.
type cell struct {
	name        string
	open        func(ctx context.Context) (contender, error)
	concurrency int
	window      time.Duration // at least
	patient     time.Duration // at most, while fewer runs have ended in it than are kept in flight
}

// sample is what one measurement of a cell gave.
type sample struct {
	rate   float64 // steps a second
	runs   []time.Duration
	steps  float64 // executed in the window
	starts float64 // runs begun in the window
	costs  costs   // of the window as a whole
}

// load keeps runs in flight and notes how long they took.
type load struct {
	contender contender
	stopped   atomic.Bool
	starts    atomic.Int64
	workers   sync.WaitGroup

	mu   sync.Mutex
	runs []time.Duration
	err  error
}

func (l *load) keep(ctx context.Context, concurrency int) {
	for range concurrency {
		l.workers.Go(func() {
			for !l.stopped.Load() {
				l.starts.Add(1)
				begun := time.Now()
				err := l.contender.run(ctx)
				took := time.Since(begun)
				l.mu.Lock()
				if err == nil {
					l.runs = append(l.runs, took)
				} else if l.err == nil && ctx.Err() == nil {
					l.err = err
				}
				l.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
}

// ended counts the runs so far.
func (l *load) ended() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs), l.err
}

// since is how long the runs took that ended after the first n.
func (l *load) since(n int) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.runs[n:])
}

// drain starts no more runs, gives those in flight a moment to end, and abandons the rest.
func (l *load) drain(abandon context.CancelFunc) {
	l.stopped.Store(true)
	timer := time.AfterFunc(time.Second, abandon)
	defer timer.Stop()
	l.workers.Wait()
}

// measure opens the cell's contender, warms it up, measures, and closes it.
func (l *lab) measure(ctx context.Context, c cell) (s sample, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", c.name, err)
		}
	}()
	who, err := c.open(ctx)
	if err != nil {
		return s, err
	}
	first, err := l.read(ctx, who.meter(), true)
	if err != nil {
		return s, errors.Join(err, who.close())
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	work := &load{contender: who}
	work.keep(inner, c.concurrency)
	before, after, err := l.observe(ctx, c, work, &s)
	work.drain(cancel)
	total := float64(who.steps())
	if err := errors.Join(err, who.close()); err != nil {
		return s, err
	}
	s.costs = after.direct.minus(before.direct)
	if who.meter() == nil {
		return s, nil
	}
	var written costs
	if l.walinspect {
		written, err = l.written(ctx, before.lsn, after.lsn)
	} else if err = l.quiet(ctx); err == nil {
		var last reading
		last, err = l.read(ctx, who.meter(), true)
		written = last.tables.minus(first.tables).over(total / s.steps) // of the whole session, brought down to the window
	}
	if err != nil {
		return s, err
	}
	s.costs.join(written)
	return s, l.printTop(ctx, c.name)
}

// observe warms up and then takes a reading before and after the window.
func (l *lab) observe(ctx context.Context, c cell, work *load, s *sample) (before, after reading, err error) {
	who := work.contender
	if err := sleep(ctx, l.warm); err != nil {
		return before, after, err
	}
	if who.meter() != nil {
		if err := l.analyze(ctx); err != nil {
			return before, after, err
		}
		l.resetTop(ctx)
	}
	if err := sleep(ctx, l.warm/2); err != nil {
		return before, after, err
	}
	if before, err = l.read(ctx, who.meter(), false); err != nil {
		return before, after, err
	}
	begun, steps, starts := time.Now(), who.steps(), work.starts.Load()
	ended, err := l.awaitWindow(ctx, c, work)
	if err != nil {
		return before, after, err
	}
	took := time.Since(begun)
	s.steps, s.starts = float64(who.steps()-steps), float64(work.starts.Load()-starts)
	s.rate, s.runs = s.steps/took.Seconds(), work.since(ended)
	after, err = l.read(ctx, who.meter(), false)
	return before, after, err
}

// awaitWindow waits for the window to end and returns how many runs had ended before it.
func (l *lab) awaitWindow(ctx context.Context, c cell, work *load) (int, error) {
	ended, err := work.ended()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	for {
		if err := sleep(ctx, c.window/10); err != nil {
			return 0, err
		}
		now, err := work.ended()
		if err != nil {
			return 0, err
		}
		took := time.Since(begun)
		if took >= c.window && (now-ended >= c.concurrency || took >= c.patient) {
			return ended, nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
