package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// lost reports whether a worker was declared lost.
func lost(w flow.Worker) bool { return !w.LostAt.IsZero() }

// Workers implements driver.Store.
func (s *Store) Workers(ctx context.Context, tx *Tx, tick driver.WorkerTick) (driver.WorkerReport, error) {
	report := driver.WorkerReport{Now: s.now()}
	if tick.ListWorkers {
		report.Workers = capped(tx.state.roster(), tick.Limit)
		return report, tx.usable(ctx)
	}
	if err := tx.writable(ctx); err != nil {
		return driver.WorkerReport{}, err
	}
	term := tick.Lease
	if term <= 0 {
		term = lease
	}
	alive := tick.Heartbeat
	if tick.Register != nil {
		tx.state.lastID++
		report.Registered, alive = tx.state.lastID, tx.state.lastID
		row := *tick.Register
		row.ID, row.LostAt, row.LeaseUntil = alive, time.Time{}, report.Now.Add(term)
		tx.state.workers[alive], tx.state.steady[alive] = row, report.Now
	}
	if w, known := tx.state.workers[tick.Resign]; known && !lost(w) {
		w.LostAt = report.Now
		tx.state.workers[tick.Resign] = w
	}
	if w, known := tx.state.workers[alive]; known && !lost(w) {
		report.Alive = true
		if tick.Only != driver.TickLook {
			if since := tx.state.steady[alive]; w.LeaseUntil.Before(report.Now.Add(term/2)) || since.After(report.Now) {
				tx.state.steady[alive] = report.Now
			}
			w.LeaseUntil = report.Now.Add(term)
			tx.state.workers[alive] = w
		}
	}
	if tick.Only == driver.TickLease {
		return report, nil
	}
	if tick.Register != nil {
		tx.state.forget(report.Now)
	}
	witnessed := tx.state.witnessed(report.Now, term)
	for id, w := range tx.state.workers {
		if id != alive && !lost(w) && (tick.LoseOthers || witnessed && w.LeaseUntil.Before(report.Now)) {
			w.LostAt = report.Now
			tx.state.workers[id] = w
		}
	}
	tx.state.care(alive, tick, &report)
	return report, nil
}

// witnessed reports whether a worker has renewed its lease for as long as one lasts, up to now, without a gap of more than half of it.
func (s *state) witnessed(now time.Time, term time.Duration) bool {
	for id, w := range s.workers {
		if !lost(w) && !w.LeaseUntil.Before(now.Add(term/2)) && !s.steady[id].After(now.Add(-term)) {
			return true
		}
	}
	return false
}

// roster lists the workers that are not lost, and those that are but hold something.
func (s *state) roster() []flow.Worker {
	var roster []flow.Worker
	for _, w := range s.workers {
		if !lost(w) || s.holds.by(w.ID) {
			roster = append(roster, w)
		}
	}
	slices.SortFunc(roster, func(a, b flow.Worker) int { return cmp.Compare(a.ID, b.ID) })
	return roster
}

// forget drops the workers that were lost a day ago and hold nothing.
func (s *state) forget(now time.Time) {
	for id, w := range s.workers {
		if lost(w) && now.Sub(w.LostAt) > 24*time.Hour && !s.holds.by(id) {
			delete(s.workers, id)
			delete(s.steady, id)
		}
	}
}

// holds are the deliveries that workers are at work on.
type holds map[flow.Hold]bool

// by reports whether a worker holds something.
func (all holds) by(id flow.WorkerID) bool {
	for h := range all {
		if h.Worker == id {
			return true
		}
	}
	return false
}

// care reports what needs care.
func (s *state) care(alive flow.WorkerID, tick driver.WorkerTick, report *driver.WorkerReport) {
	for h := range s.holds {
		if lost(s.workers[h.Worker]) && compareHolds(h, tick.From.Orphans) > 0 {
			report.Orphans = append(report.Orphans, h)
		}
		if r := s.runs[h.Run]; h.Worker == alive && r != nil && r.row.Verdict != flow.VerdictNone && !slices.Contains(report.Verdicts, h.Run) {
			report.Verdicts = append(report.Verdicts, h.Run)
		}
	}
	slices.SortFunc(report.Orphans, compareHolds)
	slices.SortFunc(report.Verdicts, func(a, b flow.RunID) int { return slices.Compare(a[:], b[:]) })

	soon, late := report.Now.Add(tick.DueWithin), report.Now.Add(-tick.Overdue)
	for _, r := range s.runs {
		for _, step := range r.steps {
			switch {
			case step.Status != flow.StepScheduled || step.DueAt.IsZero():
			case step.JobID == "" && step.DueAt.Before(soon):
				report.Jobless = append(report.Jobless, step)
			case step.JobID != "" && tick.Overdue > 0 && step.DueAt.Before(late):
				report.Overdue = append(report.Overdue, step)
			}
		}
	}
	report.Orphans = capped(report.Orphans, tick.Limit)
	report.Jobless, report.Overdue = page(report.Jobless, tick.From.Jobless, tick.Limit), page(report.Overdue, tick.From.Overdue, tick.Limit)
	s.failed(tick.Blocks, report)
	s.expired(tick, report)
	report.Untold = len(s.untold) > 0
	s.cronDue(tick.Triggers, report)
}

// failed reports which of the blocks have failed.
func (s *state) failed(blocks []driver.BlockKey, report *driver.WorkerReport) {
	for _, b := range blocks {
		r := s.runs[b.Run]
		if r != nil && r.steps[flow.StepKey{Name: b.Name, Phase: flow.PhaseDo}].Status == flow.StepFailed {
			report.Failed = append(report.Failed, b)
		}
	}
	slices.SortFunc(report.Failed, func(a, b driver.BlockKey) int {
		return cmp.Or(slices.Compare(a.Run[:], b.Run[:]), cmp.Compare(a.Name, b.Name))
	})
}

// expired reports what is past its deadline: open decisions, and attempts with what their workers hold of their runs.
func (s *state) expired(tick driver.WorkerTick, report *driver.WorkerReport) {
	type owner struct {
		worker flow.WorkerID
		run    flow.RunID
	}
	held := map[owner][]flow.Hold{}
	for h := range s.holds {
		held[owner{h.Worker, h.Run}] = append(held[owner{h.Worker, h.Run}], h)
	}
	var decisions, attempts []flow.StepState
	for _, r := range s.runs {
		for _, step := range r.steps {
			switch {
			case step.DeadlineAt.IsZero():
			case step.Status == flow.StepPaused && !step.DeadlineAt.After(report.Now):
				decisions = append(decisions, step)
			case tick.Late > 0 && step.Status == flow.StepRunning && !step.DeadlineAt.After(report.Now.Add(-tick.Late)) &&
				held[owner{step.Worker, step.Run}] != nil:
				attempts = append(attempts, step)
			}
		}
	}
	report.Expired, report.Late = page(decisions, tick.From.Expired, tick.Limit), page(attempts, tick.From.Late, tick.Limit)
	for _, step := range report.Late {
		o := owner{step.Worker, step.Run}
		report.Held = append(report.Held, held[o]...)
		delete(held, o)
	}
	slices.SortFunc(report.Held, compareHolds)
}

func compareHolds(a, b flow.Hold) int {
	return cmp.Or(slices.Compare(a.Run[:], b.Run[:]), cmp.Compare(a.Worker, b.Worker), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Phase, b.Phase))
}

// page sorts a list of steps and cuts out what follows a place.
func page(steps []flow.StepState, from driver.StepPosition, limit int) []flow.StepState {
	slices.SortFunc(steps, func(a, b flow.StepState) int { return comparePlaces(place(a), place(b)) })
	behind := slices.IndexFunc(steps, func(s flow.StepState) bool { return comparePlaces(place(s), from) > 0 })
	if behind < 0 {
		return nil
	}
	return capped(steps[behind:], limit)
}

func place(s flow.StepState) driver.StepPosition {
	at := s.DueAt
	if s.Status != flow.StepScheduled {
		at = s.DeadlineAt
	}
	return driver.StepPosition{At: at, Run: s.Run, StepKey: s.StepKey}
}

func comparePlaces(a, b driver.StepPosition) int {
	return cmp.Or(a.At.Compare(b.At), slices.Compare(a.Run[:], b.Run[:]), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Phase, b.Phase))
}

// compareRuns is the order of runs by their start.
func compareRuns(row flow.Run, at time.Time, id flow.RunID) int {
	return cmp.Or(row.CreatedAt.Compare(at), slices.Compare(row.ID[:], id[:]))
}

func capped[T any](list []T, limit int) []T { return list[:min(len(list), limit)] }
