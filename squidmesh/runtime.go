package squidmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Config is what a [Runtime] is made of.
type Config[TTx any] struct {
	// Store keeps the runs. Required.
	Store driver.Store[TTx]

	// Executor hands work to the queue. Required.
	Executor driver.Executor[TTx]

	// Workflows are the definitions that this process can start and execute. Required, at least one.
	Workflows []Workflow

	// Queue is the queue of steps that name no other one. It defaults to "squidmesh".
	Queue string

	// Name tells operators which process a worker is. It has at most 200 bytes of printable characters. It defaults to host name
	// and process id.
	Name string

	// DisableContinuation makes every step a job of its own. By default a worker goes on with a successor without a queue hop if
	// the successor is due now, in the same queue, and of the same priority.
	DisableContinuation bool

	// TimeSlice is how long a worker goes on with successors. Then it hands the run back to the queue, so that other runs get their
	// turn. It defaults to 1 second.
	TimeSlice time.Duration

	// Heartbeat is how often a worker renews its lease and looks for what needs care. It is at most a third of the store's lease.
	// It defaults to 1 second, or to a quarter of the lease if that is less.
	Heartbeat time.Duration

	// MaxOutput is how many bytes the encoded result of a step may have. It defaults to 256 KiB.
	MaxOutput int

	// MaxAbandoned is how many abandoned calls of a step's function, or of its undo, may go on in this process. A call is abandoned
	// five seconds after its context ended. At that number the process does not claim the step, so that a function that hangs does
	// not use up memory and connections. Calls that are already at work may exceed the number. Other steps go on. When an abandoned
	// call returns, the process claims the step again. It defaults to 10. See [Runtime.Abandoned].
	MaxAbandoned int

	// ManualTick leaves it to the program to call [Runtime.Tick]; by default a started runtime ticks once a second. It is for tests
	// whose clock stands still. Without ticks no worker renews its lease, and nobody finds what is lost.
	ManualTick bool

	// Retention says when a started runtime deletes what has ended. It does so in the background, and no process is a leader. The
	// zero Retention keeps everything for ever. With ManualTick only [Runtime.PruneRuns] deletes.
	Retention Retention

	// Logger defaults to slog.Default.
	Logger *slog.Logger

	// Observer, if set, is told after each commit of this runtime what happened. See [Observer].
	Observer Observer

	// Intercept, if set, is called around every step's function and undo, in its goroutine. It is for tracing, and for values that
	// all steps need in their contexts. It calls next once, with its own context or one made from it, and returns the error of
	// next. [Info] tells which step it is. If it returns an error of its own, the attempt fails. It cannot hide the error of next.
	Intercept func(ctx context.Context, next func(ctx context.Context) error) error

	// Codec, if set, seals what may hold users' data before it is stored. All processes that execute or read the same runs need its
	// keys. See [Codec].
	Codec Codec

	// RequireSealed refuses values that stand in the clear although the Codec seals them: somebody who may write to the tables
	// could have put them there. If a step's payload, input or failure is such a value, the step waits with [ErrUnreadable], as for
	// a key that is missing. Operators do not see such comments and failures, which stay as they are. Set it once
	// [Runtime.SealRuns] finds nothing more. It needs a Codec.
	RequireSealed bool

	// Redact, if set, rewrites text before it leaves the runtime: log lines, those of steps with [Logger] too, recorded failures,
	// and what observers and interceptors are told. Field is the key of a log attribute ("msg" for the message) or "message",
	// "cause", "details", "stack" or "comment". Results, payloads and comments are stored as they are; sealing them is the Codec's
	// work. Many goroutines call it, and it gets some texts twice.
	Redact func(field, text string) string
}

// ConfigError lists everything that is wrong with a [Config]. errors.As finds its parts.
type ConfigError struct{ Problems []error }

func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

func (*ConfigError) ErrorCode() string { return "invalid_config" }

func (e *ConfigError) Unwrap() []error { return e.Problems }

// Runtime runs workflows inside this process. Its methods are safe for concurrent use. Only executing steps needs [Runtime.Start];
// starting and operating runs works without it.
//
// Most methods have a transaction of their own. If the database does not answer for about a lease, such a method tries again on
// another connection, for as long as the caller's context allows. It also tries again a few times after errors that may pass. So
// give it a context that ends. A Tx method uses the caller's transaction, where it can try nothing again: the context is its only
// bound.
type Runtime[TTx any] struct {
	*base[TTx]
	definitions *definitions[TTx]
	queue       *queue[TTx]
	teller      *teller
	committer   *committer[TTx]
	cron        *cron[TTx]
	performer   *performer[TTx]
	pruner      *pruner[TTx]
	worker      *worker[TTx]
}

// check lists everything that is wrong with the fields themselves.
func (c *Config[TTx]) check() []error {
	var problems []error
	report := func(field, code, format string, args ...any) {
		problems = append(problems, &InputError{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	if c.RequireSealed && c.Codec == nil {
		report("RequireSealed", "required", "needs a Codec that seals")
	}
	if c.Store == nil {
		report("Store", "required", "is missing: use pgstore.New or sqlitestore.Open")
	}
	if c.Executor == nil {
		report("Executor", "required", "is missing: use riveradapter.New")
	}
	if len(c.Workflows) == 0 {
		report("Workflows", "required", "is empty")
	}
	if c.Queue != "" && !validQueue(c.Queue) {
		report("Queue", "bad_queue", "%s: use runs of a-z and 0-9 joined by single _ or -, at most 64 characters", echo.Quote(c.Queue))
	}
	if err := c.Retention.check(); err != nil {
		problems = append(problems, err)
	}
	if err := check.Line("Name", c.Name, maxProcess); err != nil {
		problems = append(problems, err)
	}
	if c.TimeSlice < 0 {
		report("TimeSlice", "out_of_range", "%s is negative", c.TimeSlice)
	}
	if c.TimeSlice > 0 && c.TimeSlice < minDuration {
		report("TimeSlice", "out_of_range", "%s", tooShort(c.TimeSlice))
	}
	if c.Heartbeat < 0 {
		report("Heartbeat", "out_of_range", "%s is negative", c.Heartbeat)
	}
	if c.Heartbeat > 0 && c.Heartbeat < minDuration {
		report("Heartbeat", "out_of_range", "%s", tooShort(c.Heartbeat))
	}
	if c.Store != nil {
		if lease := c.Store.Traits().Lease; lease < 3*c.Heartbeat {
			report("Heartbeat", "out_of_range", "%s is more than a third of the store's lease of %s, so one that is late would cost the lease",
				c.Heartbeat, lease)
		}
	}
	if c.MaxOutput < 0 {
		report("MaxOutput", "out_of_range", "%d is negative", c.MaxOutput)
	}
	if c.MaxAbandoned < 0 {
		report("MaxAbandoned", "out_of_range", "%d is negative", c.MaxAbandoned)
	}
	return problems
}

// fill puts the defaults in.
func (c *Config[TTx]) fill() {
	c.Queue = cmp.Or(c.Queue, "squidmesh")
	c.TimeSlice = cmp.Or(c.TimeSlice, time.Second)
	c.MaxOutput = cmp.Or(c.MaxOutput, 256<<10)
	c.MaxAbandoned = cmp.Or(c.MaxAbandoned, maxAbandoned)
	if c.Heartbeat == 0 && c.Store != nil {
		c.Heartbeat = min(flow.DefaultHeartbeat, c.Store.Traits().Lease/4)
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Name == "" {
		host, _ := os.Hostname()
		c.Name = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
}

// New checks the configuration, compiles the workflows and binds their functions. It touches no database and starts nothing. Its
// error is a [*ConfigError] with every problem: an [*InputError] for each bad field, a [*DefinitionError] for each bad definition.
func New[TTx any](config *Config[TTx]) (*Runtime[TTx], error) {
	if config == nil {
		config = &Config[TTx]{}
	}
	c := *config
	problems := c.check()
	c.fill()
	reg, err := register(c.Workflows, reflect.TypeFor[TTx]())
	if err != nil {
		var ce *ConfigError
		errors.As(err, &ce)
		problems = append(problems, ce.Problems...)
	} else if v, ok := c.Executor.(driver.Validator); ok {
		for _, name := range slices.Sorted(maps.Keys(reg.specs)) {
			for _, message := range v.ValidateSpec(reg.specs[name]) {
				problems = append(problems, &InputError{Field: fmt.Sprintf("Workflows: workflow %q", name), Code: "refused_by_executor", Detail: message})
			}
		}
	}
	if len(problems) > 0 {
		return nil, &ConfigError{Problems: problems}
	}
	b := &base[TTx]{database: newDatabase(&c), config: c, registry: reg, redact: c.Redact, logger: redactor(c.Redact).logger(c.Logger)}
	// Each part is given those below it. None of them knows the Runtime.
	df, q, t := &definitions[TTx]{base: b}, newQueue(b), &teller{c.Observer, b.redact, b.logger}
	live, abandoned := &liveSet{}, &abandonedSet{most: c.MaxAbandoned, logger: b.logger}
	cm := newCommitter(df, q, t, live, abandoned)
	cr := &cron[TTx]{b, df, q, t, cm}
	pf := &performer[TTx]{b, df, q, cm, cr, live, abandoned}
	p := &pruner[TTx]{b}
	wk := &worker[TTx]{
		base: b, definitions: df, queue: q, teller: t, committer: cm, cron: cr, pruner: p, live: live, changing: make(chan struct{}, 1),
	}
	if _, ok := c.Executor.(driver.Prober[TTx]); ok && !c.ManualTick {
		q.pacer.look = wk.redeliverLate
	}
	return &Runtime[TTx]{b, df, q, t, cm, cr, pf, p, wk}, nil
}

// Workflows returns the specs of the registered workflows, by name.
func (rt *Runtime[TTx]) Workflows() []*Spec { return rt.workflows() }

// Queues returns the names of all queues that the registered workflows use, so that a program can work them all.
func (rt *Runtime[TTx]) Queues() []string { return rt.queues() }

// Wake tells the queue to look for work at once. Call it after the commit of a transaction that a Tx method wrote to. Without it
// the queue finds the work a little later.
func (rt *Runtime[TTx]) Wake() { rt.queue.waker.Wake(rt.queues()...) }
