package squidmesh

import (
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// schedule says when a cron trigger is due.
//
// An expression is about the wall clock of its zone, so it is asked for wall times, which then become instants by rules of our
// own: a wall time that a clock change skips is due at the moment of the change, and one that comes twice is due the first
// time. What is due at the same instant is one window. "@every" counts real time and knows no wall clock.
type schedule struct {
	cron  cron.Schedule
	every time.Duration // of "@every", else zero
	zone  *time.Location
}

// zonesHint is what helps where a machine has no time zones, as small container images have none.
const zonesHint = `let the program bring them along: import _ "time/tzdata"`

// loadZone finds a time zone. The error repeats no more of the name than can be read and stored, whoever wrote it.
func loadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%s is not an IANA time zone that this machine knows; where it knows none, %s", echo.Quote(name), zonesHint)
	}
	return zone, nil
}

func newSchedule(expression, timeZone string) (schedule, error) {
	c, err := parseCron(expression)
	if err != nil {
		return schedule{}, fmt.Errorf("cron expression %s: %w", echo.Quote(expression), err)
	}
	zone, err := loadZone(timeZone)
	if err != nil {
		return schedule{}, err
	}
	s := schedule{cron: c, zone: zone}
	if constant, ok := c.(cron.ConstantDelaySchedule); ok {
		s.every = constant.Delay
	}
	return s, nil
}

// next is the first window after a moment; zero if there is none in the next five years.
func (s schedule) next(after time.Time) time.Time {
	if s.every > 0 {
		return s.cron.Next(after.UTC())
	}
	wall := wallClock(after.In(s.zone))
	for {
		if wall = s.cron.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if at := s.instant(wall); at.After(after) {
			return at
		}
	}
}

// same reports whether two schedules have the same windows, however they are written.
func (s schedule) same(other schedule) bool {
	a, fields := s.cron.(*cron.SpecSchedule)
	b, both := other.cron.(*cron.SpecSchedule)
	if !fields || !both {
		return s.every > 0 && s.every == other.every
	}
	// A star is a bit of its own, which matters only where a day is told by month and by week.
	const all = 1<<60 - 1
	return s.zone.String() == other.zone.String() && a.Second&all == b.Second&all && a.Minute&all == b.Minute&all && a.Hour&all == b.Hour&all &&
		a.Month&all == b.Month&all && a.Dom == b.Dom && a.Dow == b.Dow
}

// follow is the first window of a schedule that takes the place of another one, whose next window would have been nextAt. Real time goes on
// from the old one's last window: were it counted from now, two definitions that take turns faster than they are due would never be.
func (s schedule) follow(old schedule, nextAt, now time.Time) time.Time {
	next := s.next(now)
	if s.every == 0 || old.every == 0 || nextAt.IsZero() {
		return next
	}
	at := nextAt.Add(s.every - old.every)
	if at.Before(now) {
		at = now.Truncate(time.Second)
	}
	if at.After(next) {
		return next
	}
	return at
}

// due returns the newest windows, at most limit, oldest first, of those from the window first on that are not after now.
func (s schedule) due(first, now time.Time, limit int) []time.Time {
	if first.IsZero() || first.After(now) {
		return nil
	}
	if s.every > 0 {
		n := int(now.Sub(first) / s.every)
		var windows []time.Time
		for i := max(0, n-limit+1); i <= n; i++ {
			windows = append(windows, first.Add(time.Duration(i)*s.every))
		}
		return windows
	}
	// After a long time away only the newest windows matter, so they are looked for from the end, in ever larger spans.
	for span := time.Hour; ; span *= 8 {
		start := first
		if cut := now.Add(-span); cut.After(first) {
			start = s.next(cut)
		}
		var windows []time.Time
		for at := start; !at.IsZero() && !at.After(now); at = s.next(at) {
			windows = append(windows, at)
		}
		if len(windows) >= limit || start.Equal(first) || span > 40*365*24*time.Hour {
			return windows[max(0, len(windows)-limit):]
		}
	}
}

// key names a window within its trigger so that no clock change, parser or second scheduler can fire it twice.
func (s schedule) key(window time.Time) string {
	if s.every > 0 {
		return window.UTC().Format(time.RFC3339)
	}
	return window.In(s.zone).Format("2006-01-02T15:04 ") + s.zone.String()
}

// wallClock is what a clock shows, as if it stood in UTC, where every wall time exists once.
func wallClock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant is when the zone's clocks first show a wall time, or when they jump over it.
func (s schedule) instant(wall time.Time) time.Time {
	// Whatever changes around that time, the offsets of the days before and after are the ones in question.
	var offsets []int
	for _, away := range []time.Duration{-26 * time.Hour, 0, 26 * time.Hour} {
		_, offset := wall.Add(away).In(s.zone).Zone()
		offsets = append(offsets, offset)
	}
	slices.Sort(offsets)
	for _, offset := range slices.Backward(offsets) { // the largest is the earliest
		at := wall.Add(-time.Duration(offset) * time.Second)
		if wallClock(at.In(s.zone)).Equal(wall) {
			return at.UTC()
		}
	}
	change, _ := wall.Add(-time.Duration(offsets[0]) * time.Second).In(s.zone).ZoneBounds()
	return change.UTC()
}
