// Command soak runs squidmesh under load and tries to break it: it kills and freezes worker processes, at random and at the named
// points of package fault, restarts PostgreSQL under them, cuts their connections in the middle of a COMMIT, lets others die
// in silence, and decides and cancels at random. Then it heals everything, waits until all runs have ended, and compares what the database says with
// what an outside ledger saw. It prints one line of JSON; any violation is a failure.
//
//	go run -tags squidmesh_fault ./internal/soak -duration 90s -seed 7
//
// The orchestrator (soak.go) owns a PostgreSQL cluster of its own and a proxy in front of it, and starts this same program again as
// workers, which execute, and clients, which start runs and operate them.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/fault"
)

// options are the command line.
type options struct {
	duration time.Duration
	drain    time.Duration
	seed     uint64
	workers  int
	clients  int
	rate     float64
	fsync    bool
	keep     bool
	verbose  bool

	// Of processes that the orchestrator starts.
	role   string
	name   string
	ledger string
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "duration", 90*time.Second, "how long to break things")
	flag.DurationVar(&o.drain, "drain", 90*time.Second, "how long the healed system may take to end all runs")
	flag.Uint64Var(&o.seed, "seed", 0, "what decides everything random; 0 picks one")
	flag.IntVar(&o.workers, "workers", 4, "worker processes")
	flag.IntVar(&o.clients, "clients", 2, "client processes")
	flag.Float64Var(&o.rate, "rate", 6, "runs that each client starts a second")
	flag.BoolVar(&o.fsync, "fsync", false, "let PostgreSQL wait for the disk")
	flag.BoolVar(&o.keep, "keep", false, "keep the directory with database, ledgers and logs")
	flag.BoolVar(&o.verbose, "v", false, "tell what is done to the system")
	flag.StringVar(&o.role, "role", "", "worker, client or drain: set by the orchestrator")
	flag.StringVar(&o.name, "name", "", "of the process: set by the orchestrator")
	flag.StringVar(&o.ledger, "ledger", "", "set by the orchestrator")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "soak %s: %v\n", o.name, err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	if o.role != "" {
		go endWithParent(os.Getppid())
	}
	switch o.role {
	case "worker":
		return runWorker(ctx, o)
	case "client", "drain":
		return runClient(ctx, o)
	}
	if !fault.Enabled {
		return fmt.Errorf("build with -tags squidmesh_fault: without it no fault point fires")
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1 << 32)
	}
	return runSoak(ctx, o)
}

// endWithParent leaves no process behind when the orchestrator is killed.
func endWithParent(parent int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != parent {
			os.Exit(3)
		}
	}
}
