package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one life of a worker or client.
type process struct {
	name, role string
	cmd        *exec.Cmd
	frozen     bool
	died       chan struct{}
}

// death is the end of a process by SIGKILL.
type death struct {
	process string
	at      time.Time
}

// databaseEnv tells a process of the crew where the database is. The URL has a password, which a command line would show to everybody.
const databaseEnv = "SOAK_DATABASE_URL"

// crew keeps the processes: one per slot, replaced when it ends.
type crew struct {
	options
	database string // through the proxy
	dir      string
	faults   *faultPlan
	say      func(format string, args ...any)

	mu         sync.Mutex
	lives      int
	slots      map[string]*process
	closing    bool // ends are expected, and not replaced
	deaths     []death
	freezes    int
	points     map[string]int // faults that fired, by name
	unexpected []string       // ends that nobody caused
	tasks      sync.WaitGroup
}

// spawn starts a process in a slot.
func (c *crew) spawn(slot, role, faults string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	c.lives++
	p := &process{name: fmt.Sprintf("%s.%d", slot, c.lives), role: role, died: make(chan struct{})}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	p.cmd = exec.Command(program, "-role", role, "-name", p.name,
		"-ledger", filepath.Join(c.dir, p.name+".ledger"), "-seed", fmt.Sprint(c.seed), "-rate", fmt.Sprint(c.rate))
	p.cmd.Env = append(os.Environ(), databaseEnv+"="+c.database, "SQUIDMESH_FAULTS="+faults, fmt.Sprintf("SQUIDMESH_FAULT_SEED=%d-%s", c.seed, p.name))
	apart(p.cmd)
	log, err := os.Create(filepath.Join(c.dir, p.name+".log"))
	if err != nil {
		return err
	}
	said, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	p.cmd.Stdout = log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	c.slots[slot] = p
	c.tasks.Go(func() { c.watch(slot, p, said, log) })
	return nil
}

// watch reads what a process says until it ends, and replaces it.
func (c *crew) watch(slot string, p *process, said io.Reader, log *os.File) {
	defer log.Close()
	last := ""
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		last = lines.Text()
		fmt.Fprintln(log, last)
		if action, ok := strings.CutPrefix(last, "fault: "); ok {
			c.fired(p, action)
		}
	}
	err := p.cmd.Wait()
	at := time.Now()
	close(p.died)

	c.mu.Lock()
	closing := c.closing
	switch {
	case endedBy(p.cmd.ProcessState, syscall.SIGKILL):
		c.deaths = append(c.deaths, death{p.name, at})
	case closing && endedBy(p.cmd.ProcessState, syscall.SIGTERM): // before it could listen to what it is told
	case !closing || err != nil:
		c.unexpected = append(c.unexpected, fmt.Sprintf("%s ended by itself: %v: %s", p.name, err, last))
	}
	c.mu.Unlock()
	if closing {
		return
	}
	time.Sleep(200 * time.Millisecond) // a supervisor takes its time, too
	if err := c.spawn(slot, p.role, c.faults.next(p.role)); err != nil {
		c.say("spawn %s: %v", slot, err)
	}
}

// fired notes a fault; a process that has stopped itself has to be continued.
func (c *crew) fired(p *process, action string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.points[action]++
	if strings.HasPrefix(action, "stop ") {
		p.frozen = true
		c.freezes++
		c.tasks.Go(func() { c.thawLater(p) })
	}
}

// thawLater lets a frozen process go on after its lease has run out.
func (c *crew) thawLater(p *process) {
	select {
	case <-time.After(c.faults.freeze()):
	case <-p.died:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.frozen = false
	_ = p.cmd.Process.Signal(thawSignal)
}

// freeze stops a process in its tracks, for longer than its lease.
func (c *crew) freeze(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == nil || p.frozen || c.closing {
		return
	}
	p.frozen = true
	c.freezes++
	c.say("freeze %s", p.name)
	_ = p.cmd.Process.Signal(freezeSignal)
	c.tasks.Go(func() { c.thawLater(p) })
}

// kill ends a process without warning.
func (c *crew) kill(p *process) {
	if p != nil {
		c.say("kill %s", p.name)
		_ = p.cmd.Process.Kill()
	}
}

// pick takes one that is not frozen, by a number that decides.
func (c *crew) pick(number int, role string) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	var awake []*process
	for i := range c.workers + c.clients {
		for _, slot := range []string{fmt.Sprintf("worker%d", i), fmt.Sprintf("client%d", i)} {
			if p := c.slots[slot]; p != nil && !p.frozen && (role == "" || p.role == role) {
				awake = append(awake, p)
			}
		}
	}
	if len(awake) == 0 {
		return nil
	}
	return awake[number%len(awake)]
}

// heal ends all processes gracefully, the frozen ones too, and waits for them.
func (c *crew) heal() {
	c.mu.Lock()
	c.closing = true
	for _, p := range c.slots {
		p.frozen = false
		_ = p.cmd.Process.Signal(thawSignal)
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		c.mu.Lock()
		for slot, p := range c.slots {
			select {
			case <-p.died:
			default:
				c.unexpected = append(c.unexpected, slot+" does not stop when told to")
				_ = p.cmd.Process.Kill()
			}
		}
		c.mu.Unlock()
		<-done
	}
	c.mu.Lock()
	c.slots, c.closing = map[string]*process{}, false
	c.mu.Unlock()
}
