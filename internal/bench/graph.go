package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// measureGraph measures whether a step costs the same in a small graph and in a large one.
func measureGraph(ctx context.Context, l *lab) error {
	shapes := []struct {
		name string
		size int
		make func(int, *atomic.Int64) squidmesh.Workflow
	}{
		{"layered", 10, layered},
		{"layered", 100, layered},
		{"layered", 1000, layered},
		{"fan", 50, fan},
		{"fan", 500, fan},
	}
	rates := map[string][]float64{}
	cpu := map[string][]costs{}
	for round := range pick(l.options, 1, l.rounds) {
		for _, shape := range shapes {
			name := fmt.Sprintf("%s%d", shape.name, shape.size)
			s, err := l.measure(ctx, cell{
				name: name, concurrency: 4, window: l.window, patient: pick(l.options, 2500*time.Millisecond, 6*time.Second),
				open: func(ctx context.Context) (contender, error) {
					site, err := l.postgres(ctx)
					if err != nil {
						return nil, err
					}
					count := &atomic.Int64{}
					return openMesh(ctx, site, meshOptions{workflow: shape.make(shape.size, count), count: count})
				},
			})
			if err != nil {
				return err
			}
			l.report.say("round %d  graph %-22s %8.0f steps/s", round+1, name, s.rate)
			rates[name] = append(rates[name], s.rate)
			cpu[name] = append(cpu[name], s.costs.over(s.steps))
		}
	}
	dearer := func(large, small string) float64 { return median(rates[small]) / median(rates[large]) }
	l.report.atMost(2, "graph.step_of_100_to_step_of_10", dearer("layered100", "layered10"), "x")
	l.report.atMost(2, "graph.step_of_1000_to_step_of_10", dearer("layered1000", "layered10"), "x")
	l.report.atMost(2, "graph.fan_out_of_500_to_of_50", dearer("fan500", "fan50"), "x")
	for _, shape := range shapes {
		name := fmt.Sprintf("%s%d", shape.name, shape.size)
		l.report.put("graph", name, "rate", median(rates[name]), "steps/s")
		each := medianCosts(cpu[name])
		for _, cost := range []string{"server_cpu", "client_cpu"} {
			if value, ok := each[cost]; ok {
				l.report.put("graph", name, cost, value, "us/step")
			}
		}
	}
	return nil
}
