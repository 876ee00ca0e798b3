package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Lock implements driver.Store. The transaction has the write lock already, so there is nothing to wait for or to skip.
func (s *Store) Lock(ctx context.Context, tx *sql.Tx, q driver.LockQuery) (driver.Locked, error) {
	locked := driver.Locked{Now: s.now(), Runs: make(map[flow.RunID]flow.Run, len(q.Runs))}
	if len(q.Runs) > 0 {
		ids, err := list(q.Runs)
		if err != nil {
			return driver.Locked{}, err
		}
		runs, err := query(ctx, tx, scanRun, s.sql("Lock"), ids)
		if err != nil {
			return driver.Locked{}, err
		}
		for _, run := range runs {
			locked.Runs[run.ID] = run
		}
	}
	if q.Worker != 0 {
		if err := tx.QueryRowContext(ctx, s.sql("WorkerLost"), q.Worker).Scan(&locked.WorkerLost); err != nil {
			return driver.Locked{}, err
		}
	}
	return locked, nil
}

// Load implements driver.Store. There is no network between, so each run is read by itself.
func (s *Store) Load(ctx context.Context, tx *sql.Tx, reads map[flow.RunID]flow.Reads) (map[flow.RunID]driver.Loaded, error) {
	all := make(map[flow.RunID]driver.Loaded, len(reads))
	for id, r := range reads {
		loaded, err := s.loadRun(ctx, tx, id, r)
		if err != nil {
			return nil, err
		}
		all[id] = loaded
	}
	return all, nil
}

func (s *Store) loadRun(ctx context.Context, tx *sql.Tx, id flow.RunID, reads flow.Reads) (driver.Loaded, error) {
	loaded := driver.Loaded{Steps: map[flow.StepKey]flow.StepState{}, Outputs: map[string]json.RawMessage{}}
	steps, err := s.steps(ctx, tx, id, reads)
	if err != nil {
		return driver.Loaded{}, err
	}
	for _, st := range steps {
		loaded.Steps[st.StepKey] = st
	}
	if len(reads.Outputs) > 0 {
		names, err := list(reads.Outputs)
		if err != nil {
			return driver.Loaded{}, err
		}
		outputs, err := query(ctx, tx, scanOutput, s.sql("Outputs"), id, names)
		if err != nil {
			return driver.Loaded{}, err
		}
		for _, o := range outputs {
			loaded.Outputs[o.step] = o.data
		}
	}
	if reads.Payload {
		payloads, err := query(ctx, tx, scanPayload, s.sql("Payload"), id)
		if err != nil {
			return driver.Loaded{}, err
		}
		if len(payloads) > 0 {
			loaded.Payload = payloads[0]
		}
	}
	return loaded, nil
}

func (s *Store) steps(ctx context.Context, tx *sql.Tx, id flow.RunID, reads flow.Reads) ([]flow.StepState, error) {
	if reads.All {
		return query(ctx, tx, scanStep, s.sql("Steps"), id)
	}
	if len(reads.Steps) == 0 {
		return nil, nil
	}
	named := make([]map[string]any, len(reads.Steps))
	for i, k := range reads.Steps {
		named[i] = map[string]any{"name": k.Name, "phase": k.Phase}
	}
	keys, err := list(named)
	if err != nil {
		return nil, err
	}
	return query(ctx, tx, scanStep, s.sql("StepsNamed"), id, keys)
}

type output struct {
	step string
	data json.RawMessage
}

func scanOutput(rows *sql.Rows) (output, error) {
	var o output
	err := rows.Scan(&o.step, document{&o.data})
	return o, err
}

func scanPayload(rows *sql.Rows) (json.RawMessage, error) {
	var payload json.RawMessage
	err := rows.Scan(document{&payload})
	return payload, err
}

// History implements driver.Store.
func (s *Store) History(ctx context.Context, tx *sql.Tx, id flow.RunID) (driver.History, error) {
	attempts, err := query(ctx, tx, scanAttempt, s.sql("Attempts"), id)
	if err != nil {
		return driver.History{}, err
	}
	events, err := query(ctx, tx, scanEvent, s.sql("Events"), id)
	if err != nil {
		return driver.History{}, err
	}
	return driver.History{Attempts: attempts, Audit: events}, nil
}

func scanAttempt(rows *sql.Rows) (flow.AttemptRecord, error) {
	var a flow.AttemptRecord
	var failed json.RawMessage
	err := rows.Scan(&a.Run, &a.Name, &a.Phase, &a.Attempt, &a.Worker, &a.Outcome, instant{&a.StartedAt}, instant{&a.EndedAt},
		document{&failed})
	if err != nil {
		return a, err
	}
	a.Error, err = parseFailure(failed)
	return a, err
}

func scanEvent(rows *sql.Rows) (flow.AuditEntry, error) {
	var e flow.AuditEntry
	err := rows.Scan(&e.Run, &e.Seq, &e.Kind, &e.Name, &e.Phase, &e.Attempt, instant{&e.At}, &e.Actor, document{&e.Data},
		document{&e.Output})
	return e, err
}
