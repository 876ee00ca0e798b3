package main

import (
	"context"
	"fmt"
)

// measureSQLite measures the same on SQLite, which has one writer.
func measureSQLite(ctx context.Context, l *lab) error {
	type entry struct {
		by string
		at size
	}
	entries := []entry{
		{byChain, headline},
		{byHops, headline},
		{byMesh, headline},
		{byMesh, size{10, 1}},
		{byMesh, size{10, 10}},
	}
	if l.quick {
		entries = entries[:3]
	}
	rates := map[entry][]float64{}
	for round := range pick(l.options, 1, l.rounds) {
		for _, e := range entries {
			name := fmt.Sprintf("sqlite.%s.%s", e.by, e.at)
			s, err := l.measure(ctx, cell{
				name: name, concurrency: e.at.concurrency, window: l.window / 2, patient: l.window / 2,
				open: func(ctx context.Context) (contender, error) {
					site, err := l.sqlite(ctx)
					if err != nil {
						return nil, err
					}
					return openAny(ctx, site, e.by, e.at.steps)
				},
			})
			if err != nil {
				return err
			}
			l.report.say("round %d  %-28s %8.0f steps/s", round+1, name, s.rate)
			rates[e] = append(rates[e], s.rate)
		}
	}
	for _, e := range entries {
		l.report.put("sqlite", e.by, e.at.String()+".rate", median(rates[e]), "steps/s")
	}
	return nil
}
