package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// group is a set of figures that are measured together.
type group struct {
	name    string
	measure func(context.Context, *lab) error
}

var groups = []group{
	{"throughput", measureThroughput},
	{"lone", measureLone},
	{"bystanders", measureBystanders},
	{"distance", measureDistance},
	{"first", measureFirst},
	{"timers", measureTimers},
	{"graph", measureGraph},
	{"idle", measureIdle},
	{"waits", measureWaits},
	{"sqlite", measureSQLite},
	{"profile", measureProfile},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o, err := parseOptions(os.Args[1:])
	if err != nil {
		return err
	}
	begun := time.Now()
	l, err := openLab(ctx, o)
	if err != nil {
		return err
	}
	defer l.close()
	l.report.header(l.describe())
	for _, g := range groups {
		if len(o.only) > 0 && !slices.Contains(o.only, g.name) || len(o.only) == 0 && g.name == "profile" {
			continue
		}
		started := time.Now()
		if err := g.measure(ctx, l); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		l.report.say("%s took %s", g.name, time.Since(started).Round(100*time.Millisecond))
	}
	l.report.print(time.Since(begun))
	if o.json != "" {
		return l.report.writeJSON(o.json)
	}
	return nil
}
