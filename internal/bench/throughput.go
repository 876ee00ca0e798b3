package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// The contenders that work runs of steps.
const (
	byChain = "chain"
	byHops  = "squidmesh_hops" // without continuation: every step a River job
	byMesh  = "squidmesh"
)

var contenders = []string{byChain, byHops, byMesh}

// size is how long runs are, and how many of them are kept in flight.
type size struct{ steps, concurrency int }

func (s size) String() string { return fmt.Sprintf("steps%d.at%d", s.steps, s.concurrency) }

// headline is the size that the goals are about; long is what the cost of one more step is found with.
var headline, long = size{10, 100}, size{100, 100}

// open opens one of the contenders on PostgreSQL.
func (l *lab) open(by string, steps int) func(context.Context) (contender, error) {
	return func(ctx context.Context) (contender, error) {
		s, err := l.postgres(ctx)
		if err != nil {
			return nil, err
		}
		return openAny(ctx, s, by, steps)
	}
}

func openAny[TTx any](ctx context.Context, s *site[TTx], by string, steps int) (contender, error) {
	if by == byChain {
		return openChain(ctx, s, steps)
	}
	count := &atomic.Int64{}
	return openMesh(ctx, s, meshOptions{workflow: line(steps, count), count: count, hop: by == byHops})
}

// throughput is what the contenders did at every size, round by round.
type throughput struct {
	*lab
	samples map[string]map[size][]sample
	burn    []float64 // jobs a second of River alone
	bulk    []float64 // the same, counting the time that it took to insert them
}

// measureThroughput lets the contenders take turns at every size.
func measureThroughput(ctx context.Context, l *lab) error {
	var sizes []size
	for _, steps := range []int{1, 10, 100} {
		for _, concurrency := range []int{1, 10, 100} {
			sizes = append(sizes, size{steps, concurrency})
		}
	}
	if l.quick {
		sizes = []size{headline, long}
	}
	t := &throughput{lab: l, samples: map[string]map[size][]sample{}}
	for _, by := range contenders {
		t.samples[by] = map[size][]sample{}
	}
	for round := range l.rounds {
		if err := t.river(ctx, round); err != nil {
			return err
		}
		for _, at := range sizes {
			for _, by := range contenders {
				if l.quick && at == long && by != byMesh {
					continue
				}
				if err := t.cell(ctx, round, by, at); err != nil {
					return err
				}
			}
		}
	}
	t.goals()
	for _, at := range sizes {
		for _, by := range contenders {
			t.rest(by, at)
		}
	}
	t.continued()
	t.lab.report.add("throughput.river_alone.burn_down", median(t.burn), "jobs/s")
	t.lab.report.add("throughput.river_alone.with_inserts", median(t.bulk), "jobs/s")
	return nil
}

func (t *throughput) cell(ctx context.Context, round int, by string, at size) error {
	name := fmt.Sprintf("%s.%s", by, at)
	patient := t.patient
	if at.concurrency < headline.concurrency {
		patient = 2 * t.window // chains that wait for polls would take half a minute a run
	}
	s, err := t.measure(ctx, cell{
		name: name, open: t.open(by, at.steps), concurrency: at.concurrency, window: t.window, patient: patient,
	})
	if err != nil {
		return err
	}
	t.lab.report.say("round %d  %-28s %8.0f steps/s", round+1, name, s.rate)
	t.samples[by][at] = append(t.samples[by][at], s)
	return nil
}

func (t *throughput) river(ctx context.Context, round int) error {
	burn, bulk, err := t.burnDown(ctx)
	if err != nil {
		return fmt.Errorf("river alone: %w", err)
	}
	t.lab.report.say("round %d  %-28s %8.0f jobs/s", round+1, "river_alone", burn)
	t.burn, t.bulk = append(t.burn, burn), append(t.bulk, bulk)
	return nil
}

func (t *throughput) rates(by string, at size) []float64 {
	var rates []float64
	for _, s := range t.samples[by][at] {
		rates = append(rates, s.rate)
	}
	return rates
}

// goals compares round by round, since machines have moods.
func (t *throughput) goals() {
	ratio := func(name string, goal float64, of, to []float64) {
		var ratios []float64
		for i := range of {
			ratios = append(ratios, of[i]/to[i])
		}
		t.lab.report.atLeast(goal, "throughput.ratio."+name, median(ratios), "x")
	}
	ratio("squidmesh_to_chain", 12, t.rates(byMesh, headline), t.rates(byChain, headline))
	ratio("squidmesh_hops_to_chain", 4, t.rates(byHops, headline), t.rates(byChain, headline))
	ratio("squidmesh_to_river_alone", 1.5, t.rates(byMesh, headline), t.burn)
}

// each is the median of the costs per step.
func (t *throughput) each(by string, at size) costs {
	var all []costs
	for _, s := range t.samples[by][at] {
		all = append(all, s.costs.over(s.steps))
	}
	return medianCosts(all)
}

// continued reports what one more step costs in a run that goes on by itself, which is what is left when the costs of starting a
// run are taken away. Two lengths of runs give two equations: cost = steps * step + starts * start.
func (t *throughput) continued() {
	var all []costs
	for i, short := range t.samples[byMesh][headline] {
		longer := t.samples[byMesh][long][i]
		det := short.steps*longer.starts - longer.steps*short.starts
		if det == 0 { // too slow for any run to have been started meanwhile
			all = append(all, longer.costs.over(longer.steps))
			continue
		}
		step := costs{}
		for name, value := range short.costs {
			step[name] = (value*longer.starts - longer.costs[name]*short.starts) / det
		}
		all = append(all, step)
	}
	step, r := medianCosts(all), t.lab.report
	if hot, ok := step["hot_updates"]; ok {
		step["hot_share"] = 100 * hot / step["updates"]
		delete(step, "hot_updates")
	}
	grid, column := "cost."+headline.String(), "continued_step"
	budget := func(add func(float64, string, float64, string), goal float64, name, unit string) {
		if value, ok := step[name]; ok {
			add(goal, grid+"."+column+"."+name, value, unit)
			r.place(grid, column, name)
			delete(step, name)
		}
	}
	budget(r.atMost, 0.5, "round_trips", "1/step")
	budget(r.atMost, 0.1, "commits", "1/step")
	budget(r.atMost, 4, "row_versions", "1/step")
	budget(r.atMost, 2.2, "index_entries", "1/step")
	budget(r.atMost, 1500, "wal", "B/step")
	budget(r.atLeast, 85, "hot_share", "%")
	if each, ok := t.each(byMesh, headline)["wal"]; ok {
		r.atMost(2000, grid+"."+byMesh+".wal", each, "B/step")
		r.place(grid, byMesh, "wal")
	}
	step.put(r, grid, column)
}

// rest reports what has no goal.
func (t *throughput) rest(by string, at size) {
	samples := t.samples[by][at]
	if len(samples) == 0 {
		return
	}
	var runs []time.Duration
	for _, s := range samples {
		runs = append(runs, s.runs...)
	}
	r, name := t.lab.report, at.String()
	r.put("throughput", by, name+".rate", median(t.rates(by, at)), "steps/s")
	if ms := milliseconds(runs...); len(ms) > 0 {
		r.put("throughput", by, name+".run.p50", quantile(ms, 0.5), "ms")
		r.put("throughput", by, name+".run.p99", quantile(ms, 0.99), "ms")
	}
	if at.concurrency == headline.concurrency {
		each := t.each(by, at)
		if by == byMesh && at == headline {
			delete(each, "wal") // stands among the goals
		}
		each.put(r, "cost."+name, by)
	}
}
