package byhand

import (
	"sync"
	"time"
)

// Start is where clocks begin that nobody told otherwise: 9:00 UTC on Monday, 2 March 2026.
var Start = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// Clock stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock is a clock that stands at a moment.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Read is what a store takes for its option Clock.
func (c *Clock) Read(time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Time is what the clock shows.
func (c *Clock) Time() time.Time { return c.Read(time.Time{}) }

// Set moves the clock, but never back.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.now) {
		c.now = now
	}
}

// Advance moves the clock on.
func (c *Clock) Advance(by time.Duration) { c.Set(c.Time().Add(by)) }
