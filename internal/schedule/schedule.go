// Package schedule says when cron triggers are due. It alone knows the cron parser.
package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/text"
)

// maxExpression bounds what is given to the parser, and maxParserError what is repeated of its errors, which repeat what they were given.
const (
	maxExpression  = 255
	maxParserError = 100
)

// Parse reads a five-field expression or a descriptor. The schedule's Next answers in the location of the time that it
// is given, so pass it times in the trigger's zone.
func Parse(expression string) (cron.Schedule, error) {
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("the expression has %d bytes, at most %d are taken", len(expression), maxExpression)
	}
	if strings.Contains(expression, "TZ=") { // the parser panics on some, and the zone has a field of its own
		return nil, errors.New("the zone belongs into TimeZone, not into the expression")
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, errors.New(text.Clean(err.Error(), maxParserError))
	}
	if every, ok := strings.CutPrefix(expression, "@every "); ok {
		// The parser turns what is shorter than a second into a second, and drops fractions.
		if d, err := time.ParseDuration(every); err != nil || d < time.Second || d%time.Second != 0 {
			return nil, fmt.Errorf("%s is not a whole number of seconds above zero", echo.Quote(every))
		}
	}
	// Any day will do, since the parser looks five years ahead.
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%s never fires", echo.Quote(expression))
	}
	return schedule, nil
}

// Schedule says when a cron trigger is due.
//
// An expression is about the wall clock of its zone, so it is asked for wall times, which then become instants by rules of our
// own: a wall time that a clock change skips is due at the moment of the change, and one that comes twice is due the first
// time. What is due at the same instant is one window. "@every" counts real time and knows no wall clock.
type Schedule struct {
	cron  cron.Schedule
	every time.Duration // of "@every", else zero
	zone  *time.Location
}

// ZonesHint is what helps where a machine has no time zones, as small container images have none.
const ZonesHint = `let the program bring them along: import _ "time/tzdata"`

// LoadZone finds a time zone. The error repeats no more of the name than can be read and stored, whoever wrote it.
func LoadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%s is not an IANA time zone that this machine knows; where it knows none, %s", echo.Quote(name), ZonesHint)
	}
	return zone, nil
}

func New(expression, timeZone string) (Schedule, error) {
	c, err := Parse(expression)
	if err != nil {
		return Schedule{}, fmt.Errorf("cron expression %s: %w", echo.Quote(expression), err)
	}
	zone, err := LoadZone(timeZone)
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{cron: c, zone: zone}
	if constant, ok := c.(cron.ConstantDelaySchedule); ok {
		s.every = constant.Delay
	}
	return s, nil
}

// Next is the first window after a moment; zero if there is none in the next five years.
func (s Schedule) Next(after time.Time) time.Time {
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

// Same reports whether two schedules have the same windows, however they are written.
func (s Schedule) Same(other Schedule) bool {
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

// Follow is the first window of a schedule that takes the place of another one, whose next window would have been nextAt. Real time goes on
// from the old one's last window: were it counted from now, two definitions that take turns faster than they are due would never be.
func (s Schedule) Follow(old Schedule, nextAt, now time.Time) time.Time {
	next := s.Next(now)
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

// Due returns the newest windows, at most limit, oldest first, of those from the window first on that are not after now.
func (s Schedule) Due(first, now time.Time, limit int) []time.Time {
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
			start = s.Next(cut)
		}
		var windows []time.Time
		for at := start; !at.IsZero() && !at.After(now); at = s.Next(at) {
			windows = append(windows, at)
		}
		if len(windows) >= limit || start.Equal(first) || span > 40*365*24*time.Hour {
			return windows[max(0, len(windows)-limit):]
		}
	}
}

// Key names a window within its trigger so that no clock change, parser or second scheduler can fire it twice.
func (s Schedule) Key(window time.Time) string {
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
func (s Schedule) instant(wall time.Time) time.Time {
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
