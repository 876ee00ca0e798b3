package dbtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// BenchmarkStore benchmarks the hot path of a store: what a claim loads, and what a commit of one or many runs costs.
func BenchmarkStore[TTx any](b *testing.B, store driver.Store[TTx]) {
	ledger := NewLedger(b, store)
	b.Run("Load", func(b *testing.B) {
		run := ledger.Start(b, 1)[0]
		for range 10 {
			ledger.Advance(b, []*Account{run})
		}
		b.Run("reads=step", func(b *testing.B) { ledger.load(b, run, flow.Reads{Steps: []flow.StepKey{run.step()}}) })
		b.Run("reads=input", func(b *testing.B) { ledger.load(b, run, flow.Reads{Outputs: []string{"step5"}, Payload: true}) })
		b.Run("reads=all", func(b *testing.B) { ledger.load(b, run, flow.Reads{All: true}) })
	})
	b.Run("Apply", func(b *testing.B) {
		for _, n := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("runs=%d", n), func(b *testing.B) { ledger.apply(b, n) })
		}
	})
}

func (l *Ledger[TTx]) load(b *testing.B, a *Account, reads flow.Reads) {
	l.inTx(b, func(ctx context.Context, tx TTx) error {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.store.Load(ctx, tx, map[squidmesh.RunID]flow.Reads{a.snap.Run.ID: reads}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *Ledger[TTx]) apply(b *testing.B, n int) {
	runs := l.Start(b, n)
	b.ReportAllocs()
	for b.Loop() {
		if runs[0].at == LedgerSteps-1 {
			b.StopTimer()
			runs = l.Start(b, n)
			b.StartTimer()
		}
		l.Advance(b, runs)
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "steps/s")
}
