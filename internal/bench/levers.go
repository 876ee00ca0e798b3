//go:build squidmesh_lever

package main

import (
	"context"
	"errors"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/lever"
)

func init() { groups = append(groups, group{"levers", measureLevers}) }

// measureLevers switches one optimization off at a time and reports the rate as a part of that with all of them on: for one run at a time,
// for few, and for many.
func measureLevers(ctx context.Context, l *lab) error {
	for _, concurrency := range []int{1, 2, 4, 10, headline.concurrency} {
		at, ratios := size{headline.steps, concurrency}, map[string][]float64{}
		for range l.rounds {
			if err := l.switchInTurns(ctx, at, ratios); err != nil {
				return err
			}
		}
		for _, off := range lever.All {
			l.report.say("%-15s without %-10s %.2f, half of them %.2f to %.2f", at, off, median(ratios[off]), quantile(ratios[off], 0.25),
				quantile(ratios[off], 0.75))
			l.report.put("levers", "without_"+off, at.String()+".rate", median(ratios[off]), "x")
		}
	}
	return nil
}

// switchInTurns keeps runs in flight and switches under them, since the rates of two loads differ by more than most levers are worth.
func (l *lab) switchInTurns(ctx context.Context, at size, ratios map[string][]float64) (err error) {
	defer lever.Switch()
	who, err := l.open(byMesh, at.steps)(ctx)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	work := &load{contender: who}
	work.keep(inner, at.concurrency)
	defer func() {
		work.drain(cancel)
		_, failed := work.ended()
		err = errors.Join(err, failed, who.close())
	}()
	if err := sleep(ctx, l.warm); err != nil {
		return err
	}
	if err := l.analyze(ctx); err != nil {
		return err
	}
	const turns = 8
	for turn := range turns {
		for _, off := range lever.All {
			rates := map[bool]float64{}
			for _, on := range []bool{turn%2 == 0, turn%2 != 0} {
				lever.Switch()
				if !on {
					lever.Switch(off)
				}
				if rates[on], err = l.rateOf(ctx, who); err != nil {
					return err
				}
			}
			ratios[off] = append(ratios[off], rates[false]/rates[true])
		}
	}
	return nil
}

// rateOf counts steps for a while, once what was in flight has ended.
func (l *lab) rateOf(ctx context.Context, who contender) (float64, error) {
	if err := sleep(ctx, l.window/20); err != nil {
		return 0, err
	}
	begun, steps := time.Now(), who.steps()
	err := sleep(ctx, l.window/3)
	return float64(who.steps()-steps) / time.Since(begun).Seconds(), err
}
