package schedule

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func instantOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

// On the nights of a clock change a wall time that does not exist fires once, at the change, and one that comes twice fires once.
func TestSchedule_ClockChanges(t *testing.T) {
	t.Parallel()
	const berlin, newYork = "Europe/Berlin", "America/New_York"
	for name, tc := range map[string]struct {
		expression, zone, from string
		want                   []string // in UTC
	}{
		"Berlin, 02:30 does not exist": {"30 2 * * *", berlin, "2026-03-28T00:00:00Z", []string{
			"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z",
		}},
		"Berlin, 02:30 comes twice": {"30 2 * * *", berlin, "2026-10-24T00:00:00Z", []string{
			"2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z",
		}},
		"New York, 02:30 does not exist": {"30 2 * * *", newYork, "2026-03-07T00:00:00Z", []string{
			"2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z",
		}},
		"New York, 01:30 comes twice": {"30 1 * * *", newYork, "2026-10-31T00:00:00Z", []string{
			"2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z",
		}},
		"Berlin, four skipped quarters are one": {"*/15 * * * *", berlin, "2026-03-29T00:30:00Z", []string{
			"2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z",
		}},
		"Berlin, an hour that comes twice": {"*/30 * * * *", berlin, "2026-10-25T00:00:00Z", []string{
			"2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z",
		}},
		"Berlin, asked within the second pass": {"30 2 * * *", berlin, "2026-10-25T01:10:00Z", []string{"2026-10-26T01:30:00Z"}},
		"Berlin, real time":                    {"@every 1h", berlin, "2026-10-25T00:10:00Z", []string{"2026-10-25T01:10:00Z", "2026-10-25T02:10:00Z"}},
		"Lord Howe, half an hour is skipped":   {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", []string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
		"Apia, a whole day is skipped":         {"0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", []string{"2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"}},
		"midnight does not exist":              {"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		"Lord Howe, half an hour comes twice": {"45 1 * * *", "Australia/Lord_Howe", "2026-04-03T15:00:00Z", []string{
			"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z",
		}},
		"Lord Howe, every quarter": {"*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:30:00Z", []string{
			"2026-04-04T14:45:00Z", "2026-04-04T15:30:00Z", "2026-04-04T15:45:00Z",
		}},
		"Lord Howe, real time": {"@every 15m", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", []string{
			"2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z", "2026-04-04T15:30:00Z",
		}},
		"Sao Paulo, the hour before midnight comes twice": {"30 23 * * *", "America/Sao_Paulo", "2019-02-16T00:00:00Z", []string{
			"2019-02-16T01:30:00Z", "2019-02-17T01:30:00Z", "2019-02-18T02:30:00Z",
		}},
		"Sao Paulo, @daily whose midnight does not exist": {"@daily", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []string{
			"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z",
		}},
		"New York, every hour in spring": {"0 * * * *", newYork, "2026-03-08T06:00:00Z", []string{
			"2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z",
		}},
		"New York, every hour in autumn": {"0 * * * *", newYork, "2026-11-01T04:30:00Z", []string{
			"2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z",
		}},
		"New York, real time in spring": {"@every 1h", newYork, "2026-03-08T06:30:00Z", []string{
			"2026-03-08T07:30:00Z", "2026-03-08T08:30:00Z",
		}},
		"Apia, every hour of a skipped day": {"0 * * * *", "Pacific/Apia", "2011-12-30T08:30:00Z", []string{
			"2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T11:00:00Z",
		}},
		"Apia, a Friday that does not exist": {"0 12 * * 5", "Pacific/Apia", "2011-12-29T00:00:00Z", []string{
			"2011-12-30T10:00:00Z", "2012-01-05T22:00:00Z",
		}},
		"no zone": {"0 7 * * *", "", "2026-03-28T07:00:00Z", []string{"2026-03-29T07:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := New(tc.expression, tc.zone)
			require.NoError(t, err)
			keys := map[string]bool{}
			at := instantOf(t, tc.from)
			for _, want := range tc.want {
				at = s.Next(at)
				require.Equal(t, want, at.UTC().Format(time.RFC3339))
				require.False(t, keys[s.Key(at)], s.Key(at))
				keys[s.Key(at)] = true
			}
		})
	}
}

// Around any change, what is due is what somebody who watches the clock on the wall sees minute by minute: wall times that match, the
// first time that they are shown, and when the clock jumps, one window for all that it jumps over.
func TestSchedule_GoesByTheClockOnTheWall(t *testing.T) {
	t.Parallel()
	for zone, change := range map[string][]string{
		"Europe/Berlin":       {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
		"America/New_York":    {"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"},
		"Australia/Lord_Howe": {"2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"},
		"Pacific/Apia":        {"2011-09-24T14:00:00Z", "2011-12-30T10:00:00Z", "2012-03-31T14:00:00Z"},
		"America/Sao_Paulo":   {"2018-11-04T03:00:00Z", "2019-02-17T02:00:00Z"},
		"Asia/Kathmandu":      {"1985-12-31T18:30:00Z"},
	} {
		for _, expression := range []string{"* * * * *", "*/15 * * * *", "0 * * * *", "30 1 * * *", "30 2 * * *", "0 0 * * *", "30 23 * * *", "45 1,2 * * 0"} {
			s, err := New(expression, zone)
			require.NoError(t, err)
			for _, at := range change {
				middle := instantOf(t, at)
				from, to := middle.Add(-28*time.Hour), middle.Add(28*time.Hour)
				var want []time.Time
				shown := wallClock(middle.Add(-60 * time.Hour).In(s.zone)) // the latest so far
				for now := middle.Add(-59 * time.Hour); !now.After(to); now = now.Add(time.Minute) {
					wall := wallClock(now.In(s.zone))
					if !wall.After(shown) {
						continue // for the second time
					}
					if due := s.cron.Next(shown); !due.After(wall) && now.After(from) {
						want = append(want, now)
					}
					shown = wall
				}
				var got []time.Time
				keys := map[string]bool{}
				for next := s.Next(from); !next.After(to); next = s.Next(next) {
					got = append(got, next.UTC())
					keys[s.Key(next)] = true
				}
				require.Equal(t, want, got, "%s in %s around %s", expression, zone, at)
				require.Len(t, keys, len(got), "%s in %s around %s", expression, zone, at)
			}
		}
	}
}

// Whatever a scheduler thinks of a minute that comes twice, it has one key.
func TestSchedule_KeyOfARepeatedMinute(t *testing.T) {
	t.Parallel()
	s, err := New("30 2 * * *", "Europe/Berlin")
	require.NoError(t, err)
	first := instantOf(t, "2026-10-25T00:30:00Z")
	require.Equal(t, "2026-10-25T02:30 Europe/Berlin", s.Key(first))
	require.Equal(t, s.Key(first), s.Key(first.Add(time.Hour)))
}

// The newest windows are the same whether one counts from the beginning or looks from the end.
func TestSchedule_DueIsTheTailOfAllWindows(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"@every 7s", "* * * * *", "*/20 * * * *", "30 2 * * *", "0 0 1 * *", "0 0 29 2 *"} {
		s, err := New(expression, "Europe/Berlin")
		require.NoError(t, err)
		first := s.Next(instantOf(t, "2024-01-31T22:00:00Z"))
		for _, away := range []time.Duration{-time.Second, 0, time.Minute, 36 * time.Hour, 400 * 24 * time.Hour} {
			now := first.Add(away)
			var all []time.Time
			for at := first; !at.After(now) && away <= 36*time.Hour; at = s.Next(at) {
				all = append(all, at)
			}
			for _, limit := range []int{1, 3, 50} {
				due := s.Due(first, now, limit)
				if away <= 36*time.Hour {
					require.Len(t, due, min(limit, len(all)), "%s %s", expression, away)
				}
				for i, at := range due {
					if away <= 36*time.Hour {
						require.Equal(t, all[len(all)-len(due)+i].UTC(), at.UTC(), "%s %s", expression, away)
					}
				}
				if len(due) > 0 {
					require.True(t, s.Next(due[len(due)-1]).After(now), "%s %s", expression, away)
				}
			}
		}
	}
}

// What a row or a pinned definition says may have been written by anybody, and the error goes where only text can go.
func TestLoadZone_RepeatsWhatCanBeRead(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Mars/Base":               `"Mars/Base" is not`,
		"a\xff\x00":               `"a\xff\x00" is not`,
		strings.Repeat("x", 1000): `xxx..." is not`,
	} {
		_, err := New("@daily", name)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, ZonesHint)
		require.Less(t, len(err.Error()), 250)
		require.True(t, utf8.ValidString(err.Error()))
	}
}
