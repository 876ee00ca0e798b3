package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/nearest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

const help = `
  list                     every order and where it stands
  explain ORDER            why it stands there, and what would work now
  approve ORDER NOTE...    say yes to what is being asked
  reject ORDER NOTE...     say no
  cancel ORDER             take back what was done
  refund ORDER REASON...   give the customer of a sold order the money back
  replay ORDER [anyway]    do it again from the start
  digest                   write today's digest, as the clock will on working days at seven
  quit                     stop cleanly (so does Ctrl-C)

kill -9 me: nothing is lost. Start me again, and I go on.

`

// console starts the night's orders, and then does what a person says until the context ends or the person quits.
func (n *night[TTx]) console(ctx context.Context) error {
	out := n.std.out
	_, _ = fmt.Fprintf(out, "\nThe night of %s. help lists what you can say.\n\n", n.name)
	started, there := 0, 0
	for _, o := range n.orders {
		run, err := n.checkout(ctx, o)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			_, _ = fmt.Fprintf(n.std.err, "demo: order not started: %s: %s\n", o.Order, oneLine(err.Error()))
		case run.Existing:
			there++
		default:
			started++
		}
	}
	if there > 0 {
		_, _ = fmt.Fprintf(out, "  %d orders were there already, %d are new; --fresh begins a new night\n", there, started)
	}

	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(n.std.in); in.Scan(); {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			_, _ = fmt.Fprintln(out, "\nstopping; what runs is given back for the next start")
			return nil
		case line, ok := <-lines:
			if !ok {
				lines = nil // nobody is there: go on until a signal comes
				continue
			}
			words := strings.Fields(line)
			if len(words) == 0 {
				continue
			}
			if words[0] == "quit" || words[0] == "exit" {
				return nil
			}
			if err := n.obey(ctx, words); err != nil && ctx.Err() == nil {
				_, _ = fmt.Fprintf(out, "  %v\n", err)
			}
		}
	}
}

// person is who decides at the console.
const person = "you"

// The commands: those that stand alone, and those that are about an order.
var (
	alone    = []string{"list", "digest", "help", "quit", "exit"}
	ofOrders = []string{"explain", "approve", "reject", "cancel", "refund", "replay"}
)

// unheard says what a person can say who said something else.
func unheard(command string) error {
	all := slices.Concat(ofOrders, alone)
	meant := ""
	if best, ok := nearest.Name(command, all); ok {
		meant = fmt.Sprintf(", did you mean %s?", best)
	}
	return fmt.Errorf("there is no command %s%s\n  you can say %s", echo.Quote(command), meant, strings.Join(all, ", "))
}

// obey does what a line says.
func (n *night[TTx]) obey(ctx context.Context, words []string) error {
	command := words[0]
	if !slices.Contains(alone, command) && !slices.Contains(ofOrders, command) {
		return unheard(command)
	}
	switch command {
	case "help":
		_, err := fmt.Fprint(n.std.out, help)
		return err
	case "list":
		return n.list(ctx)
	case "digest":
		_, err := n.digest(ctx, person)
		return err
	}
	if len(words) < 2 {
		return fmt.Errorf("%s: say which order; list shows all", command)
	}
	order, rest := words[1], strings.Join(words[2:], " ")
	if command == "refund" {
		run, err := n.refund(ctx, order, rest, person)
		if errors.Is(err, squidmesh.ErrKeyConflict) || run.Existing {
			return fmt.Errorf("a refund of %s has been asked for already: explain %s", order, order)
		}
		return err
	}
	run, err := n.find(ctx, order)
	if err != nil {
		return err
	}
	by := squidmesh.Decision{Actor: person, Comment: rest}
	switch command {
	case "explain":
		return n.explain(ctx, run)
	case "approve":
		_, err = n.rt.ApproveRun(ctx, run.ID, by)
	case "reject":
		_, err = n.rt.RejectRun(ctx, run.ID, by)
	case "cancel":
		_, err = n.rt.CancelRun(ctx, run.ID, squidmesh.CancelParams{Decision: by, Compensate: true})
	case "replay":
		_, err = n.rt.ReplayRun(ctx, run.ID, squidmesh.ReplayParams{
			Actor: person, AllowIrreversible: rest == "anyway", Key: n.key(order) + "/" + run.ID.String(),
		})
	}
	return err
}

// find is the run that a person means by an order: its refund while that is open, else its newest checkout.
func (n *night[TTx]) find(ctx context.Context, order string) (squidmesh.Run, error) {
	runs, err := n.runs(ctx, squidmesh.ListParams{})
	if err != nil {
		return squidmesh.Run{}, err
	}
	for _, r := range runs {
		if orderOf(r) == order && r.Workflow == "refund" && !r.Status.Terminal() {
			return r, nil
		}
	}
	for _, r := range runs {
		if orderOf(r) == order && r.Workflow == "checkout" {
			return r, nil
		}
	}
	return squidmesh.Run{}, fmt.Errorf("there is no order %q: list shows all", order)
}

func (n *night[TTx]) list(ctx context.Context) error {
	runs, err := n.runs(ctx, squidmesh.ListParams{})
	if err != nil {
		return err
	}
	slices.SortStableFunc(runs, func(a, b squidmesh.Run) int { return strings.Compare(label(a), label(b)) })
	for _, r := range runs {
		why := ""
		if r.Reason != nil {
			why = fmt.Sprintf("%s: %s", r.Reason.Step, oneLine(r.Reason.Message))
		} else if ex, err := n.rt.ExplainRun(ctx, r.ID); err == nil && !r.Status.Terminal() {
			why = oneLine(ex.Sentence)
		}
		_, _ = fmt.Fprintf(n.std.out, "  %-22s %-12s %s\n", label(r), r.Status, why)
	}
	return nil
}

func (n *night[TTx]) explain(ctx context.Context, run squidmesh.Run) error {
	ex, err := n.rt.ExplainRun(ctx, run.ID)
	if err != nil {
		return err
	}
	in, err := n.rt.InspectRun(ctx, run.ID, nil)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(n.std.out, "  %s  %s, run %s\n  %s\n", label(run), ex.Status, run.ID, oneLine(ex.Sentence))
	for _, st := range (outcome{Run: in}).reported().Steps {
		_, _ = fmt.Fprintf(n.std.out, "    %s\n", steps([]reportedStep{st}))
	}
	words := make([]string, len(ex.Commands))
	for i, a := range ex.Commands {
		words[i] = string(a)
	}
	_, _ = fmt.Fprintf(n.std.out, "  what would work now: %s\n", strings.Join(words, ", "))
	return nil
}
