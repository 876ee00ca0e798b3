//go:build squidmesh_lever

package main

import (
	"context"

	"github.com/squidmesh/squidmesh-go/internal/lever"
)

func init() { groups = append(groups, group{"levers", measureLevers}) }

// measureLevers switches one optimization off at a time and reports the rate as a part of that with all of them on, round by round.
func measureLevers(ctx context.Context, l *lab) error {
	rates := map[string][]float64{}
	lone := map[string][]float64{}
	for round := range l.rounds {
		for _, off := range append([]string{""}, lever.All...) {
			lever.Switch()
			if off != "" {
				lever.Switch(off)
			}
			s, err := l.measure(ctx, cell{
				name: "without_" + off, open: l.open(byMesh, headline.steps), concurrency: headline.concurrency, window: l.window, patient: l.patient,
			})
			if err != nil {
				return err
			}
			runs, _, err := l.lone(ctx, byMesh)
			if err != nil {
				return err
			}
			rates[off], lone[off] = append(rates[off], s.rate), append(lone[off], median(runs))
			l.report.say("round %d  without %-10s %8.0f steps/s, a run alone %.1f ms", round+1, off, s.rate, median(runs))
		}
	}
	lever.Switch()
	for _, off := range lever.All {
		l.report.put("levers", "without_"+off, "steps_per_second", ratio(rates[off], rates[""]), "x")
		l.report.put("levers", "without_"+off, "run_alone", ratio(lone[off], lone[""]), "x")
	}
	return nil
}

// ratio compares round by round.
func ratio(of, to []float64) float64 {
	var ratios []float64
	for i := range of {
		ratios = append(ratios, of[i]/to[i])
	}
	return median(ratios)
}
