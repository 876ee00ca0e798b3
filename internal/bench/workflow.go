package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

func workflow(name string, steps ...squidmesh.Step) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: name, Steps: steps,
		Triggers: []squidmesh.Trigger{squidmesh.Manual("bench", squidmesh.Payload[order]())},
	}
}

// line is a spine of steps, each of which passes on the 256 bytes that the one before it has written.
func line(length int, count *atomic.Int64) squidmesh.Workflow {
	steps := make([]squidmesh.Step, length)
	key := "data"
	for i := range steps {
		read, write := key, fmt.Sprintf("data%d", i)
		steps[i] = squidmesh.Step{
			Name: fmt.Sprintf("step%d", i), Input: []string{read}, Output: write,
			Do: squidmesh.Func(func(_ context.Context, in map[string]string) (string, error) {
				count.Add(1)
				return in[read], nil
			}),
		}
		if i > 0 {
			steps[i-1].Next = steps[i].Name
		}
		key = write
	}
	return workflow(fmt.Sprintf("line%d", length), steps...)
}

// counted is a step that only counts itself.
func counted(name string, count *atomic.Int64, after ...string) squidmesh.Step {
	return squidmesh.Step{Name: name, After: after, Do: squidmesh.Effect(func(context.Context, order) error {
		count.Add(1)
		return nil
	})}
}

// layered is a block of layers of eight steps, each of which waits for the whole layer before it. The block counts as a step.
func layered(size int, count *atomic.Int64) squidmesh.Workflow {
	const width = 8
	var steps []squidmesh.Step
	var before, layer []string
	for i := range size - 1 {
		if i%width == 0 {
			before, layer = layer, nil
		}
		step := counted(fmt.Sprintf("step%d", i), count, before...)
		steps = append(steps, step)
		layer = append(layer, step.Name)
	}
	return workflow(fmt.Sprintf("layered%d", size), squidmesh.Step{Name: "graph", Parallel: steps})
}

// fan is a fan-out into one join.
func fan(width int, count *atomic.Int64) squidmesh.Workflow {
	var steps []squidmesh.Step
	var names []string
	for i := range width {
		step := counted(fmt.Sprintf("step%d", i), count)
		steps = append(steps, step)
		names = append(names, step.Name)
	}
	steps = append(steps, counted("join", count, names...))
	return workflow(fmt.Sprintf("fan%d", width), squidmesh.Step{Name: "graph", Parallel: steps})
}

// signalling calls back with its payload, at once or after a durable wait.
func signalling(wait time.Duration, called func(data string)) squidmesh.Workflow {
	last := squidmesh.Step{Name: "signal", Do: squidmesh.Effect(func(_ context.Context, in order) error {
		called(in.Data)
		return nil
	})}
	if wait == 0 {
		return workflow("signal", last)
	}
	return workflow(fmt.Sprintf("wait%d", wait.Milliseconds()), squidmesh.Step{Name: "wait", Do: squidmesh.Wait(wait), Next: "signal"}, last)
}
