package scenariotest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// scenarioWorker is what processes are called in what scripts print.
const scenarioWorker = "worker"

// coreDriver interprets scripts on the pure core: it keeps runs in memory, and does by itself what a runtime does around
// decisions.
type coreDriver struct {
	plays   *Plays
	config  DriverConfig
	now     time.Time
	specs   map[string]*flow.Spec // as registered, by workflow
	variant map[string]*flow.Spec // all, by the names of the table

	book    *book
	order   []flow.RunID
	pinned  map[flow.RunID]*flow.Spec
	keys    map[string]flow.RunID
	worker  flow.WorkerID
	lost    map[flow.WorkerID]bool
	holds   []flow.Hold
	held    []*coreCall
	refuse  bool
	jobs    int
	news    byhand.News
	problem error
}

// coreCall is an attempt that stands still.
type coreCall struct {
	claim       flow.Claim
	outcome     flow.Outcome
	interrupted bool
}

// NewCoreDriver makes a driver of the pure core. Workflows are registered under their own names; variants are others that a
// script may deploy, by the names that it uses.
func NewCoreDriver(plays *Plays, config DriverConfig, workflows []squidmesh.Workflow, variants map[string]squidmesh.Workflow) (Driver, error) {
	d := &coreDriver{
		plays: plays, config: config, now: byhand.Start, book: newBook(), worker: 1,
		specs: map[string]*flow.Spec{}, variant: map[string]*flow.Spec{},
		pinned: map[flow.RunID]*flow.Spec{}, keys: map[string]flow.RunID{}, lost: map[flow.WorkerID]bool{},
	}
	for _, w := range workflows {
		spec, err := squidmesh.Compile(w)
		if err != nil {
			return nil, err
		}
		d.specs[w.Name] = spec
	}
	for name, w := range variants {
		spec, err := squidmesh.Compile(w)
		if err != nil {
			return nil, err
		}
		d.variant[name] = spec
	}
	return d, nil
}

func (d *coreDriver) Now() time.Time { return d.now }
func (d *coreDriver) Close()         {}

func (d *coreDriver) News() byhand.News {
	news := d.news
	d.news = byhand.News{}
	return news
}

func (d *coreDriver) Advance(by time.Duration) error {
	d.now = d.now.Add(by)
	return nil
}

func (d *coreDriver) RefuseJobs(refuse bool) error {
	d.refuse = refuse
	return nil
}

func (d *coreDriver) Deploy(variant string) error {
	spec := d.variant[variant]
	if spec == nil {
		return fmt.Errorf("no variant is called %q", variant)
	}
	d.specs[spec.Workflow()] = spec
	return nil
}

// Start decides the first event of a run. The core sees only payloads that were accepted.
func (d *coreDriver) Start(params squidmesh.StartParams) (squidmesh.StartResult, error) {
	spec := d.specs[params.Workflow]
	if spec == nil {
		return squidmesh.StartResult{}, flow.ErrUnknownWorkflow
	}
	trigger, ok := spec.Trigger(params.Trigger)
	if !ok {
		return squidmesh.StartResult{}, flow.ErrUnknownTrigger
	}
	payload, _ := params.Payload.(json.RawMessage)
	if payload == nil {
		payload = json.RawMessage("{}")
	}
	return d.begin(spec, flow.Started{Trigger: trigger.Name, Payload: payload, Key: params.Key, Actor: params.Actor})
}

func (d *coreDriver) begin(spec *flow.Spec, e flow.Started) (squidmesh.StartResult, error) {
	place := spec.Workflow() + "\x00" + e.Key
	if id, taken := d.keys[place]; taken && e.Key != "" {
		existing := d.book.pages[id].snapshot.Run
		if existing.Trigger != e.Trigger || !bytes.Equal(byhand.Sorted(existing.Payload), byhand.Sorted(e.Payload)) {
			return squidmesh.StartResult{}, flow.ErrKeyConflict
		}
		return squidmesh.StartResult{Run: existing, Existing: true}, nil
	}
	binary.BigEndian.PutUint32(e.ID[:], uint32(len(d.order)+1)) //nolint:gosec // a handful
	d.pinned[e.ID] = spec
	t, err := d.decide(e.ID, e)
	if err != nil {
		delete(d.pinned, e.ID)
		return squidmesh.StartResult{}, err
	}
	d.order = append(d.order, e.ID)
	d.keys[place] = e.ID
	return squidmesh.StartResult{Run: t.Run}, nil
}

func (d *coreDriver) Replay(id flow.RunID, params squidmesh.ReplayParams) (squidmesh.StartResult, error) {
	by := flow.Decision{Actor: params.Actor}
	if _, err := d.decide(id, flow.Replayed{Decision: by, AllowIrreversible: params.AllowIrreversible}); err != nil {
		return squidmesh.StartResult{}, err
	}
	source := d.book.pages[id].snapshot.Run
	return d.begin(d.specs[source.Workflow], flow.Started{
		Trigger: source.Trigger, Payload: source.Payload, Key: params.Key, Actor: params.Actor, ReplayedFrom: id,
	})
}

func (d *coreDriver) Operate(id flow.RunID, e flow.Event, elsewhere bool) (flow.Run, error) {
	t, err := d.decide(id, e)
	if err != nil {
		return flow.Run{}, err
	}
	if t.Interrupt && !elsewhere {
		d.interrupt(id)
	}
	return d.book.pages[id].snapshot.Run, nil
}

// interrupt marks what stands still in the run: an error that it returns now is put down to the interruption.
func (d *coreDriver) interrupt(id flow.RunID) {
	for _, call := range d.held {
		if call.claim.Run == id && call.claim.Phase == flow.PhaseDo {
			call.interrupted = true
		}
	}
}

// decide makes the decision, on what it says that it reads and on everything, enters it, and hands its jobs to the queue.
func (d *coreDriver) decide(id flow.RunID, e flow.Event) (flow.Transition, error) {
	spec, page := d.pinned[id], d.book.pages[id]
	if spec == nil {
		return flow.Transition{}, flow.ErrNotFound
	}
	if today := d.specs[spec.Workflow()]; today != nil {
		spec = spec.WithPolicy(today)
	}
	var full flow.Snapshot
	if page != nil {
		full = page.snapshot
	}
	full.WorkerLost = d.lost[flow.TraitsOf(e).Attempted.Worker]
	t, err := flow.Decide(spec, full, e, d.now)
	if page != nil {
		partial, partialErr := flow.Decide(spec, only(full, flow.ReadsOf(spec, full.Run, e)), e, d.now)
		if !assert.ObjectsAreEqual(err, partialErr) || !reflect.DeepEqual(t, partial) {
			d.problem = fmt.Errorf("%T is decided otherwise on what it reads:\n%+v\n%+v", e, []any{t, err}, []any{partial, partialErr})
		}
	}
	if err != nil || t.Empty() {
		return t, err
	}
	if d.refuse && len(t.Jobs) > 0 {
		if !flow.TraitsOf(e).MustBeKnown() {
			return flow.Transition{}, flow.ErrDispatch
		}
		t.Jobs = nil // what has ended must not be lost: its successors go without a job
	}
	d.enqueue(&t)
	for _, h := range t.Unheld {
		d.holds = slices.DeleteFunc(d.holds, func(o flow.Hold) bool { return o == h })
	}
	d.holds = append(d.holds, t.Held...)
	d.book.apply(t)
	d.news.Transitions = append(d.news.Transitions, t)
	return t, nil
}

// enqueue gives jobs their ids, and rows the ids of their jobs.
func (d *coreDriver) enqueue(t *flow.Transition) {
	for i := range t.Jobs {
		job := &t.Jobs[i]
		job.Queue = queueOf(job.Queue)
		d.jobs++
		for j := range t.Steps {
			if t.Steps[j].StepKey == job.StepKey {
				t.Steps[j].JobID, t.Steps[j].Queue = fmt.Sprintf("job-%d", d.jobs), job.Queue
			}
		}
		d.news.Jobs = append(d.news.Jobs, byhand.QueuedJob{Delivery: deliveryOf(*job), DueAt: job.DueAt})
	}
}

func queueOf(name string) string {
	if name == "" {
		return "squidmesh"
	}
	return name
}

func deliveryOf(job flow.Job) driver.Delivery {
	if job.Phase == flow.PhaseUndo {
		return driver.CompensationJob{RunID: job.Run, Step: job.Name, Attempt: job.Attempt}.Delivery()
	}
	return driver.StepJob{RunID: job.Run, Step: job.Name, Attempt: job.Attempt}.Delivery()
}

// only is the part of a snapshot that a decision reads.
func only(s flow.Snapshot, reads flow.Reads) flow.Snapshot {
	if reads.All {
		return s
	}
	all := s.Steps
	s.Steps = map[flow.StepKey]flow.StepState{}
	for _, key := range reads.Steps {
		if row, ok := all[key]; ok {
			s.Steps[key] = row
		}
	}
	return s
}

func (d *coreDriver) View(id flow.RunID) (View, error) {
	if d.problem != nil {
		return View{}, d.problem
	}
	p, spec := d.book.pages[id], d.pinned[id]
	v := p.view()
	v.Spec, v.Statuses = spec, map[string]string{}
	for _, st := range spec.Steps() {
		v.Statuses[st.Name] = statusOf(v, st.Name)
	}
	s := p.snapshot
	s.Environment = d.surroundings()
	v.Explanation = flow.Explain(spec, s, d.now)
	v.Steps = maps.Clone(v.Steps)
	return v, nil
}

// surroundings are the one worker that lives, by the name that scripts print, and what it has.
func (d *coreDriver) surroundings() *flow.Environment {
	w := flow.Worker{ID: d.worker, Name: scenarioWorker, Queues: []string{queueOf("")}, LeaseUntil: d.now.Add(time.Hour)}
	around := &flow.Environment{Definitions: map[string]*flow.Spec{}}
	for _, spec := range d.specs {
		around.Definitions[spec.Shape()] = spec
		w.Shapes = append(w.Shapes, spec.Shape())
	}
	around.Workers = []flow.Worker{w}
	return around
}

// statusOf is the status that inspection shows.
func statusOf(v View, name string) string {
	row, ok := v.Steps[flow.StepKey{Name: name, Phase: flow.PhaseDo}]
	switch {
	case ok && row.Missing == 0:
		return string(row.Status)
	case ok && row.Status != flow.StepScheduled:
		return string(row.Status)
	case v.Run.Status.Terminal():
		return squidmesh.InspectSkipped
	default:
		return squidmesh.InspectWaiting
	}
}

func parseRunID(text string) (flow.RunID, error) { return uuid.Parse(text) }
