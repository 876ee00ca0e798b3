package pgstore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// How Go values stand in columns: what is zero in Go is null. Times have microseconds.

func stamp(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

func when(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

func id(u uuid.UUID) pgtype.UUID {
	return pgtype.UUID{Bytes: u, Valid: u != uuid.Nil}
}

func uuids(ids []flow.RunID) pgtype.FlatArray[pgtype.UUID] {
	return column(ids, func(u *flow.RunID) pgtype.UUID { return id(*u) })
}

func document(data json.RawMessage) pgtype.Text {
	return pgtype.Text{String: string(data), Valid: len(data) > 0}
}

// failure is the document of a recorded failure; null for none.
func failure(e *flow.StepError) pgtype.Text {
	if e == nil {
		return pgtype.Text{}
	}
	data, err := encode.JSON(e)
	if err != nil {
		panic(fmt.Sprintf("encode StepError: %v", err)) // it has no field that could fail
	}
	return document(data)
}

// parseFailure reads what failure wrote.
func parseFailure(data []byte) (*flow.StepError, error) {
	if data == nil {
		return nil, nil
	}
	e := &flow.StepError{}
	return e, json.Unmarshal(data, e)
}

// column is one column of many rows, as unnest takes it. A FlatArray is encoded without reflection.
func column[Row, T any](rows []Row, of func(*Row) T) pgtype.FlatArray[T] {
	values := make(pgtype.FlatArray[T], len(rows))
	for i := range rows {
		values[i] = of(&rows[i])
	}
	return values
}

// scanRun reads the columns Run and the payload.
func scanRun(row pgx.CollectableRow) (flow.Run, error) {
	var (
		run                       flow.Run
		from, until, received     pgtype.Timestamptz
		created, lastAt, finished pgtype.Timestamptz
		replayed                  pgtype.UUID
		reason                    []byte
	)
	err := row.Scan((*[16]byte)(&run.ID), &run.Workflow, &run.Trigger, &run.Shape, &run.Key, &run.KeyHash, &from,
		&until, &received, &run.SignalID, &replayed, &created, &run.Status, &run.Verdict, &run.Compensate, &run.Version, &run.Seq, &lastAt,
		&run.Open, &run.Retrying, &reason, &finished, (*[]byte)(&run.Payload))
	if err != nil {
		return flow.Run{}, err
	}
	run.WindowAt, run.WindowEnd, run.ReceivedAt = when(from), when(until), when(received)
	run.CreatedAt, run.LastAt, run.FinishedAt = when(created), when(lastAt), when(finished)
	run.ReplayedFrom = replayed.Bytes
	run.Reason, err = parseFailure(reason)
	return run, err
}

// scanStep reads the columns Step.
func scanStep(row pgx.CollectableRow) (flow.StepState, error) {
	var (
		st                            flow.StepState
		due, deadline, started, ended pgtype.Timestamptz
	)
	err := row.Scan((*[16]byte)(&st.Run), &st.Name, &st.Phase, &st.Status, &st.Attempt, &st.Failures, &st.Losses, &st.Missing,
		&st.DoneSeq, &st.Worker, &due, &deadline, &started, &ended, &st.Cause, &st.JobID, &st.Queue)
	st.DueAt, st.DeadlineAt, st.StartedAt, st.FinishedAt = when(due), when(deadline), when(started), when(ended)
	return st, err
}
