package main

import (
	"context"
	"time"
)

// far is a distance between worker and database at which round trips are what counts, as between two cities.
const far = 10 * time.Millisecond

// measureDistance repeats the headline, and a run alone, with a network of 10 ms between the program and the database.
func measureDistance(ctx context.Context, l *lab) error {
	l.away = far
	defer func() { l.away = 0 }()
	for _, by := range []string{byChain, byMesh} {
		s, err := l.measure(ctx, cell{
			name: by + ".far", open: l.open(by, headline.steps), concurrency: headline.concurrency,
			window: l.window, patient: pick(l.options, 4*time.Second, 10*time.Second),
		})
		if err != nil {
			return err
		}
		l.report.put("distance_10ms."+headline.String(), by, "rate", s.rate, "steps/s")
		l.report.put("distance_10ms."+headline.String(), by, "run.p50", quantile(milliseconds(s.runs...), 0.5), "ms")
		l.report.say("10 ms away: %-28s %8.0f steps/s", by, s.rate)
	}
	took, err := l.lone(ctx, byMesh)
	if err != nil {
		return err
	}
	l.report.add("distance_10ms.lone.run_of_10."+byMesh, median(took.runs), "ms")
	return nil
}
