package squidmesh

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// wakeCooldown is the pause between two wake-ups of one process: each may cost the database a global lock, so many commits
// share one.
const wakeCooldown = 5 * time.Millisecond

// waker coalesces wake-ups of queues. It runs a goroutine only while there is something to tell, and the last call is never
// lost.
type waker struct {
	notify func(queues []string) // nil if nobody wants to be woken

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

func (w *waker) wake(queues ...string) {
	if w.notify == nil || len(queues) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(queues)
}

// add has queues told, by somebody who has the lock.
func (w *waker) add(queues []string) {
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

func (w *waker) run() {
	w.mu.Lock()
	c := w.next
	w.next, w.running = nil, c != nil
	w.mu.Unlock()
	if c == nil {
		return
	}
	defer func() { // even if an executor ends the goroutine
		close(c.told)
		time.AfterFunc(wakeCooldown, w.run)
	}()
	w.notify(slices.Sorted(maps.Keys(c.queues)))
}

// later is wake for whoever has to wait with it. It does nothing once the waker has been hushed.
func (w *waker) later() func(queues ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.hushed
	return func(queues ...string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.notify != nil && w.hushed == before {
			w.add(queues)
		}
	}
}

// wakeAfterCallersCommit wakes when a transaction that the caller will commit has probably been committed.
func (w *waker) wakeAfterCallersCommit(queues ...string) {
	wake := w.later()
	for _, after := range []time.Duration{5, 25, 125, 625} {
		time.AfterFunc(after*time.Millisecond, func() { wake(queues...) })
	}
}

// hush drops the wake-ups that wait for their time. New ones may come after it.
func (w *waker) hush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hushed++
}

// drain waits until all that was to be told by now has been told.
func (w *waker) drain(ctx context.Context) error {
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
