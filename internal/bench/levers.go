//go:build squidmesh_lever

package main

import (
	"context"

	"github.com/squidmesh/squidmesh-go/internal/lever"
)

func init() { groups = append(groups, group{"levers", measureLevers}) }

// measureLevers switches one optimization off at a time and reports the rate as a part of that with all of them on, round by round: for
// one run at a time, for some, and for many.
func measureLevers(ctx context.Context, l *lab) error {
	for _, concurrency := range []int{1, 10, headline.concurrency} {
		at := size{headline.steps, concurrency}
		rates := map[string][]float64{}
		for round := range l.rounds {
			for _, off := range append([]string{""}, lever.All...) {
				lever.Switch()
				if off != "" {
					lever.Switch(off)
				}
				s, err := l.measure(ctx, cell{
					name: "without_" + off, open: l.open(byMesh, at.steps), concurrency: concurrency, window: l.window, patient: l.patient,
				})
				if err != nil {
					return err
				}
				rates[off] = append(rates[off], s.rate)
				l.report.say("round %d  %-15s without %-10s %8.0f steps/s", round+1, at, off, s.rate)
			}
		}
		lever.Switch()
		for _, off := range lever.All {
			l.report.put("levers", "without_"+off, at.String()+".rate", ratio(rates[off], rates[""]), "x")
		}
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
