package squidmesh

import (
	"sync"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/wake"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (
	// pacedFor is the longest delay that is paced. Later deliveries are left to the queue's own polling, and to the tick.
	pacedFor = time.Minute

	// paceGrace is how long after its time a delivery may be missing before the executor is asked what became of its job.
	paceGrace = 100 * time.Millisecond

	// maxPaced bounds the deliveries of one process that are paced at a time. The others are left to the queue and the tick.
	maxPaced = 10_000
)

// pacer keeps the time of deliveries that this process had enqueued for later. When one is due it wakes the queue, and when nobody has
// claimed it a moment later it has it looked after. So neither the loss of the job nor a queue that holds it back, such as River
// without a leader, delays a timer by more than that moment. What a process that died had in mind is found by the tick of another.
type pacer struct {
	later func() (wake func(queues ...string))
	look  func(late []flow.StepState) // nil if nobody can be asked

	mu      sync.Mutex
	ahead   int                     // wake-ups that are to come
	coming  map[deliveryID]struct{} // not claimed by this process
	late    []flow.StepState
	looking bool
}

// expect paces a delivery of the row's attempt by the row's job.
func (p *pacer) expect(row flow.StepState, after time.Duration) {
	if after > pacedFor {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if max(p.ahead, len(p.coming)) >= maxPaced {
		return
	}
	p.ahead++
	wake := p.later()
	time.AfterFunc(after, func() {
		p.mu.Lock()
		p.ahead--
		p.mu.Unlock()
		wake(row.Queue)
	})
	if p.look == nil || row.JobID == "" {
		return
	}
	if p.coming == nil {
		p.coming = map[deliveryID]struct{}{}
	}
	p.coming[deliveryOf(row)] = struct{}{}
	time.AfterFunc(after+paceGrace, func() { p.miss(row) })
}

// claimed notes that a delivery came to this process.
func (p *pacer) claimed(id deliveryID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.coming, id)
}

// miss has a delivery looked after unless it was claimed. Others that are late at the same time are looked after together.
func (p *pacer) miss(row flow.StepState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := deliveryOf(row)
	if _, missing := p.coming[id]; !missing {
		return
	}
	delete(p.coming, id)
	p.late = append(p.late, row)
	if !p.looking {
		p.looking = true
		go p.run()
	}
}

func (p *pacer) run() {
	p.mu.Lock()
	n := min(len(p.late), sweepLimit)
	late := p.late[:n:n]
	if p.late, p.looking = p.late[n:], n > 0; n == 0 {
		p.late = nil
	}
	p.mu.Unlock()
	if n == 0 {
		return
	}
	defer func() { // even if an executor ends the goroutine
		time.AfterFunc(wake.Cooldown, p.run)
	}()
	p.look(late)
}

// paced has the jobs of a transaction paced: those that are due at once are woken for by whoever knows when it commits.
func (q *queue[TTx]) paced(run RunID, jobs []Dispatched) {
	for _, job := range jobs {
		if job.Delay > 0 {
			q.pacer.expect(flow.StepState{
				Run: run, StepKey: job.StepKey, Attempt: job.Attempt, JobID: job.JobID, Queue: job.Queue,
			}, job.Delay)
		}
	}
}

// wakeElsewhere wakes all queues after a pause, so that processes fetch at once. Each polls at its own beat, and without this the one that
// polls first after such a pause was seen to be the same wrong one dozens of times in a row.
func (q *queue[TTx]) wakeElsewhere(pause time.Duration) {
	for _, queue := range q.queues() {
		q.pacer.expect(flow.StepState{Queue: queue}, pause+noted)
	}
}
