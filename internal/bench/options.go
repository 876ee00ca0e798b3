package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// options are how much is measured, and where.
type options struct {
	url   string
	json  string
	only  []string
	quick bool

	rounds  int           // of each cell
	warm    time.Duration // before the window
	window  time.Duration // at least
	patient time.Duration // how long a window may become so that runs can end in it
	conns   int           // of the pool that a contender has
	workers int           // MaxWorkers of its queue
	top     int           // statements to print per cell
	profile string        // where the group profile writes to
}

func parseOptions(args []string) (options, error) {
	o := options{
		url:  os.Getenv("TEST_DATABASE_URL"),
		json: os.Getenv("BENCH_JSON"), rounds: 3, warm: 400 * time.Millisecond, window: 1200 * time.Millisecond, patient: 8 * time.Second,
	}
	if q := os.Getenv("BENCH_QUICK"); q != "" && q != "0" {
		o.quick, o.rounds, o.warm, o.window, o.patient = true, 1, 250*time.Millisecond, 700*time.Millisecond, 1500*time.Millisecond
	}
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "comma-separated groups to measure: "+strings.Join(names, ", "))
	flags.IntVar(&o.rounds, "rounds", o.rounds, "rounds of each cell, whose median counts")
	flags.IntVar(&o.conns, "conns", 40, "connections of a contender's pool")
	flags.IntVar(&o.workers, "workers", 100, "MaxWorkers of a contender's queue")
	flags.StringVar(&o.profile, "cpuprofile", "", "where the group profile, which is measured only when it is named, writes a CPU profile to")
	flags.IntVar(&o.top, "top", 0, "print that many of the costliest statements of each throughput cell (needs pg_stat_statements)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.rounds < 1 {
		return o, fmt.Errorf("usage: bench [-only GROUP,...] [-rounds N], not %q", args)
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("no group %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	if o.url == "" {
		return o, errors.New("no server: set TEST_DATABASE_URL, or run make bench, which starts one")
	}
	return o, nil
}

// pick is one of two amounts, depending on how much time there is.
func pick[T any](o options, quick, full T) T {
	if o.quick {
		return quick
	}
	return full
}
