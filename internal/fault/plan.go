//go:build squidmesh_fault

package fault

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// action is what a fault does.
type action string

const (
	kill  action = "kill"  // SIGKILL to the own process
	stop  action = "stop"  // SIGSTOP to the own process; somebody else has to continue it
	raise action = "panic" // in the goroutine that hit the point
	sleep action = "sleep"
)

// fault is one clause of a plan.
type fault struct {
	name        string // of a point; a trailing * stands for any rest
	action      action
	pause       time.Duration // of sleep
	probability float64
	nth         int // fires at this hit only; zero is every hit
	hits        int
}

// plan is what happens where, from clauses separated by commas:
//
//	name=action:probability[:nth]
//
// The action is kill, stop, panic or sleep:MILLISECONDS. With an nth only that hit of the clause can fire, counted over all points
// that it matches.
type plan struct {
	mu     sync.Mutex
	faults []*fault
	random *rand.Rand
}

func parse(text, seed string) (*plan, error) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed))
	p := &plan{random: rand.New(rand.NewPCG(h.Sum64(), 0))}
	for clause := range strings.SplitSeq(text, ",") {
		if clause = strings.TrimSpace(clause); clause == "" {
			continue
		}
		f, err := parseClause(clause)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", clause, err)
		}
		p.faults = append(p.faults, f)
	}
	return p, nil
}

func parseClause(clause string) (*fault, error) {
	name, rest, ok := strings.Cut(clause, "=")
	if !ok || name == "" {
		return nil, fmt.Errorf("is not name=action:probability[:nth]")
	}
	parts := strings.Split(rest, ":")
	f := &fault{name: name, action: action(parts[0]), probability: 1}
	parts = parts[1:]
	switch f.action {
	case kill, stop, raise:
	case sleep:
		if len(parts) == 0 {
			return nil, fmt.Errorf("sleep needs milliseconds")
		}
		ms, err := strconv.Atoi(parts[0])
		if err != nil {
			return nil, err
		}
		f.pause, parts = time.Duration(ms)*time.Millisecond, parts[1:]
	default:
		return nil, fmt.Errorf("action %q is none of kill, stop, panic, sleep", f.action)
	}
	var err error
	if len(parts) > 0 {
		if f.probability, err = strconv.ParseFloat(parts[0], 64); err != nil {
			return nil, err
		}
	}
	if len(parts) > 1 {
		if f.nth, err = strconv.Atoi(parts[1]); err != nil {
			return nil, err
		}
	}
	if len(parts) > 2 {
		return nil, fmt.Errorf("has %d parts too many", len(parts)-2)
	}
	return f, nil
}

// hit counts a hit and says which fault it sets off.
func (p *plan) hit(name string) (*fault, bool) {
	if len(p.faults) == 0 {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		if !f.matches(name) {
			continue
		}
		f.hits++
		if (f.nth == 0 || f.nth == f.hits) && p.random.Float64() < f.probability {
			return f, true
		}
	}
	return nil, false
}

func (f *fault) matches(name string) bool {
	if prefix, ok := strings.CutSuffix(f.name, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return f.name == name
}
