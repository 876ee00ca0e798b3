package scenariotest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// stage is where a script is played: the driver, the queue that the script turns by hand, and a book that is kept of
// everything that was committed, to be compared with what is stored.
type stage struct {
	t      testing.TB
	driver Driver
	plays  *Plays
	book   *book

	queue   []byhand.QueuedJob
	runs    map[string]flow.RunID // by the names that the script gave
	current flow.RunID

	out strings.Builder // of the command at work
}

func newStage(t testing.TB, driver Driver, plays *Plays) *stage {
	return &stage{t: t, driver: driver, plays: plays, book: newBook(), runs: map[string]flow.RunID{}}
}

// do carries one command out and returns what it printed. Errors are mistakes in the script, or a state of the store that
// does not agree with what was committed.
func (s *stage) do(line string) (string, error) {
	s.out.Reset()
	c, err := parseCommand(line)
	if err != nil {
		return "", err
	}
	carryOut, ok := commands[c.verb]
	if !ok {
		return "", fmt.Errorf("no command is called %q", c.verb)
	}
	if err := carryOut(s, c); err != nil {
		return "", err
	}
	if len(c.rest()) > 0 {
		return "", fmt.Errorf("%s takes no %q", c.verb, c.rest())
	}
	s.news()
	return s.out.String(), nil
}

func (s *stage) printf(format string, args ...any) {
	fmt.Fprintf(&s.out, format+"\n", args...)
}

// news prints and books what was committed, and queues its jobs.
func (s *stage) news() {
	news := s.driver.News()
	for _, t := range news.Transitions {
		s.book.apply(t)
		s.printf("%s", printTransition(t))
	}
	s.queue = append(s.queue, news.Jobs...)
}

// failed prints an error that an operation answered with.
func (s *stage) failed(err error) {
	s.printf("error: %s", s.anonymous(printError(err)))
}

// anonymous replaces ids of runs by their names.
func (s *stage) anonymous(text string) string {
	for name, id := range s.runs {
		text = strings.ReplaceAll(text, "run "+id.String(), strings.TrimSpace("run "+name))
	}
	return text
}

// progress prints how far a delivery came.
func (s *stage) progress(p Progress, err error) {
	s.news()
	switch {
	case err != nil:
		s.failed(err)
	case p.Held != nil:
		s.printf("=> stands in %s", byhand.PrintKey(*p.Held))
	case p.Outcome.Kind == flow.OutcomeDone && p.Outcome.Reason == "":
		s.printf("=> done")
	case p.Outcome.Kind == flow.OutcomeAgain:
		s.printf("=> again in %s (%s)", p.Outcome.After, p.Outcome.Reason)
	case p.Outcome.Kind == flow.OutcomeDrop:
		s.printf("=> drop (%s: %s)", p.Outcome.Reason, s.anonymous(p.Outcome.Detail))
	default:
		s.printf("=> %s (%s)", p.Outcome.Kind, p.Outcome.Reason)
	}
}

// deliver hands a delivery to the driver. One that is to come again goes back to the queue.
func (s *stage) deliver(d driver.Delivery) {
	p, err := s.driver.Deliver(d)
	if err == nil && p.Held == nil && p.Outcome.Kind == flow.OutcomeAgain {
		s.queue = append(s.queue, byhand.QueuedJob{Delivery: d, DueAt: p.Outcome.At})
	}
	s.progress(p, err)
}

// take removes the first job from the queue that fits.
func (s *stage) take(fits func(byhand.QueuedJob) bool) (byhand.QueuedJob, bool) {
	for i, job := range s.queue {
		if fits(job) {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return job, true
		}
	}
	return byhand.QueuedJob{}, false
}

// takeDue removes the job from the queue that is due first.
func (s *stage) takeDue() (byhand.QueuedJob, bool) {
	var due *byhand.QueuedJob
	for i, job := range s.queue {
		if !job.DueAt.After(s.driver.Now()) && (due == nil || job.DueAt.Before(due.DueAt)) {
			due = &s.queue[i]
		}
	}
	if due == nil {
		return byhand.QueuedJob{}, false
	}
	chosen := *due
	return s.take(func(job byhand.QueuedJob) bool { return job == chosen })
}

// view reads the current run.
func (s *stage) view() (View, error) {
	if s.current == (flow.RunID{}) {
		return View{}, fmt.Errorf("no run was started")
	}
	return s.driver.View(s.current)
}

// audit compares everything that is stored with what was committed.
func (s *stage) audit() error {
	for _, id := range s.runs {
		stored, err := s.driver.View(id)
		if err != nil {
			return fmt.Errorf("view run: %w", err)
		}
		if err := s.book.agrees(stored); err != nil {
			return err
		}
	}
	return nil
}
