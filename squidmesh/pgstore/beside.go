package pgstore

import (
	"context"
	"sync"
)

// beside is what a store does beside its transactions: it takes leave of connections that nobody else can. Each such task ends by itself.
type beside struct {
	mu    sync.Mutex
	hurry chan struct{}              // closed once the tasks are to end soon
	tasks map[chan struct{}]struct{} // closed once they have ended
}

// do begins a task.
func (b *beside) do(task func(hurry <-chan struct{})) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hurry == nil {
		b.hurry, b.tasks = make(chan struct{}), map[chan struct{}]struct{}{}
	}
	hurry, ended := b.hurry, make(chan struct{})
	b.tasks[ended] = struct{}{}
	go func() {
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.tasks, ended)
			close(ended)
		}()
		task(hurry)
	}()
}

// drain has the tasks that there are end soon, and waits for them.
func (b *beside) drain(ctx context.Context) error {
	b.mu.Lock()
	var all []chan struct{}
	for ended := range b.tasks {
		all = append(all, ended)
	}
	if b.hurry != nil {
		close(b.hurry)
		b.hurry = make(chan struct{})
	}
	b.mu.Unlock()
	for _, ended := range all {
		select {
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Drain implements driver.Drainer.
func (s *Store) Drain(ctx context.Context) error { return s.beside.drain(ctx) }
