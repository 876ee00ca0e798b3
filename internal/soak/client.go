package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// crowd is how many runs may be active before clients stop starting more, so that a healed system can catch up.
const crowd = 150

// client starts runs and operates them, and writes down what it was told.
type client struct {
	*member
	name   string
	tasks  sync.WaitGroup
	places chan struct{} // bounds what is under way

	mu     sync.Mutex
	random *rand.Rand
	count  int
}

// runClient starts and operates runs until it is told to stop; in the role drain it starts nothing and decides everything.
func runClient(ctx context.Context, o options) error {
	m, err := join(ctx, o, false)
	if err != nil {
		return err
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(o.name))
	c := &client{member: m, name: o.name, places: make(chan struct{}, 8), random: rand.New(rand.NewPCG(o.seed, h.Sum64()))}
	if o.role == "drain" {
		c.every(ctx, 50*time.Millisecond, c.decideAll)
		c.tasks.Wait()
		return nil
	}
	c.every(ctx, time.Duration(float64(time.Second)/o.rate), c.start)
	c.every(ctx, 80*time.Millisecond, c.decide)
	c.every(ctx, 150*time.Millisecond, c.decideUndo)
	c.every(ctx, 700*time.Millisecond, c.cancel)
	c.every(ctx, time.Second, c.replay)
	c.tasks.Wait()
	return nil
}

// every calls do again and again, several at once if one takes long. What fails is tried no more: clients give up, and the ledger says
// only what they were told.
func (c *client) every(ctx context.Context, interval time.Duration, do func(ctx context.Context) error) {
	c.tasks.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			select {
			case c.places <- struct{}{}:
			default:
				continue
			}
			c.tasks.Go(func() {
				defer func() { <-c.places }()
				ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
				defer cancel()
				var refused *squidmesh.RefusedError
				if err := do(ctx); err != nil && !errors.As(err, &refused) && !errors.Is(err, squidmesh.ErrKeyConflict) {
					fmt.Fprintf(os.Stderr, "client: %v\n", err)
				}
			})
		}
	})
}

func (c *client) n(limit int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(limit)
}

// actor is a name that nobody else acts under.
func (c *client) actor() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	return fmt.Sprintf("%s-%d", c.name, c.count)
}

// mix has the workflows as often as they are started.
var mix = []string{
	"sequence", "sequence", "sequence", "fan", "fan", "saga", "saga", "saga", "review", "review", "patience", "gate", "slow", "slow", "slow", "slow", "choice",
}

func (c *client) start(ctx context.Context) error {
	var active int
	err := c.pool.QueryRow(ctx, `select count(*) from squidmesh_run where status not in ('completed', 'failed', 'cancelled')`).Scan(&active)
	if err != nil || active > crowd {
		return err
	}
	params := squidmesh.StartParams{Workflow: mix[c.n(len(mix))], Actor: c.actor()}
	o := order{N: c.n(1000)}
	if c.n(3) == 0 {
		o.N = c.n(300) // so that keys meet, within one client and between them
		params.Key = "order-" + strconv.Itoa(o.N)
	}
	params.Payload = o
	run, err := c.rt.StartRun(ctx, params)
	if err == nil {
		c.ledger.note(entry{Kind: noteStarted, Run: run.ID.String(), Workflow: params.Workflow, Key: params.Key})
	}
	return err
}

// pick takes one of the newest runs with the statuses.
func (c *client) pick(ctx context.Context, statuses ...squidmesh.RunStatus) (squidmesh.Run, error) {
	page, err := c.rt.ListRuns(ctx, squidmesh.ListParams{Statuses: statuses, Limit: 100})
	if err != nil || len(page.Runs) == 0 {
		return squidmesh.Run{}, err
	}
	return page.Runs[c.n(len(page.Runs))], nil
}

// decide decides one paused run, sometimes in two ways at once.
func (c *client) decide(ctx context.Context) error {
	run, err := c.pick(ctx, squidmesh.RunPaused)
	if err != nil || run.ID == (squidmesh.RunID{}) {
		return err
	}
	if c.n(4) == 0 {
		c.tasks.Go(func() { _ = c.decideRun(ctx, run, c.n(2) == 0) })
	}
	return c.decideRun(ctx, run, c.n(3) > 0)
}

func (c *client) decideRun(ctx context.Context, run squidmesh.Run, yes bool) error {
	by := squidmesh.Decision{Actor: c.actor(), Comment: "as I please", Metadata: json.RawMessage(`{"soak": true}`)}
	command := c.rt.UnblockRun
	if run.Workflow == "review" {
		command = c.rt.ApproveRun
		if !yes {
			command = c.rt.RejectRun
		}
	}
	_, err := command(ctx, run.ID, by)
	return c.decided(run, by, err)
}

// decided writes a decision down that was acknowledged.
func (c *client) decided(run squidmesh.Run, by squidmesh.Decision, err error) error {
	if err == nil {
		c.ledger.note(entry{Kind: noteDecided, Run: run.ID.String(), Workflow: run.Workflow, Actor: by.Actor})
	}
	return err
}

// decideUndo decides about an undo that is out of attempts, if the run has one.
func (c *client) decideUndo(ctx context.Context) error {
	run, err := c.pick(ctx, squidmesh.RunCompensating)
	if err != nil || run.ID == (squidmesh.RunID{}) {
		return err
	}
	by := squidmesh.Decision{Actor: c.actor()}
	command := c.rt.AcceptUndo
	if c.n(2) == 0 {
		command = c.rt.RetryUndo
	}
	_, err = command(ctx, run.ID, by)
	return c.decided(run, by, err)
}

func (c *client) cancel(ctx context.Context) error {
	run, err := c.pick(ctx, squidmesh.RunPending, squidmesh.RunRunning, squidmesh.RunRetrying, squidmesh.RunPaused)
	if err != nil || run.ID == (squidmesh.RunID{}) {
		return err
	}
	by := squidmesh.Decision{Actor: c.actor()}
	after, err := c.rt.CancelRun(ctx, run.ID, squidmesh.CancelParams{Decision: by, Compensate: c.n(2) == 0})
	if err == nil && after.Verdict == flow.VerdictCancelled { // else it was on its way to another end
		c.ledger.note(entry{Kind: noteCancelled, Run: run.ID.String(), Workflow: run.Workflow})
	}
	return err
}

func (c *client) replay(ctx context.Context) error {
	run, err := c.pick(ctx, squidmesh.RunCompleted, squidmesh.RunFailed, squidmesh.RunCancelled)
	if err != nil || run.ID == (squidmesh.RunID{}) || run.Workflow == "clock" {
		return err
	}
	params := squidmesh.ReplayParams{Actor: c.actor(), AllowIrreversible: true}
	if c.n(2) == 0 {
		params.Key = "replay-of-" + run.ID.String()
	}
	replayed, err := c.rt.ReplayRun(ctx, run.ID, params)
	if err == nil {
		c.ledger.note(entry{Kind: noteStarted, Run: replayed.ID.String(), Workflow: run.Workflow, Key: params.Key})
	}
	return err
}

// decideAll ends everything that waits for a person.
func (c *client) decideAll(ctx context.Context) error {
	if run, err := c.pick(ctx, squidmesh.RunPaused); err == nil && run.ID != (squidmesh.RunID{}) {
		_ = c.decideRun(ctx, run, true)
	}
	run, err := c.pick(ctx, squidmesh.RunCompensating)
	if err != nil || run.ID == (squidmesh.RunID{}) {
		return err
	}
	// Several may be open; each is named in turn.
	in, err := c.rt.InspectRun(ctx, run.ID, nil)
	if err != nil {
		return err
	}
	for _, step := range in.Steps {
		if step.Undo != nil && step.Undo.Status == flow.StepPaused {
			_, _ = c.rt.AcceptUndo(ctx, run.ID, squidmesh.Decision{Actor: c.actor(), Step: step.Name})
		}
	}
	return nil
}
