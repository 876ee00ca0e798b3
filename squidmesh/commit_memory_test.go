package squidmesh

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// What is remembered of runs has bounds: in each, in all, and in their number. What goes over them is forgotten, and loaded again.
func TestCarrier_HasBounds(t *testing.T) {
	t.Parallel()

	remember := func(c *runMemories, bytes int) RunID {
		run := Run{ID: uuid.New(), Status: RunRunning, Version: 1}
		memory := newRunMemory(make(json.RawMessage, bytes))
		memory.version = run.Version
		c.put(run, memory)
		c.put(run, memory) // again, as after each step
		return run.ID
	}
	var c runMemories
	const size = 60_000
	for range 2_000 {
		remember(&c, size-memoryBytes)
		require.LessOrEqual(t, c.bytes, maxCarriedAltogether)
	}
	require.Len(t, c.runs, maxCarriedAltogether/size)
	require.Equal(t, len(c.runs)*size, c.bytes)

	last := remember(&c, size-memoryBytes)
	require.True(t, c.take(Run{ID: last, Version: 1}).all)
	require.False(t, c.take(Run{ID: last, Version: 1}).all, "it was taken")
	tooLarge := remember(&c, maxCarriedBytes-memoryBytes+1)
	require.False(t, c.take(Run{ID: tooLarge, Version: 1}).all)

	c = runMemories{}
	for range maxCarried + 10 {
		remember(&c, 1)
	}
	require.Len(t, c.runs, maxCarried)
	for id := range c.runs {
		c.take(Run{ID: id, Version: 1})
	}
	require.Zero(t, c.bytes)
}

// What is counted of a memory is about what it takes, however its rows came into it.
func TestCarried_CountsWhatItTakes(t *testing.T) { // not in parallel: the heap is everybody's
	for name, fill := range map[string]func(c *runMemory, n int){
		"rows that were written": func(c *runMemory, n int) { c.apply(flow.Transition{Steps: manyRows(n)}) },
		"rows that were loaded and written": func(c *runMemory, n int) {
			loaded := driver.Loaded{Steps: map[flow.StepKey]flow.StepState{}}
			var reads flow.Reads
			for _, row := range manyRows(n) {
				loaded.Steps[row.StepKey] = row.StepState
				reads.Steps = append(reads.Steps, row.StepKey)
			}
			c.add(reads, loaded)
			c.apply(flow.Transition{Steps: manyRows(n)})
			c.apply(flow.Transition{Steps: manyRows(n)})
		},
		"rows that are not there": func(c *runMemory, n int) {
			var reads flow.Reads
			for _, row := range manyRows(n) {
				reads.Steps = append(reads.Steps, row.StepKey)
			}
			c.add(reads, driver.Loaded{})
		},
		"outputs": func(c *runMemory, n int) {
			loaded := driver.Loaded{Outputs: map[string]json.RawMessage{}}
			var reads flow.Reads
			for _, row := range manyRows(n) {
				loaded.Outputs[row.Name] = json.RawMessage(`{"amount":100}`)
				reads.Outputs = append(reads.Outputs, row.Name)
			}
			c.add(reads, loaded)
		},
		"outputs that are not there": func(c *runMemory, n int) {
			var reads flow.Reads
			for _, row := range manyRows(n) {
				reads.Outputs = append(reads.Outputs, row.Name)
			}
			c.add(reads, driver.Loaded{})
		},
	} {
		for _, steps := range []int{1, 10, 1_000} {
			before := heapBytes()
			counted := 0
			all := make([]*runMemory, 20_000/steps)
			for i := range all {
				all[i] = emptyRunMemory()
				fill(all[i], steps)
				counted += all[i].size()
			}
			taken := int(heapBytes() - before)
			runtime.KeepAlive(all)
			t.Logf("%d %s: counted %d bytes, took %d", steps, name, counted/len(all), taken/len(all))
			require.Greater(t, counted, taken*2/3, name)
			require.Less(t, counted, 2*taken+2*memoryBytes*len(all), name)
		}
	}
}

// manyRows are rows as a store reads them: each with texts of its own.
func manyRows(n int) []flow.StepChange {
	all := make([]flow.StepChange, n)
	for i := range all {
		all[i].StepState = flow.StepState{
			StepKey: flow.StepKey{Name: fmt.Sprintf("step_number_%d", i), Phase: flow.Phase(strings.Clone("do"))},
			Status:  flow.StepStatus(strings.Clone("scheduled")), JobID: fmt.Sprint(1_000_000 + i), Queue: strings.Clone("default"),
		}
	}
	return all
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A run of the largest workflow is remembered, all of whose steps have completed and been undone.
func TestCarrier_RemembersTheLargestWorkflow(t *testing.T) {
	t.Parallel()

	run := Run{ID: uuid.New(), Status: RunRunning, Version: 1}
	memory := newRunMemory(json.RawMessage("{}"))
	written := flow.Transition{Run: run, Steps: manyRows(maxSteps)}
	for _, row := range manyRows(maxSteps) {
		row.Phase = flow.PhaseUndo
		written.Steps = append(written.Steps, row)
	}
	memory.apply(written)
	require.Len(t, memory.rows, 2*maxSteps)
	var c runMemories
	c.put(run, memory)
	require.Same(t, memory, c.take(run))
}

// With what is too large, or has ended, goes what was remembered of the run before.
func TestCarrier_ForgetsWhatIsOutdated(t *testing.T) {
	t.Parallel()

	for name, last := range map[string]struct {
		status RunStatus
		bytes  int
	}{
		"ended":     {RunCompleted, 1},
		"too large": {RunRunning, maxCarriedBytes},
	} {
		var c runMemories
		run := Run{ID: uuid.New(), Status: RunRunning}
		c.put(run, newRunMemory(json.RawMessage("{}")))
		require.Len(t, c.runs, 1)
		run.Status = last.status
		c.put(run, newRunMemory(make(json.RawMessage, last.bytes)))
		require.Empty(t, c.runs, name)
		require.Zero(t, c.bytes, name)
	}
}
