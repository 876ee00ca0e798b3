package memstore

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// state is the whole database at one moment. A committed one changes no more: a transaction works on a clone, whose values are
// replaced, never changed.
type state struct {
	runs     map[flow.RunID]*run
	keys     map[runKey]flow.RunID // but for those that were freed
	specs    map[string]savedSpec  // by shape
	holds    holds
	workers  map[flow.WorkerID]flow.Worker
	steady   map[flow.WorkerID]time.Time // since when a worker has renewed its lease without a gap
	lastID   flow.WorkerID
	triggers map[flow.TriggerKey]flow.TriggerState
	fires    map[flow.TriggerKey]map[string]flow.Fire // by their keys
	untold   map[driver.EntryKey]time.Time            // when each was written
	rows     map[string]any                           // of the program's own
}

// runKey is what a start is idempotent by.
type runKey struct{ workflow, key string }

// savedSpec is a definition as it is stored.
type savedSpec struct {
	body   []byte    // JSON
	usedAt time.Time // when it was saved last
}

// run is everything that is stored of a run.
type run struct {
	row      flow.Run
	steps    map[flow.StepKey]flow.StepState
	attempts []flow.AttemptRecord
	audit    []flow.AuditEntry // by Seq
}

func (s *state) clone() *state {
	return &state{
		runs: cloned(s.runs), keys: cloned(s.keys), specs: cloned(s.specs), holds: cloned(s.holds), workers: cloned(s.workers),
		steady: cloned(s.steady),
		lastID: s.lastID, triggers: cloned(s.triggers), fires: cloned(s.fires), untold: cloned(s.untold), rows: cloned(s.rows),
	}
}

// cloned is a shallow copy that can be written to.
func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// edit replaces a run by a copy that may be changed until the transaction's end; nil if there is no such run.
func (s *state) edit(id flow.RunID) *run {
	old := s.runs[id]
	if old == nil {
		return nil
	}
	r := &run{row: old.row, steps: maps.Clone(old.steps), attempts: slices.Clone(old.attempts), audit: slices.Clone(old.audit)}
	s.runs[id] = r
	return r
}

// freeKey takes the place that a run has by its key from it, if it has one.
func (s *state) freeKey(row flow.Run) {
	if key := (runKey{row.Workflow, row.Key}); s.keys[key] == row.ID {
		delete(s.keys, key)
	}
}

// insert adds the row of a new run.
func (s *state) insert(row flow.Run) {
	row.Payload = bytes.Clone(row.Payload)
	if len(row.Payload) == 0 {
		row.Payload = nil
	}
	s.runs[row.ID] = &run{row: normal(row), steps: map[flow.StepKey]flow.StepState{}}
	if row.Key != "" {
		s.keys[runKey{row.Workflow, row.Key}] = row.ID
	}
}

// bare is the row without the payload, as it is locked.
func (r *run) bare() flow.Run {
	row := r.row
	row.Payload = nil
	return row
}

// output is the output of a completed step; nil if there is none.
func (r *run) output(name string) json.RawMessage {
	step, ok := r.steps[flow.StepKey{Name: name, Phase: flow.PhaseDo}]
	if !ok || step.Status != flow.StepCompleted {
		return nil
	}
	for _, e := range r.audit {
		if e.Seq == step.DoneSeq && e.Name == name {
			return e.Output
		}
	}
	return nil
}

// normal is a row with times as a database keeps them.
func normal(row flow.Run) flow.Run {
	for _, at := range []*time.Time{&row.WindowAt, &row.WindowEnd, &row.ReceivedAt, &row.CreatedAt, &row.LastAt, &row.FinishedAt} {
		*at = micros(*at)
	}
	return row
}
