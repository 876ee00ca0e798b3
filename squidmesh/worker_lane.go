package squidmesh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// lane is one kind of what ticks find. Each is looked after beside the others, so that no backlog of one, such as thousands of lost jobs in
// a database far away, keeps the windows and deadlines of another waiting; and by one goroutine at a time. A tick passes over the lanes that
// are busy: the next one finds it again. A lane that could do something about a list that was full does not wait for the next tick: the rest
// is looked for at once, for this lane alone.
type lane int

const (
	laneOrphans  lane = iota // attempts of lost workers
	laneJobless              // steps without a job
	laneOverdue              // deliveries that do not come
	laneExpired              // decisions past their deadline
	laneLate                 // attempts past theirs
	laneTriggers             // windows that are due
	laneFires                // fires that are to be looked after
	laneUntold               // what callers committed
	laneSpecs                // definitions in use

	lanes int = iota // how many there are
)

// lateEvery is in how many ticks one looks for attempts past their deadline, since that reads the steps of every run at work.
const lateEvery = 5

// free are the lanes that can take what a tick finds. Only the ticks themselves fill them, so they stay free until then.
func (s *service) free() []lane {
	s.ticks++
	var free []lane
	for l := range lane(lanes) {
		if !s.caring[l].Load() && (l != laneLate || s.ticks%lateEvery == 1) {
			free = append(free, l)
		}
	}
	return free
}

// leaveLane frees a lane that has been looked after. If there is more, that is looked for at once.
func (s *service) leaveLane(l lane, more bool) {
	s.caring[l].Store(false)
	if !more {
		return
	}
	select {
	case s.more <- l:
	default: // ticks were faster
	}
}

// ask has a tick look for what the lanes can take, from where each of them has come to.
func (s *service) ask(tick *driver.WorkerTick, free []lane) {
	for _, l := range free {
		switch l {
		case laneOrphans:
			tick.From.Orphans = s.places.Orphans
		case laneJobless:
			tick.From.Jobless = s.places.Jobless
		case laneOverdue:
			tick.Overdue, tick.From.Overdue = flow.OverdueAfter, s.places.Overdue
		case laneExpired:
			tick.From.Expired = s.places.Expired
		case laneLate:
			tick.Late, tick.From.Late = flow.ExpireAfter, s.places.Late
		}
	}
}

// goOn has the next look go on where a report ends: with the rest of a list that was full, as it reports, or from its beginning. So each row
// has its turn, whether or not something can be done about those before it.
func (s *service) goOn(l lane, report driver.WorkerReport) (full bool) {
	switch l {
	case laneOrphans:
		s.places.Orphans = flow.Hold{}
		if n := len(report.Orphans); n >= sweepLimit {
			s.places.Orphans = report.Orphans[n-1]
		}
		return s.places.Orphans != flow.Hold{}
	case laneJobless:
		s.places.Jobless = placeBehind(report.Jobless)
		s.later.end(s.places.Jobless)
		return s.places.Jobless != driver.StepPosition{}
	case laneOverdue:
		s.places.Overdue = placeBehind(report.Overdue)
		s.sent.end(s.places.Overdue)
		s.lost.end(s.places.Overdue)
		return s.places.Overdue != driver.StepPosition{}
	case laneExpired:
		s.places.Expired = placeBehind(report.Expired)
		return s.places.Expired != driver.StepPosition{}
	case laneLate:
		s.places.Late = placeBehind(report.Late)
		return s.places.Late != driver.StepPosition{}
	default:
		return false
	}
}

// placeBehind is where a list goes on: behind its last row, or at its beginning if these are all.
func placeBehind(rows []flow.StepState) driver.StepPosition {
	if len(rows) < sweepLimit {
		return driver.StepPosition{}
	}
	last := rows[len(rows)-1]
	at := last.DueAt
	if last.Status != flow.StepScheduled {
		at = last.DeadlineAt
	}
	return driver.StepPosition{At: at, Run: last.Run, StepKey: last.StepKey}
}

// care looks after what was found for a lane. There is more if the list was full and something could be done about it: what nothing can be
// done about, as thousands of steps that are late in a busy queue, is passed through at the pace of the ticks.
func (wk *worker[TTx]) care(svc *service, l lane, report driver.WorkerReport) (more bool, troubles []trouble) {
	ctx, cancel := context.WithTimeout(svc.ctx, maxPatience)
	defer cancel()
	var t tended
	defer func() { more = (svc.goOn(l, report) || t.full) && t.done > 0 }() // the list goes on also when an executor ends this goroutine
	t = wk.careFor(ctx, svc, l, report)
	return false, t.troubles
}

func (wk *worker[TTx]) careFor(ctx context.Context, svc *service, l lane, report driver.WorkerReport) tended {
	switch l {
	case laneOrphans:
		return wk.takeOver(ctx, report.Orphans)
	case laneJobless:
		return wk.dispatch(ctx, svc, report)
	case laneOverdue:
		return wk.sweep(ctx, svc, report)
	case laneExpired:
		return wk.expire(ctx, report.Expired, nil)
	case laneLate:
		return wk.expire(ctx, report.Late, report.Held)
	case laneTriggers:
		return wk.cron.fireTriggers(ctx, report)
	case laneFires:
		return wk.cron.careForFires(ctx, report, svc.began)
	case laneUntold:
		return tended{troubles: wk.tellUntold(ctx, report)}
	default:
		return tended{troubles: wk.noteSpecs(ctx)}
	}
}

// noteSpecs tells the database now and then that this process goes on using its definitions, before a start in a caller's transaction would
// have to look.
func (wk *worker[TTx]) noteSpecs(ctx context.Context) []trouble {
	if !slices.ContainsFunc(wk.workflows(),
		func(spec *Spec) bool { return !wk.definitions.specs.get(spec.Shape()).savedWithin(shapeUsedEvery / 2) }) {
		return nil
	}
	if err := wk.restore(ctx, shapeUsedEvery/2); err != nil {
		return []trouble{{what: "note that definitions are in use", err: err}}
	}
	return nil
}

// restore tells the database that the definitions are in use of which it was not told within that time, and puts back rows of shapes and
// triggers that are gone, as after somebody emptied the tables. Triggers that are there stay as they are: an old and a new version of the
// program would overwrite each other's schedules.
func (wk *worker[TTx]) restore(ctx context.Context, age time.Duration) error {
	err := wk.inTx(ctx, func(ctx context.Context, tx TTx) error {
		now, err := wk.now(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := wk.cron.cronTriggers(now)
		if err != nil || len(rows) == 0 {
			return err
		}
		_, err = wk.store.SaveCron(ctx, tx, driver.CronChange{Register: rows})
		return err
	})
	if err != nil {
		return fmt.Errorf("put back triggers: %w", err)
	}
	return wk.definitions.saveSpecs(ctx, age, wk.workflows()...) // last, as this is what the next time is counted from
}
