package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// measureIdle counts what a process says to the database while there is nothing to do. The runtime and River have pools of
// their own here, so that they can be told apart.
func measureIdle(ctx context.Context, l *lab) error {
	s, err := l.postgres(ctx)
	if err != nil {
		return err
	}
	ours := &meter{}
	pool, err := l.connect(ctx, l.conns, ours)
	if err != nil {
		return err
	}
	defer pool.Close()
	s.store = pgstore.New(pool, nil)
	riverOnly, err := l.connect(ctx, l.conns, s.meter)
	if err != nil {
		return err
	}
	defer riverOnly.Close()
	s.driver = riverpgxv5.New(riverOnly)

	m, err := openMesh(ctx, s, meshOptions{workflow: signalling(0, func(string) {}), count: &atomic.Int64{}})
	if err != nil {
		return err
	}
	defer m.close()
	if err := sleep(ctx, 1500*time.Millisecond); err != nil { // the election of River's leader, and a first tick
		return err
	}
	window := pick(l.options, 4*time.Second, 12*time.Second)
	statements, controls, trips, river := ours.statements.Load(), ours.controls.Load(), ours.trips.Load(), s.meter.statements.Load()
	cpu, _ := clientCPU()
	if err := sleep(ctx, window); err != nil {
		return err
	}
	rate := func(now, was int64) float64 { return float64(now-was) / window.Seconds() }
	l.report.atMost(2, "idle.squidmesh.statements", rate(ours.statements.Load(), statements), "1/s")
	l.report.add("idle.squidmesh.controls", rate(ours.controls.Load(), controls), "1/s")
	l.report.add("idle.squidmesh.round_trips", rate(ours.trips.Load(), trips), "1/s")
	l.report.add("idle.river.statements", rate(s.meter.statements.Load(), river), "1/s")
	if now, ok := clientCPU(); ok {
		l.report.add("idle.process.cpu", 100*float64(now-cpu)/float64(window), "% of a core")
	}
	return nil
}
