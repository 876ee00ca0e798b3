package squidmesh

import (
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
	queues  map[string]bool
	running bool
}

func (w *waker) wake(queues ...string) {
	if w.notify == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queues == nil {
		w.queues = map[string]bool{}
	}
	for _, q := range queues {
		w.queues[q] = true
	}
	if !w.running && len(w.queues) > 0 {
		w.running = true
		go w.run()
	}
}

func (w *waker) run() {
	w.mu.Lock()
	queues := sortedKeys(w.queues)
	w.queues, w.running = nil, len(queues) > 0
	w.mu.Unlock()
	if len(queues) == 0 {
		return
	}
	defer func() { // even if an executor ends the goroutine
		time.AfterFunc(wakeCooldown, w.run)
	}()
	w.notify(queues)
}

// wakeAfterCallersCommit wakes when a transaction that the caller will commit has probably been committed.
func (w *waker) wakeAfterCallersCommit(queues ...string) {
	for _, after := range []time.Duration{5, 25, 125, 625} {
		time.AfterFunc(after*time.Millisecond, func() { w.wake(queues...) })
	}
}
