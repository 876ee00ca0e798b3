package flow

import (
	"fmt"
	"slices"
	"time"
)

// Environment is what is known of the world around a run: which workers live, and what the queue says. Only [Explain] looks at it.
type Environment struct {
	// Workers are the workers that are not lost, and lost ones that still hold something.
	Workers []Worker

	// Definitions are the specs of the workers' shapes. Those of the run's workflow must be among them.
	Definitions map[string]*Spec

	// Jobs is what the queue says of the jobs of rows that are due, by job id. A job that is missing is gone. Jobs is nil if the
	// queue cannot be asked.
	Jobs map[string]JobState

	// Unopened are the due rows that the explaining process cannot open: their input, or the failure that led to them. The value is
	// the id of the key that seals it. It is empty if the value is not sealed and has to be.
	Unopened map[StepKey]string
}

// Lives reports whether the worker can still write.
func (w Worker) Lives(now time.Time) bool { return w.LostAt.IsZero() && !w.LeaseUntil.Before(now) }

func (s *Environment) worker(id WorkerID) (Worker, bool) {
	i := slices.IndexFunc(s.Workers, func(w Worker) bool { return w.ID == id })
	if i < 0 {
		return Worker{}, false
	}
	return s.Workers[i], true
}

func (s *Environment) lives(id WorkerID, now time.Time) bool {
	w, ok := s.worker(id)
	return ok && w.Lives(now)
}

// fit says whether a worker has the function of a row, and whether it fits there.
func (s *Environment) fit(w Worker, spec *Spec, key StepKey) Fit {
	for _, shape := range w.Shapes {
		if today := s.Definitions[shape]; today != nil && today.workflow == spec.workflow {
			return spec.Fit(today, key)
		}
	}
	return Fit{}
}

// Taker finds a living worker that has the function of a row and definitions that use the row's queue.
func (s *Environment) Taker(spec *Spec, row StepState, now time.Time) (Worker, bool) {
	for _, w := range s.Workers {
		if w.Lives(now) && slices.Contains(w.Queues, row.Queue) && s.fit(w, spec, row.StepKey).Runnable() {
			return w, true
		}
	}
	return Worker{}, false
}

// Knows reports whether a living worker has a definition with the trigger. A trigger's name is part of the shape.
func (s *Environment) Knows(key TriggerKey, now time.Time) bool {
	return slices.ContainsFunc(s.Workers, func(w Worker) bool {
		return w.Lives(now) && slices.ContainsFunc(w.Shapes, func(shape string) bool {
			today := s.Definitions[shape]
			return today != nil && today.workflow == key.Workflow &&
				slices.ContainsFunc(today.triggers, func(t TriggerSpec) bool { return t.Name == key.Trigger })
		})
	})
}

// silence says since when a worker does not live, as far as that is known, and how to call it.
func (s *Environment) silence(id WorkerID) (since time.Time, name string) {
	w, ok := s.worker(id)
	switch {
	case !ok:
		return time.Time{}, fmt.Sprintf("worker %d", id)
	case !w.LostAt.IsZero() && w.LostAt.Before(w.LeaseUntil):
		return w.LostAt, w.Name
	default:
		return w.LeaseUntil, w.Name
	}
}

// ahead says how many jobs stand before this one.
func (j JobState) ahead() string {
	if j.Ahead >= MaxAhead {
		return fmt.Sprintf("%d others or more", MaxAhead)
	}
	if j.Ahead == 1 {
		return "another one"
	}
	return fmt.Sprintf("%d others", j.Ahead)
}

const (
	// MaxAhead is how many jobs before a job are counted at most, since counting costs time.
	MaxAhead = 100
)
