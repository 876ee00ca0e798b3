package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/shop"
)

// options are what the command line and the environment say.
type options struct {
	databaseURL string
	orders      string
	dir         string
	once        bool
	untilDone   bool
	fresh       bool
	json        bool
	slow        time.Duration
}

const usage = `A bookshop's night on squidmesh: checkout, refund and nightly digest as durable workflows.

  go run ./cmd/demo                on an embedded SQLite that is kept: kill it, start it again, and it goes on
  go run ./cmd/demo --once         every scenario on a fresh database, checked; exits 0 or 1
  DATABASE_URL=postgres://... ...  on that PostgreSQL, in the schema squidmesh_demo

Flags:
`

func parseOptions(args []string, databaseURL string, stderr io.Writer) (options, error) {
	o := options{databaseURL: databaseURL}
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.orders, "orders", "", "read the orders from this JSON `file` instead of the demo's own")
	f.StringVar(&o.dir, "dir", "", "keep the database, the ledger and the digests in this `directory` (default: the user's cache)")
	f.BoolVar(&o.once, "once", false, "run every scenario on a fresh database, check the outcome, and exit 0 or 1")
	f.BoolVar(&o.untilDone, "until-done", false, "like --once, but on the kept database, going on where it stands")
	f.BoolVar(&o.fresh, "fresh", false, "throw away what earlier nights left, and begin a new one")
	f.BoolVar(&o.json, "json", false, "with --once or --until-done: print one JSON object per run instead of a table")
	f.DurationVar(&o.slow, "slow", 0, "how late slow answers of the payment provider come (default 20s; 1s with --once)")
	f.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: see --help", f.Arg(0))
	case o.once && o.untilDone:
		return o, errors.New("--once takes a fresh database and --until-done the kept one: choose")
	case o.once && o.fresh:
		return o, errors.New("--once always takes a fresh database: leave --fresh out")
	case o.json && !o.headless():
		return o, errors.New("--json needs --once or --until-done")
	case o.slow < 0:
		return o, errors.New("--slow must not be negative")
	}
	if o.slow == 0 {
		o.slow = 20 * time.Second
		if o.headless() {
			o.slow = time.Second
		}
	}
	return o, nil
}

// headless says that a script decides, and not a person.
func (o options) headless() bool { return o.once || o.untilDone }

// pace is how patient the workflows are.
func (o options) pace() shop.Pace {
	if o.headless() {
		return shop.Pace{Retry: 100 * time.Millisecond, Settle: time.Second}
	}
	return shop.Pace{Retry: time.Second, Settle: 30 * time.Second}
}

// retryAfter is what the provider asks for when it is asked too often.
func (o options) retryAfter() time.Duration {
	if o.headless() {
		return time.Second
	}
	return 14 * time.Second
}

// directory makes the directory of the night, and says how to leave it: --once removes its own.
func (o options) directory() (dir string, leave func(), err error) {
	if o.once && o.dir == "" {
		dir, err = os.MkdirTemp("", "squidmesh-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("make a directory for the night: %w", err)
		}
		return dir, func() { _ = os.RemoveAll(dir) }, nil
	}
	if dir = o.dir; dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", nil, fmt.Errorf("find a place to keep the night (--dir names another): %w", err)
		}
		dir = filepath.Join(cache, "squidmesh-demo")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make the night's directory (--dir names another): %w", err)
	}
	if o.once {
		// Below the one that was named, so that no kept night is in the way.
		if dir, err = os.MkdirTemp(dir, "once-"); err != nil {
			return "", nil, fmt.Errorf("make a directory for the night: %w", err)
		}
	}
	return dir, func() {}, nil
}
