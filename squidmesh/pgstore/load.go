package pgstore

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Load implements driver.Store in one round trip, and in none if nothing is asked for.
func (s *Store) Load(ctx context.Context, tx pgx.Tx, reads map[flow.RunID]flow.Reads) (map[flow.RunID]driver.Loaded, error) {
	all := make(map[flow.RunID]driver.Loaded, len(reads))
	payloads := map[flow.RunID]*json.RawMessage{}
	batch := &indexed{}
	for run, r := range reads {
		loaded := driver.Loaded{
			Steps: map[flow.StepKey]flow.StepState{}, Outputs: map[string]json.RawMessage{},
		}
		payloads[run] = s.queueReads(batch, run, r, loaded)
		all[run] = loaded
	}
	if err := batch.send(ctx, tx); err != nil {
		return nil, err
	}
	for run, payload := range payloads {
		loaded := all[run]
		loaded.Payload = *payload
		all[run] = loaded
	}
	return all, nil
}

// queueReads queues what is to be read of one run. Steps and outputs go into loaded's maps, the payload where the answer points to.
func (s *Store) queueReads(batch *indexed, run flow.RunID, reads flow.Reads, loaded driver.Loaded) *json.RawMessage {
	steps := func(rows pgx.Rows) error {
		states, err := pgx.CollectRows(rows, scanStep)
		for _, st := range states {
			loaded.Steps[st.StepKey] = st
		}
		return err
	}
	if reads.All {
		batch.add(s.sql("Steps"), id(run)).Query(steps)
	} else if len(reads.Steps) > 0 {
		batch.add(s.sql("StepsNamed"), id(run),
			column(reads.Steps, func(k *flow.StepKey) string { return k.Name }),
			column(reads.Steps, func(k *flow.StepKey) string { return string(k.Phase) }),
		).Query(steps)
	}
	if len(reads.Outputs) > 0 {
		batch.add(s.sql("Outputs"), id(run), reads.Outputs).Query(func(rows pgx.Rows) error {
			var name string
			var output []byte
			_, err := pgx.ForEachRow(rows, []any{&name, &output}, func() error {
				loaded.Outputs[name] = output
				return nil
			})
			return err
		})
	}
	payload := new(json.RawMessage)
	if reads.Payload {
		batch.add(s.sql("Payload"), id(run)).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{(*[]byte)(payload)}, func() error { return nil })
			return err
		})
	}
	return payload
}

// History implements driver.Store.
func (s *Store) History(ctx context.Context, tx pgx.Tx, run flow.RunID) (driver.History, error) {
	var history driver.History
	batch := &indexed{}
	batch.add(s.sql("Attempts"), id(run)).Query(func(rows pgx.Rows) (err error) {
		history.Attempts, err = pgx.CollectRows(rows, scanAttempt)
		return err
	})
	batch.add(s.sql("Events"), id(run)).Query(func(rows pgx.Rows) (err error) {
		history.Audit, err = pgx.CollectRows(rows, scanEvent)
		return err
	})
	if err := batch.send(ctx, tx); err != nil {
		return driver.History{}, err
	}
	return history, nil
}

func scanAttempt(row pgx.CollectableRow) (flow.AttemptRecord, error) {
	var (
		a              flow.AttemptRecord
		started, ended pgtype.Timestamptz
		failed         []byte
	)
	err := row.Scan((*[16]byte)(&a.Run), &a.Name, &a.Phase, &a.Attempt, &a.Worker, &a.Outcome, &started, &ended, &failed)
	if err != nil {
		return a, err
	}
	a.StartedAt, a.EndedAt = when(started), when(ended)
	a.Error, err = parseFailure(failed)
	return a, err
}

func scanEvent(row pgx.CollectableRow) (flow.AuditEntry, error) {
	var e flow.AuditEntry
	var at pgtype.Timestamptz
	err := row.Scan((*[16]byte)(&e.Run), &e.Seq, &e.Kind, &e.Name, &e.Phase, &e.Attempt, &at, &e.Actor,
		(*[]byte)(&e.Data), (*[]byte)(&e.Output))
	e.At = when(at)
	return e, err
}
