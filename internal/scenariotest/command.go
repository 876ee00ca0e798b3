package scenariotest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// command is a parsed line of a script.
type command struct {
	verb    string
	words   []string
	options map[string]string
	text    string // JSON at the end of a start, outcomes behind the colon of a play
}

func parseCommand(line string) (*command, error) {
	c := &command{options: map[string]string{}}
	rest := line
	if strings.HasPrefix(line, "play ") {
		var ok bool
		if rest, c.text, ok = strings.Cut(line, ":"); !ok {
			return nil, fmt.Errorf("play needs a colon before the outcomes")
		}
	}
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		if strings.HasPrefix(rest, "{") {
			c.text = rest
			break
		}
		end := strings.IndexByte(rest, ' ')
		if end < 0 {
			end = len(rest)
		}
		word := rest[:end]
		name, value, option := strings.Cut(word, "=")
		if option && strings.HasPrefix(value, `"`) {
			start := len(name) + 1
			quoted, err := strconv.QuotedPrefix(rest[start:])
			if err != nil {
				return nil, fmt.Errorf("quoted text of %s: %w", name, err)
			}
			value, _ = strconv.Unquote(quoted)
			end = start + len(quoted)
		}
		if option {
			c.options[name] = value
		} else {
			c.words = append(c.words, word)
		}
		rest = rest[end:]
	}
	c.verb, c.words = c.words[0], c.words[1:]
	return c, nil
}

// word takes the next word; the empty one if there is none.
func (c *command) word() string {
	if len(c.words) == 0 {
		return ""
	}
	word := c.words[0]
	c.words = c.words[1:]
	return word
}

// has takes a word if it is there.
func (c *command) has(word string) bool {
	i := slices.Index(c.words, word)
	if i >= 0 {
		c.words = slices.Delete(c.words, i, i+1)
	}
	return i >= 0
}

// option takes an option.
func (c *command) option(name string) string {
	value := c.options[name]
	delete(c.options, name)
	return value
}

// key takes [undo] STEP.
func (c *command) key() flow.StepKey {
	if c.has("undo") {
		return flow.StepKey{Name: c.word(), Phase: flow.PhaseUndo}
	}
	return flow.StepKey{Name: c.word(), Phase: flow.PhaseDo}
}

// decision takes what operators say.
func (c *command) decision() flow.Decision {
	return flow.Decision{Actor: c.option("by"), Comment: c.option("comment"), Step: c.option("step")}
}

// rest is what nobody took.
func (c *command) rest() []string {
	rest := c.words
	for name := range c.options {
		rest = append(rest, name+"=")
	}
	return rest
}

// commands are what a script can say.
var commands map[string]func(*stage, *command) error

func init() {
	commands = map[string]func(*stage, *command) error{
		"start": (*stage).start, "cron": (*stage).cron, "replay": (*stage).replay, "use": (*stage).use,
		"play": (*stage).play, "hold": (*stage).hold, "finish": (*stage).finish, "release": (*stage).release,
		"deliver": (*stage).deliverStep, "run": (*stage).runDue,
		"approve": operate(func(d flow.Decision) flow.Event { return flow.Approved{Decision: d} }),
		"reject":  operate(func(d flow.Decision) flow.Event { return flow.Rejected{Decision: d} }),
		"unblock": operate(func(d flow.Decision) flow.Event { return flow.Unblocked{Decision: d} }),
		"retry-undo": operate(func(d flow.Decision) flow.Event {
			return flow.UndoRetried{Decision: d}
		}),
		"accept-undo": operate(func(d flow.Decision) flow.Event {
			return flow.UndoAccepted{Decision: d}
		}),
		"cancel": (*stage).cancel, "advance": (*stage).advance, "lose": (*stage).lose, "tick": (*stage).tick,
		"refuse": func(s *stage, c *command) error { c.has("jobs"); return s.driver.RefuseJobs(true) },
		"accept": func(s *stage, c *command) error { c.has("jobs"); return s.driver.RefuseJobs(false) },
		"deploy": func(s *stage, c *command) error { return s.driver.Deploy(c.word()) },
		"state":  (*stage).showState, "audit": (*stage).showAudit, "attempts": (*stage).showAttempts,
		"explain": (*stage).showExplain, "outputs": (*stage).showOutputs, "jobs": (*stage).showJobs,
	}
}

func (s *stage) start(c *command) error {
	params := squidmesh.StartParams{
		Workflow: c.word(), Trigger: c.option("trigger"), Key: c.option("key"), Actor: c.option("by"),
	}
	if c.text != "" {
		params.Payload = json.RawMessage(c.text)
	}
	result, err := s.driver.Start(params)
	s.began(c, result, err)
	return nil
}

func (s *stage) replay(c *command) error {
	result, err := s.driver.Replay(s.current, squidmesh.ReplayParams{
		Actor: c.option("by"), Key: c.option("key"), AllowIrreversible: c.has("irreversible"),
	})
	s.began(c, result, err)
	return nil
}

// began gives a new run its name and makes it the current one.
func (s *stage) began(c *command, result squidmesh.StartResult, err error) {
	name := c.option("as")
	switch {
	case err != nil:
		s.failed(err)
	case result.Existing:
		s.printf("=> existing %s", s.anonymous("run "+result.ID.String()))
	default:
		if name == "" && len(s.runs) > 0 {
			name = strconv.Itoa(len(s.runs) + 1)
		}
		s.runs[name], s.current = result.ID, result.ID
	}
}

// cron delivers a cron fire. The run that it starts becomes the current one.
func (s *stage) cron(c *command) error {
	d := driver.Delivery{
		Version: driver.DeliveryVersion, Kind: driver.DeliverCron,
		Workflow: c.word(), Trigger: c.word(), SignalID: c.option("signal"),
	}
	if window := c.option("window"); window != "" {
		at, err := time.Parse(time.RFC3339, window)
		if err != nil {
			return err
		}
		d.IntendedWindow = &driver.Window{StartAt: at, EndAt: at.Add(time.Hour)}
	}
	p, err := s.driver.Deliver(d)
	s.progress(p, err)
	if newest := s.book.newest; newest != s.current {
		s.began(c, squidmesh.StartResult{Run: flow.Run{ID: newest}}, nil)
	}
	return nil
}

func (s *stage) use(c *command) error {
	id, ok := s.runs[c.word()]
	if !ok {
		return fmt.Errorf("no run has that name")
	}
	s.current = id
	return nil
}

func (s *stage) play(c *command) error {
	list, err := parsePlays(c.text)
	if err != nil {
		return err
	}
	s.plays.add(c.key(), list)
	return nil
}

func (s *stage) hold(c *command) error {
	s.plays.hold(c.key())
	return nil
}

func (s *stage) finish(c *command) error {
	lost := c.has("lost")
	s.progress(s.driver.Finish(s.current, c.key(), lost))
	return nil
}

func (s *stage) release(c *command) error {
	s.progress(s.driver.Release(s.current, c.key()))
	return nil
}

func (s *stage) deliverStep(c *command) error {
	d := driver.Delivery{Version: driver.DeliveryVersion, Kind: driver.DeliverStep, RunID: s.current.String()}
	if c.has("compensation") {
		d.Kind = driver.DeliverCompensation
		s.deliver(d)
		return nil
	}
	key, attempt := c.key(), c.option("attempt")
	if key.Phase == flow.PhaseUndo {
		d.Kind = driver.DeliverCompensation
	}
	d.Step, d.Attempt = key.Name, 0
	if attempt != "" {
		var err error
		if d.Attempt, err = strconv.Atoi(attempt); err != nil {
			return err
		}
	}
	job, ok := s.take(func(job byhand.QueuedJob) bool {
		j := job.Delivery
		return j.Kind == d.Kind && j.RunID == d.RunID && j.Step == d.Step && (d.Attempt == 0 || j.Attempt == d.Attempt)
	})
	switch {
	case ok:
		d = job.Delivery
	case d.Attempt == 0:
		return fmt.Errorf("the queue has no job for %s", byhand.PrintKey(key))
	}
	s.deliver(d)
	return nil
}

// runDue delivers whatever is due until nothing is.
func (s *stage) runDue(*command) error {
	for range 1000 {
		s.news()
		job, ok := s.takeDue()
		if !ok {
			return nil
		}
		s.deliver(job.Delivery)
	}
	return fmt.Errorf("the queue is never empty")
}

// operate makes the command of an operator's decision.
func operate(event func(flow.Decision) flow.Event) func(*stage, *command) error {
	return func(s *stage, c *command) error {
		s.command(event(c.decision()), false)
		return nil
	}
}

func (s *stage) cancel(c *command) error {
	elsewhere, compensate := c.has("elsewhere"), c.has("compensate")
	s.command(flow.Cancelled{Decision: c.decision(), Compensate: compensate}, elsewhere)
	return nil
}

func (s *stage) command(e flow.Event, elsewhere bool) {
	run, err := s.driver.Operate(s.current, e, elsewhere)
	before := s.out.Len()
	s.news()
	switch {
	case err != nil:
		s.failed(err)
	case s.out.Len() == before:
		s.printf("=> nothing changes, run %s", run.Status)
	}
}

func (s *stage) advance(c *command) error {
	d, err := time.ParseDuration(c.word())
	if err != nil {
		return err
	}
	if d < 0 {
		return fmt.Errorf("advance %s: time does not go back", d)
	}
	return s.driver.Advance(d)
}

func (s *stage) lose(c *command) error {
	c.has("worker")
	return s.driver.Lose()
}

func (s *stage) tick(*command) error { return s.driver.Tick() }
