package squidmeshtest

import (
	"sync"
	"time"
)

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// read is what a store takes for its option Clock.
func (c *clock) read(time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) time() time.Time { return c.read(time.Time{}) }

// set moves the clock, but never back.
func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.now) {
		c.now = now
	}
}

func (c *clock) advance(by time.Duration) { c.set(c.time().Add(by)) }
