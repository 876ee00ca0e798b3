// Package wake tells queues that there is work, once for many commits.
package wake

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Cooldown is the pause between two wake-ups of one process: each may cost the database a global lock, so many commits
// share one.
const Cooldown = 5 * time.Millisecond

// Waker coalesces wake-ups of queues. It runs a goroutine only while there is something to tell, and the last call is never
// lost. Its methods are safe for concurrent use.
type Waker struct {
	// Notify tells the queues, in order; nil if nobody wants to be woken. Set it before the first wake-up.
	Notify func(queues []string)

	mu      sync.Mutex
	next    *call // what is to be told next
	last    *call // the newest that there was
	running bool
	hushed  int // how often
}

// call is what one wake-up tells.
type call struct {
	queues map[string]bool
	told   chan struct{}
}

// Wake has queues told at once, or after the cooldown.
func (w *Waker) Wake(queues ...string) {
	if w.Notify == nil || len(queues) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(queues)
}

// add has queues told, by somebody who has the lock.
func (w *Waker) add(queues []string) {
	if w.next == nil {
		w.next = &call{queues: map[string]bool{}, told: make(chan struct{})}
		w.last = w.next
	}
	for _, q := range queues {
		w.next.queues[q] = true
	}
	if !w.running {
		w.running = true
		go w.run()
	}
}

func (w *Waker) run() {
	w.mu.Lock()
	c := w.next
	w.next, w.running = nil, c != nil
	w.mu.Unlock()
	if c == nil {
		return
	}
	defer func() { // even if an executor ends the goroutine
		close(c.told)
		time.AfterFunc(Cooldown, w.run)
	}()
	w.Notify(slices.Sorted(maps.Keys(c.queues)))
}

// Later is Wake for whoever has to wait with it. It does nothing once the waker has been hushed.
func (w *Waker) Later() func(queues ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.hushed
	return func(queues ...string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.Notify != nil && w.hushed == before {
			w.add(queues)
		}
	}
}

// AfterCallersCommit wakes when a transaction that the caller will commit has probably been committed.
func (w *Waker) AfterCallersCommit(queues ...string) {
	wake := w.Later()
	for _, after := range []time.Duration{5, 25, 125, 625} {
		time.AfterFunc(after*time.Millisecond, func() { wake(queues...) })
	}
}

// Hush drops the wake-ups that wait for their time. New ones may come after it.
func (w *Waker) Hush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hushed++
}

// Drain waits until all that was to be told by now has been told, or the context ends, whose cause it returns then.
func (w *Waker) Drain(ctx context.Context) error {
	w.mu.Lock()
	last := w.last
	w.mu.Unlock()
	if last == nil {
		return nil
	}
	select {
	case <-last.told:
		return nil
	default:
	}
	select {
	case <-last.told:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
