// Command demo is a bookshop's night on real input: orders of real books, paid at a payment provider that behaves as real ones do,
// run as workflows on an embedded SQLite, or on the PostgreSQL that DATABASE_URL names.
//
//	go run ./cmd/demo          keeps everything, so that kill and restart resume
//	go run ./cmd/demo --once   runs every scenario, checks the outcome, and exits 0 or 1
//
// The first start compiles SQLite, whatever the database and the flags: about three minutes of one core, of which go run says nothing
// without -v.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the shop's clock hangs in Berlin, wherever this runs
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv("DATABASE_URL"), os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. The first signal stops it gracefully, the second at once.
func run(args []string, databaseURL string, stdin io.Reader, stdout, stderr io.Writer) int {
	stdout, stderr = terminal{stdout}, terminal{stderr}
	o, err := parseOptions(args, databaseURL, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		defer stop()
		err = demo(ctx, o, streams{in: stdin, out: stdout, err: stderr})
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errChecks): // said already
		return 1
	default:
		_, _ = fmt.Fprintf(stderr, "demo: %v\n", err)
		return 1
	}
}

// streams are where the program reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// demo opens the database that the options name, and has the night on it.
func demo(ctx context.Context, o options, std streams) error {
	orders, refused, err := readOrders(o.orders)
	if err != nil {
		return err
	}
	for _, r := range refused {
		_, _ = fmt.Fprintf(std.err, "demo: order refused: %s: %s\n", oneLine(r.Order), oneLine(r.Err.Error()))
	}
	dir, remove, err := o.directory()
	if err != nil {
		return err
	}
	defer remove()
	p := program{options: o, std: std, dir: dir, orders: orders, refused: refused}
	if o.databaseURL != "" {
		db, err := openPostgres(ctx, o, std)
		if err != nil {
			return err
		}
		return have(ctx, p, db)
	}
	db, err := openSQLite(ctx, o, dir)
	if err != nil {
		return err
	}
	return have(ctx, p, db)
}

// program is what does not depend on the database.
type program struct {
	options options
	std     streams
	dir     string
	orders  []order
	refused []refusal
}
