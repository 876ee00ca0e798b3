package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// profileFor is how long a contender is profiled.
const profileFor = 6 * time.Second

// measureProfile writes profiles of this process while squidmesh is under load, of its CPU time and, beside them, of what it allocated;
// and reports what a step cost meanwhile. The server's side is seen with -top, or with perf.
func measureProfile(ctx context.Context, l *lab) error {
	if l.profile == "" {
		return errors.New("name a file with -cpuprofile")
	}
	cpu, err := os.Create(l.profile)
	if err != nil {
		return err
	}
	defer cpu.Close()
	allocs, err := os.Create(l.profile + ".allocs")
	if err != nil {
		return err
	}
	defer allocs.Close()
	runtime.MemProfileRate = 8 << 10
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	s, err := l.measure(ctx, cell{
		name: "profile", open: l.open(byMesh, headline.steps), concurrency: headline.concurrency, window: profileFor, patient: profileFor,
	})
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	if err := pprof.Lookup("allocs").WriteTo(allocs, 0); err != nil {
		return fmt.Errorf("write %s: %w", allocs.Name(), err)
	}
	l.report.say("%s  %8.0f steps/s", headline, s.rate)
	s.costs.over(s.steps).put(l.report, "cost."+headline.String(), byMesh)
	return nil
}
