package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/internal/bulk"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// measureWaits measures what pending waits cost: the CPU time of a process with nothing else to do, and of the server, with a million runs
// that wait, and without any. Half of them are due within a day and have a job, which waits in River; the others have none yet, and come
// within a day of their time at the rate at which a million waits of a month do.
func measureWaits(ctx context.Context, l *lab) error {
	if l.postmaster == 0 {
		l.report.say("waits: the server's CPU time cannot be read here")
		return nil
	}
	soon, far := signalling(23*time.Hour, nil), signalling(30*24*time.Hour, nil)
	s, err := l.postgres(ctx)
	if err != nil {
		return err
	}
	m, err := openMesh(ctx, s, meshOptions{workflow: soon, others: []squidmesh.Workflow{far}, count: &atomic.Int64{}})
	if err != nil {
		return err
	}
	defer m.close()
	alone, err := l.idleCPU(ctx, "no waits")
	if err != nil {
		return err
	}
	waits := pick(l.options, 100_000, 1_000_000)
	began := time.Now()
	if err := l.insertWaits(ctx, m, far.Name, waits); err != nil {
		return err
	}
	l.report.say("inserted %d waits in %s", waits, time.Since(began).Round(time.Second))
	with, err := l.idleCPU(ctx, fmt.Sprintf("%d waits", waits))
	if err != nil {
		return err
	}
	name := fmt.Sprintf("waits.cpu_with_%d", waits)
	l.report.atMost(3, name, with.total(), "% of a core")
	l.report.add(name+".client", with.client, "% of a core")
	l.report.add(name+".server", with.server, "% of a core")
	l.report.add("waits.cpu_with_none", alone.total(), "% of a core")
	return nil
}

// insertWaits makes a run of each kind, and copies of them.
func (l *lab) insertWaits(ctx context.Context, m *mesh[pgx.Tx], far string, waits int) error {
	half := waits / 2
	first, err := m.begin(ctx, payload())
	if err != nil {
		return err
	}
	// From an hour on, so that none comes up while it is measured.
	due := fmt.Sprintf("clock_timestamp() + interval '1 hour' + n * interval '22 hours' / %d", half)
	changes, err := bulk.CopyJob(ctx, l.watch, first, half-1, bulk.Changes{"squidmesh_step.due_at": due, "river_job.scheduled_at": due})
	if err != nil {
		return err
	}
	if err := bulk.Copy(ctx, l.watch, first, half-1, changes); err != nil {
		return err
	}
	run, err := m.rt.StartRun(ctx, squidmesh.StartParams{Workflow: far, Payload: order{payload()}})
	if err != nil {
		return err
	}
	err = bulk.Copy(ctx, l.watch, run.ID, waits-half-1, bulk.Changes{
		"squidmesh_step.due_at": fmt.Sprintf("clock_timestamp() + interval '1 day' + n * interval '29 days' / %d", waits-half),
	})
	if err != nil {
		return err
	}
	// What such an insert leaves to the background would be measured otherwise.
	for _, sql := range []string{"vacuum (analyze)", "checkpoint"} {
		if _, err := l.watch.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// idle is the CPU time of doing nothing, in percent of a core.
type idle struct{ client, server float64 }

func (i idle) total() float64 { return i.client + i.server }

// idleCPU measures an open mesh that has nothing to do.
func (l *lab) idleCPU(ctx context.Context, name string) (idle, error) {
	// River's leader is elected after seconds, and looks at all jobs first.
	if err := sleep(ctx, pick(l.options, 3*time.Second, 6*time.Second)); err != nil {
		return idle{}, err
	}
	l.resetTop(ctx)
	client, _ := clientCPU()
	server, began := serverCPU(l.postmaster), time.Now()
	if err := sleep(ctx, pick(l.options, 4*time.Second, 20*time.Second)); err != nil {
		return idle{}, err
	}
	now, _ := clientCPU()
	window := float64(time.Since(began))
	used := idle{100 * float64(now-client) / window, 100 * float64(serverCPU(l.postmaster)-server) / window}
	return used, l.printTop(ctx, name)
}
