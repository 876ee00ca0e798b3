package squidmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// errElsewhere says that somebody else has locked a run of a batch, or that the run does not exist.
var errElsewhere = errors.New("run is locked elsewhere")

// batchWrite is what one transaction writes. order has each run of runs once, in the order in which members came for them.
type batchWrite struct {
	runs  map[RunID]*runWrite
	order []*runWrite
}

// runWrite is one run of a transaction, with the events that came for it, in their order. run is its row as it was locked. folded
// is one transition for all events, so the run's row is written once.
type runWrite struct {
	run     Run
	pinned  *pinned
	memory  *runMemory
	members []*member
	folded  flow.Transition
}

// write is the heart of every commit: lock, load, decide, enqueue, apply, in this order. The clock is read after the locks were
// granted, and the executor writes its jobs through the same transaction (promise 1).
//
// If wait is false, write leaves out members whose runs somebody else holds (errElsewhere): a batch must not hold up those behind
// it, nor a tick the next one. A refusal is noted on its member. An error that is returned concerns all members, and the caller
// rolls back.
func (cm *committer[TTx]) write(ctx context.Context, tx TTx, members []*member, wait bool, dispatch enqueueFunc[TTx]) (*batchWrite, error) {
	q := driver.LockQuery{SkipLocked: !wait}
	for _, m := range members {
		if m.start == nil {
			q.Runs = append(q.Runs, m.id)
		}
		if worker := flow.TraitsOf(m.event).Attempted.Worker; worker != 0 {
			q.Worker = worker
		}
	}
	locked, err := cm.store.Lock(ctx, tx, q)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", text.Count(len(q.Runs), "run"), err)
	}
	w := &batchWrite{runs: make(map[RunID]*runWrite, len(members)), order: make([]*runWrite, 0, len(members))}
	for _, m := range members {
		if err := cm.admit(ctx, tx, w, m, q, locked); err != nil {
			return nil, err
		}
	}
	if err := cm.load(ctx, tx, w); err != nil {
		return nil, err
	}
	if err := cm.findTakers(ctx, tx, w); err != nil {
		return nil, err
	}
	w.decide(locked)
	if err := cm.insertKeyed(ctx, tx, w); err != nil {
		return nil, err
	}
	if err := cm.claimInputs(ctx, tx, w); err != nil {
		return nil, err
	}
	faultAt(members, "before_enqueue")
	if err := dispatch(ctx, tx, w); err != nil {
		return nil, err
	}
	faultAt(members, "after_enqueue")
	ts := make([]flow.Transition, 0, len(w.order))
	for _, r := range w.order {
		if !r.folded.Empty() {
			r.memory.apply(r.folded)
			r.folded.Untold = r.members[0].joined // who joins a caller's transaction comes alone
		}
		if !r.folded.Empty() || len(r.folded.Unheld) > 0 {
			ts = append(ts, r.folded)
		}
	}
	if len(ts) == 0 {
		return w, nil
	}
	if err := cm.store.Apply(ctx, tx, ts); err != nil {
		return nil, fmt.Errorf("apply %s from %s on: %w", text.Count(len(ts), "run"), ts[0].Run.ID, err)
	}
	return w, nil
}

// admit takes a member into the transaction if its run is there.
func (cm *committer[TTx]) admit(ctx context.Context, tx TTx, w *batchWrite, m *member, q driver.LockQuery, locked driver.Locked) error {
	if m.start != nil {
		cm.admitStart(w, m, locked)
		return nil
	}
	run, ok := locked.Runs[m.id]
	switch worker := flow.TraitsOf(m.event).Attempted.Worker; {
	case !ok && q.SkipLocked:
		m.own = errElsewhere
		return nil
	case !ok:
		m.err = fmt.Errorf("run %s: %w", m.id, ErrNotFound)
		return nil
	case worker != 0 && worker != q.Worker:
		m.own = errElsewhere
		return nil
	}
	r := w.runs[m.id]
	if r == nil {
		p, err := cm.definitions.pin(ctx, tx, run)
		if errors.Is(err, ErrUnknownShape) {
			m.err = err
			return nil
		}
		if err != nil {
			return err
		}
		r = &runWrite{run: run, pinned: p, memory: cm.carrier.take(run)}
		w.runs[m.id] = r
		w.order = append(w.order, r)
	}
	m.event = equip(m.event, r.pinned, cm.abandoned.stuck(r.run.Workflow))
	r.members = append(r.members, m)
	return nil
}

// admitStart takes the start of a run into the transaction. Its definition has been saved; its payload has been checked, and gets its defaults by
// the database's clock.
func (cm *committer[TTx]) admitStart(w *batchWrite, m *member, locked driver.Locked) {
	started := m.start.event
	if m.start.cron {
		started.ReceivedAt = locked.Now
	}
	if started.Payload, m.err = fillPayload(m.start.trigger, m.start.payload, cmp.Or(started.WindowAt, locked.Now)); m.err != nil {
		return
	}
	m.event = started
	r := &runWrite{pinned: &pinned{spec: m.start.spec}, memory: newRunMemory(started.Payload), members: []*member{m}}
	w.runs[m.id] = r
	w.order = append(w.order, r)
}

// load reads the rows that the decisions need and that are not remembered. It asks for all runs at once.
func (cm *committer[TTx]) load(ctx context.Context, tx TTx, w *batchWrite) error {
	wanted := map[RunID]flow.Reads{}
	for _, r := range w.order {
		var reads flow.Reads
		for _, m := range r.members {
			reads = reads.Union(flow.ReadsOf(r.pinned.spec, r.run, m.event))
		}
		if missing := r.memory.missing(reads); !missing.Empty() {
			wanted[r.run.ID] = missing
		}
	}
	return cm.loadInto(ctx, tx, w, wanted)
}

func (cm *committer[TTx]) loadInto(ctx context.Context, tx TTx, w *batchWrite, wanted map[RunID]flow.Reads) error {
	if len(wanted) == 0 {
		return nil
	}
	loaded, err := cm.store.Load(ctx, tx, wanted)
	if err != nil {
		return fmt.Errorf("load %s: %w", text.Count(len(wanted), "run"), err)
	}
	for id, reads := range wanted {
		w.runs[id].memory.add(reads, loaded[id])
	}
	return nil
}

// findTakers finds out whether another process could take a delivery whose function this process lacks. It reads the workers once
// for all deliveries of a transaction, and not at all if there is no such delivery.
func (cm *committer[TTx]) findTakers(ctx context.Context, tx TTx, w *batchWrite) error {
	var around *flow.Environment
	var now time.Time
	for _, r := range w.order {
		for _, m := range r.members {
			e, ok := m.event.(flow.Claimed)
			row := r.memory.rows[e.StepKey]
			if !ok || e.Runnable[e.StepKey] || row.Status != flow.StepScheduled || !r.pinned.spec.Find(e.Name).Executes(e.Phase) {
				continue
			}
			if around == nil {
				var err error
				if around, now, err = cm.definitions.around(ctx, tx); err != nil {
					return err
				}
			}
			_, e.Elsewhere = around.Taker(r.pinned.spec, row, now)
			m.event = e
		}
	}
	return nil
}

// decide decides the events of each run one after the other, and folds them into one transition. Each event sees what the ones
// before it did. A refused event changes nothing, and the others go on. Events that change nothing, such as results that the fence
// refuses (promise 3), only give up holds.
func (w *batchWrite) decide(locked driver.Locked) {
	for _, r := range w.order {
		snapshot := flow.Snapshot{Run: r.run, Steps: r.memory.rows, WorkerLost: locked.WorkerLost}
		for _, m := range r.members {
			t, err := flow.Decide(r.pinned.spec, snapshot, m.event, locked.Now)
			if err != nil {
				m.err = err
				continue
			}
			m.c = committed{Transition: t, run: snapshot.Run}
			if t.Empty() {
				r.folded.Unheld = append(r.folded.Unheld, t.Unheld...)
				continue
			}
			r.memory.apply(t) // the snapshot's rows, too
			snapshot.Run = t.Run
			r.folded = r.folded.Merge(t)
		}
	}
}

// insertKeyed inserts the runs whose place may be taken: those with a key, and those whose start is repeated while its first COMMIT
// may still take effect. InsertRun waits for that COMMIT. If the place is taken, nothing else of the start is written.
func (cm *committer[TTx]) insertKeyed(ctx context.Context, tx TTx, w *batchWrite) error {
	for _, r := range w.order {
		if !r.folded.NewRun || r.folded.Run.Key == "" && r.members[0].doubtful == nil {
			continue
		}
		m := r.members[0]
		taken, err := cm.insertRun(ctx, tx, r.folded.Run, m.start.reuse)
		if err != nil {
			return fmt.Errorf("insert run of %s: %w", r.folded.Run.Workflow, err)
		}
		key, hash := strings.TrimPrefix(r.folded.Run.Key, flow.CronSpace), r.folded.Run.KeyHash
		r.folded.Run.KeyHash, m.c.Run.KeyHash = "", "" // what goes on from here is told to callers and observers
		r.folded.Run.Key, m.c.Run.Key = flow.CallersKey(r.folded.Run.Key), flow.CallersKey(m.c.Run.Key)
		if taken == nil {
			continue
		}
		if envelope.Is(taken.KeyHash) {
			return fmt.Errorf("start %s with key %s: run %s: %w", taken.Workflow, echo.Quote(key), taken.ID, unreadable(taken.KeyHash))
		}
		if taken.KeyHash != hash {
			m.err = fmt.Errorf("start %s with key %s: %w: run %s", taken.Workflow, echo.Quote(key), ErrKeyConflict, taken.ID)
		}
		taken.KeyHash = ""
		m.c, r.folded = committed{existing: taken}, flow.Transition{}
	}
	return nil
}

// insertRun inserts the row of a new run. If its key belongs to a run that gives it up, insertRun takes the key and tries again.
func (cm *committer[TTx]) insertRun(ctx context.Context, tx TTx, run Run, reuse KeyReuse) (taken *Run, err error) {
	for {
		taken, err := cm.store.InsertRun(ctx, tx, run)
		if err != nil || taken == nil || taken.ID == run.ID || !reuse.takesFrom(taken.Status) {
			return taken, err
		}
		if err := cm.store.FreeKey(ctx, tx, taken.ID); err != nil {
			return nil, err
		}
	}
}

// claimInputs builds the inputs of claimed steps: from the payload, the outputs stored so far, and the outputs that this
// transaction brings. No step is claimed whose input cannot be opened.
func (cm *committer[TTx]) claimInputs(ctx context.Context, tx TTx, w *batchWrite) error {
	wanted := map[RunID]flow.Reads{}
	for _, r := range w.order {
		for _, m := range r.members {
			if claim := m.c.Claim; claim != nil && len(claim.Keys) > 0 {
				wanted[r.run.ID] = wanted[r.run.ID].Union(r.memory.missing(flow.Reads{Outputs: claim.Sources, Payload: true}))
			}
		}
		if wanted[r.run.ID].Empty() {
			delete(wanted, r.run.ID)
		}
	}
	if err := cm.loadInto(ctx, tx, w, wanted); err != nil {
		return err
	}
	for _, r := range w.order {
		for _, m := range r.members {
			claim := m.c.Claim
			if claim != nil && claim.Cause != nil && envelope.Unopened(claim.Cause) {
				return fmt.Errorf("failure that led to step %s of run %s: %w", claim.Name, claim.Run, unreadable(claim.Cause.Details))
			}
			if claim != nil && len(claim.Keys) > 0 {
				if sealed := unopened(claim.Sources, r.memory.payload, r.memory.outputs); sealed != nil {
					return fmt.Errorf("input of step %s of run %s: %w", claim.Name, claim.Run, unreadable(sealed))
				}
				m.c.input = r.pinned.spec.Input(claim.Keys, claim.Sources, r.memory.payload, r.memory.outputs)
			}
		}
	}
	return nil
}

// equip adds to an event which steps its worker has functions for, and which of them have too many calls that do not end.
func equip(e flow.Event, p *pinned, stuck map[flow.StepKey]bool) flow.Event {
	switch e := e.(type) {
	case flow.Claimed:
		e.Runnable, e.Unfit, e.Stuck = p.runnable, p.unfit, stuck
		return e
	case flow.Succeeded:
		if e.Runnable != nil {
			e.Runnable, e.Stuck = p.runnable, stuck
		}
		return e
	case flow.Failed:
		if e.Runnable != nil {
			e.Runnable, e.Stuck = p.runnable, stuck
		}
		return e
	default:
		return e
	}
}

// faultAt is a fault point of the transaction that decides the members' events: claim.before_commit, apply.after_enqueue and so
// on. In programs as they are shipped it is nothing; see package fault.
func faultAt(members []*member, place string) {
	if !fault.Enabled {
		return
	}
	for _, m := range members {
		fault.Hit(string(flow.TraitsOf(m.event).Stage) + "." + place)
	}
}
